"""``cfair predict``: a run's predictions in a file, one row per input row."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfair.cli import main
from cfair.data import builtin_path, read_table
from cfair.pipeline import Options, fit
from cfair.spec import find_model, load_spec
from cfair.store import Run, save


@cache
def fitted() -> tuple[Run, pd.DataFrame]:
    """A run on some of the law school, and those people with the outcome lost."""
    table = pd.read_parquet(builtin_path("law_school")).sample(400, random_state=1).reset_index(drop=True)
    spec = load_spec(find_model("law_school"))
    run = fit(spec, read_table(table, spec), Options(draws=4, uncertainty="none"))
    return run, table.drop(columns="zfya")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the run, and the people as CSV and parquet."""
    monkeypatch.chdir(tmp_path)
    run, people = fitted()
    save(run, "run")
    people.to_csv("people.csv", index=False)
    people.to_parquet("people.parquet", index=False)


def told(capsys: pytest.CaptureFixture[str], **flags: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``cfair predict`` with these flags in place of the usual ones."""
    usual = {"run": "run", "data": "people.csv", "predictor": "latent", "out": "predictions.csv"}
    code = main(["predict", *(word for name, value in {**usual, **flags}.items() for word in (f"--{name}", value))])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("predictor", Options().predictors)
@pytest.mark.parametrize(("data", "out"), [("people.csv", "p.csv"), ("people.parquet", "p.parquet")])
def test_the_file_holds_the_fitted_predictions_in_the_order_of_the_rows(
    capsys: pytest.CaptureFixture[str], predictor: str, data: str, out: str
) -> None:
    code, said, err = told(capsys, predictor=predictor, data=data, out=out)
    assert (code, err) == (0, "")
    assert said == f"400 predictions of zfya written to {out}\n"
    found = pd.read_csv(out) if out.endswith(".csv") else pd.read_parquet(out)
    assert list(found) == ["row", "prediction"]
    assert found["row"].tolist() == list(range(400))
    run, people = fitted()
    np.testing.assert_allclose(found["prediction"], run.predict(people, predictor), rtol=0, atol=1e-12)


@pytest.mark.parametrize("predictor", ["latent", "residual"])
def test_one_row_at_a_time_gives_the_same(capsys: pytest.CaptureFixture[str], predictor: str) -> None:
    run, people = fitted()
    expected = run.predict(people, predictor)
    for row in (0, 17, 399):
        people.iloc[[row]].to_csv("one.csv", index=False)
        assert told(capsys, predictor=predictor, data="one.csv")[0] == 0
        assert pd.read_csv("predictions.csv")["prediction"].item() == pytest.approx(expected[row], abs=1e-12)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"predictor": "latnt"}, "Did you mean 'latent'?"),
        ({"run": "nowhere"}, "nowhere: there is no such folder"),
        ({"run": "people.csv"}, "people.csv: there is no such folder"),
        ({"data": "nowhere.csv"}, "there is no such file"),
        ({"out": "predictions.xlsx"}, "not a table's extension"),
        ({"out": "nowhere/p.csv"}, "there is no folder 'nowhere'"),
        ({"out": "run"}, "has no extension"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(capsys: pytest.CaptureFixture[str], flags: dict[str, str], said: str) -> None:
    before = sorted(Path.cwd().rglob("*"))
    code, out, err = told(capsys, **flags)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert sorted(Path.cwd().rglob("*")) == before


def test_where_it_is_written_is_checked_before_the_run_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not a table's extension" in told(capsys, run="nowhere", out="p.txt")[2]


def test_a_missing_value_is_refused_where_it_is_needed_and_nowhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    people = fitted()[1]
    people.assign(race=[None, *people["race"][1:]]).to_csv("gaps.csv", index=False)
    code, _, err = told(capsys, data="gaps.csv")
    assert code == 2
    assert "column 'race', row 0 (line 2): missing values" in err
    assert told(capsys, data="gaps.csv", predictor="unaware")[0] == 0


@pytest.mark.parametrize("predictor", ["unaware", "latent", "residual"])
def test_a_row_with_a_missing_value_is_predicted_when_asked_and_the_others_as_without_it(
    capsys: pytest.CaptureFixture[str], predictor: str
) -> None:
    people = fitted()[1]
    people.assign(lsat=[None, *people["lsat"][1:]], ugpa=[None, None, *people["ugpa"][2:]]).to_csv("gaps.csv", index=False)
    assert told(capsys, data="gaps.csv", predictor=predictor)[0] == 2
    assert told(capsys, data="gaps.csv", predictor=predictor, missing="latent", out="gaps_out.csv")[0] == 0
    assert told(capsys, predictor=predictor)[0] == 0
    gaps, whole = pd.read_csv("gaps_out.csv"), pd.read_csv("predictions.csv")
    assert np.array_equal(gaps["row"], whole["row"])
    assert gaps["prediction"].notna().all()
    np.testing.assert_allclose(gaps["prediction"][2:], whole["prediction"][2:], rtol=1e-12)
    assert (gaps["prediction"][:2] != whole["prediction"][:2]).all()


def test_who_lacks_a_protected_attribute_is_not_guessed_into_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    people = fitted()[1]
    people.assign(race=[None, *people["race"][1:]]).to_csv("gaps.csv", index=False)
    code, _, err = told(capsys, data="gaps.csv", missing="latent")
    assert code == 2
    assert "column 'race', row 0 (line 2): 1 value is missing, and a protected attribute is not integrated out" in err
    assert "Use 'error' or 'latent'" in told(capsys, data="gaps.csv", missing="drop")[2]


def test_a_damaged_run_is_refused_by_the_name_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("run/scm.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    code, _, err = told(capsys)
    assert (code, err.startswith("run/scm.safetensors: the file is damaged")) == (2, True)
    assert not Path("predictions.csv").exists()
