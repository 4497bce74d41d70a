"""``cfair diagnose``: the held-out rows of a run, found again, against its model."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from cfair.cli import main
from cfair.data import builtin_path, read_table, split
from cfair.diagnosis import diagnose
from cfair.pipeline import Options, fit
from cfair.spec import find_model, load_spec
from cfair.store import load, save

QUICK = ("--draws", "20")


@cache
def law_school(rows: int = 600) -> pd.DataFrame:
    """Some of the law school's people, of both races that occur most."""
    everyone = pd.read_parquet(builtin_path("law_school"))
    return everyone[everyone["race"].isin(["White", "Black"])].sample(rows, random_state=0).reset_index(drop=True)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a run that ``cfair fit`` made of it."""
    folder = tmp_path_factory.mktemp("fitted")
    law_school().to_csv(folder / "people.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert (
            main(["fit", "--dag", "law_school_gaussian", "--data", "people.csv", "--predictors", "latent", "--draws", "4", "--quiet"]) == 0
        )
        (folder / "runs" / "law_school_gaussian").rename(folder / "run")
    return folder


@pytest.fixture(autouse=True)
def elsewhere(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every command runs beside the table, on a terminal of no width; what it moved comes back."""
    monkeypatch.chdir(fitted)
    monkeypatch.delenv("COLUMNS", raising=False)
    yield
    for moved in fitted.glob("moved/*"):
        moved.rename(fitted / moved.name)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    code = main(["diagnose", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a mistake, which ``--json`` says too."""
    code, out, err = told(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    document = json.loads(told(capsys, *words, "--json")[1])
    assert set(document["error"]) == {"where", "problem", "mend"}
    return err


def test_the_terminal_shows_the_worst_first_within_forty_lines(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, "--run", "run")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "law_school_gaussian: what 120 tested rows say against it"
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert "mean noise by race, sex" in out
    assert "Not computed: R-hat, divergences" in out  # of weighted draws there are an ESS and a k-hat
    assert " fair" not in out


def test_json_is_the_diagnosis_of_the_rows_that_the_run_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "--run", "run", *QUICK, "--seed", "3", "--json")
    run = load("run")
    training, tested = split(read_table("people.csv", run.spec), run.spec, test_share=0.2, seed=0)
    expected = diagnose(run.scm, tested, training=training, draws=20, seed=3)
    assert code == 0
    assert json.loads(out) == {"run": "run", **expected.to_json()}
    assert (expected.rows, expected.training_rows) == (120, 480)


@pytest.mark.slow
def test_a_table_that_has_moved_is_asked_for_and_taken_from_where_it_is(capsys: pytest.CaptureFixture[str], fitted: Path) -> None:
    before = told(capsys, "--run", "run", *QUICK, "--json")[1]
    (fitted / "moved").mkdir(exist_ok=True)
    (fitted / "people.csv").rename(fitted / "moved" / "people.csv")
    said = refused(capsys, "--run", "run")
    assert "its table 'people.csv' cannot be read from here (there is no such file)" in said
    assert "Say where the table is now with --data" in said
    assert told(capsys, "--run", "run", *QUICK, "--data", "moved/people.csv", "--json")[1] == before


def test_another_table_is_refused_by_its_digest(capsys: pytest.CaptureFixture[str]) -> None:
    law_school().iloc[::-1].to_csv("other.csv", index=False)
    said = refused(capsys, "--run", "run", "--data", "other.csv")
    assert "other.csv: it is not the table that the run was fitted on: its sha256 is " in said
    assert "no such file" in refused(capsys, "--run", "run", "--data", "nowhere.csv")


def test_a_run_of_a_data_frame_or_no_run_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    spec = load_spec(find_model("law_school_gaussian"))
    run = fit(spec, read_table(law_school(), spec), Options(draws=2, predictors=("constant",)))
    save(run, "framed")
    assert "in Python: cfair.diagnose(run.scm" in refused(capsys, "--run", "framed").replace("In Python", "in Python")
    assert "there is no such folder" in refused(capsys, "--run", "nowhere")
    assert "ask for at least 20" in refused(capsys, "--run", "run", "--draws", "2").replace("Ask", "ask")


@pytest.mark.slow
def test_a_run_with_weights_is_diagnosed_on_rows_that_stand_for_as_many_each(capsys: pytest.CaptureFixture[str]) -> None:
    law_school().assign(stands_for=[1.0, 2.0] * 300).to_csv("weighed.csv", index=False)
    flags = ["--data", "weighed.csv", "--weights", "stands_for", "--predictors", "constant", "--draws", "2", "--quiet"]
    assert main(["fit", "--dag", "law_school_gaussian", *flags]) == 0
    capsys.readouterr()
    code, out, _ = told(capsys, "--run", "runs/law_school_gaussian", *QUICK, "--json")
    assert code == 0
    found = json.loads(out)
    assert 60 < found["rows"] < 120
    assert found["training_rows"] == 480
    assert any("stand for as many people each" in note for note in found["notes"])


def test_a_run_whose_people_lack_values_is_diagnosed_on_those_who_have_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    people, share = law_school(), pd.Series(range(600))
    holes = people.assign(zfya=people["zfya"].mask(share % 10 == 3), ugpa=people["ugpa"].mask(share % 10 == 4))
    holes.to_csv("holes.csv", index=False)
    flags = ["--data", "holes.csv", "--missing", "latent", "--predictors", "constant", "--draws", "2", "--quiet", "--out", "holes"]
    assert main(["fit", "--dag", "law_school_gaussian", *flags]) == 0
    capsys.readouterr()
    code, out, _ = told(capsys, "--run", "holes", *QUICK, "--json")
    assert code == 0
    found, run = json.loads(out), load("holes")
    tested = split(read_table("holes.csv", run.spec, missing="latent"), run.spec, test_share=0.2, seed=0)[1]
    lacking = (tested.missing["zfya"] | tested.missing["ugpa"]).sum()
    assert run.report.data["audited_rows_without_outcome"] == tested.missing["zfya"].sum() > 0
    assert (found["rows"], found["training_rows"]) == (120 - lacking, 480)
    assert found["notes"][0].startswith(f"Left out for want of a value: {lacking} of 120 tested rows and {120 - lacking} of 480 training")
    (peak,) = [check for check in found["engine"] if check["check"] == "distance from the peak"]
    assert (peak["verdict"], peak["why"]) == ("not checked", "some of the rows that the parameters were learned from lack values")


def test_a_run_that_python_made_of_a_built_in_table_finds_it_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    spec = load_spec(find_model("law_school_gaussian"))
    columns = read_table("law_school", spec)
    run = fit(spec, columns, Options(draws=1, predictors=("constant",), test_share=0.02))
    save(run, "named")
    code, out, _ = told(capsys, "--run", "named", *QUICK, "--json")
    assert code == 0
    assert json.loads(out)["rows"] == run.report.data["audited_rows"]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "failing"), [("law_school", {"lsat", "sex", "zfya"}), ("law_school_gaussian", {"sex"})])
def test_the_shipped_models_are_diagnosed(capsys: pytest.CaptureFixture[str], model: str, failing: set[str]) -> None:
    """A Poisson LSAT is far less dispersed than its mean, ZFYA's scale is not 1, and race and sex are not independent."""
    assert main(["fit", "--dag", model, "--predictors", "latent", "--draws", "4", "--out", f"runs/{model}", "--quiet"]) == 0
    capsys.readouterr()
    code, out, _ = told(capsys, "--run", f"runs/{model}", "--json")
    assert code == 0
    found = json.loads(out)
    assert {node["node"] for node in found["nodes"] if node["verdict"] == "fails"} == failing
    assert {"node": "knowledge", "attribute": "race"}.items() <= found["untestable"][0].items()
    assert len(told(capsys, "--run", f"runs/{model}")[1].splitlines()) <= 40
