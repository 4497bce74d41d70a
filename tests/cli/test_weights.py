"""``--weights``: what ``cfair check`` and ``cfair fit`` make of a column of weights."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest

from cfair.cli import main
from cfair.data import builtin_path
from cfair.spec import find_model
from cfair.store import load

DAG = str(find_model("law_school"))
QUICK = ["--draws", "4", "--predictors", "constant,full", "--uncertainty", "none"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with some of the law school's people, each tenth of weight 0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    everyone = pd.read_parquet(builtin_path("law_school"))
    some = everyone[everyone["race"].isin(["White", "Black"])].sample(300, random_state=0).reset_index(drop=True)
    some.assign(**{"stands for": some.index % 10}).to_csv("people.csv", index=False)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_check_names_the_column_and_does_not_call_it_unused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", DAG, "--data", "people.csv", "--weights", "stands for"]
    found = json.loads(told(capsys, *words, "--json")[1])["data"]
    assert (found["weights"], found["weightless"], found["unused"]) == ("stands for", 30, ["passed_bar"])
    assert "stands for; 0 in 30 rows" in told(capsys, *words)[1]
    assert json.loads(told(capsys, *words[:4], "--json")[1])["data"]["weights"] is None


def test_check_wants_a_table_to_find_weights_in(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, "check", DAG, "--weights", "w")
    assert (code, out) == (2, "")
    assert err == "weights: there is no table whose column 'w' could be. Pass --data too\n"


def test_the_report_of_a_weighted_fit_says_so_and_can_be_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--dag", DAG, "--data", "people.csv", *QUICK, "--weights", "stands for"]
    code, out, err = told(capsys, *words, "--out", "run")
    assert (code, err) == (0, "")
    report = load("run").report
    assert report.options["weights"] == "stands for"
    assert report.not_used == ("passed_bar",)
    data = report.data
    assert (data["rows"], data["weightless"], data["audited_rows"], data["training_rows"]) == (300, 30, 54, 216)
    for size, most in (("effective_rows", 54), ("effective_training_rows", 216)):
        assert 0.6 * most < data[size] < 0.9 * most, "of weights 1 to 9, 15/19 of the people"
    line = f"Weighted by stands for: the audited people tell as much as {data['effective_rows']:,.0f} of equal weight"
    assert line in " ".join(out.split())
    assert "30 of weight 0 were left out" in " ".join(out.split())
    assert "People count by the column 'stands for'" in " ".join(out.split())
    (line,) = [line for line in Path("run/report.md").read_text().splitlines() if line.startswith("| to repeat")]
    _, *again = shlex.split(line.split("|")[2])
    Path("dag.yaml").write_bytes(Path("run/dag.yaml").read_bytes())
    assert told(capsys, *again, "--out", "again")[0] == 0
    assert load("again").report == report


def test_weights_change_the_report_and_their_absence_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--dag", DAG, "--data", "people.csv", *QUICK]
    plain = told(capsys, *words, "--out", "plain")[1]
    assert "weight" not in plain.lower().replace("stands for", "")
    assert "--weights" not in Path("plain/report.md").read_text()
    assert told(capsys, *words, "--weights", "stands for", "--out", "weighted")[0] == 0
    assert load("plain").report.rows != load("weighted").report.rows


def test_predict_needs_no_weights(capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "fit", "--dag", DAG, "--data", "people.csv", *QUICK, "--weights", "stands for", "--out", "run")
    pd.read_csv("people.csv").drop(columns=["stands for", "zfya"]).to_csv("new.csv", index=False)
    code, out, _ = told(capsys, "predict", "--run", "run", "--data", "new.csv", "--predictor", "full", "--out", "p.csv")
    assert (code, out) == (0, "300 predictions of zfya written to p.csv\n")


@pytest.mark.parametrize(("column", "said"), [("sex", "'sex' is a node of the model"), ("weight", "there is no column 'weight'")])
def test_a_column_that_cannot_be_the_weights_is_refused_before_any_work(capsys: pytest.CaptureFixture[str], column: str, said: str) -> None:
    code, out, err = told(capsys, "fit", "--dag", DAG, "--data", "people.csv", *QUICK, "--weights", column)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert [path.name for path in Path.cwd().iterdir()] == ["people.csv"]
