"""``cfair sweep``: a folder with the trade-off, and an exit code by the policy."""

import json
from pathlib import Path

import pandas as pd
import pytest

from cfair.cli import main
from cfair.data import builtin_path
from cfair.spec import find_model

WORDS = ["sweep", "--dag", str(find_model("compas")), "--data", "people.parquet", "--constraint", "demographic_parity"]
WORDS += ["--mitigation", "threshold", "--by", "race", "--points", "2", "--draws", "2", "--predictors", "unaware", "--quiet"]
ROW = {"constraint", "mitigation", "strength", "split", "measure", "value", "low", "high", "pareto"}


@pytest.fixture(autouse=True)
def some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with some of the people."""
    monkeypatch.chdir(tmp_path)
    pd.read_parquet(builtin_path("compas")).sample(900, random_state=0).to_parquet("people.parquet")


def test_a_trade_off_is_written_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--out", "curve", "--accept", "demographic_parity_difference<=0.5"]) == 0
    said = capsys.readouterr().out
    assert "demographic_parity by threshold: 2 points" in said
    assert "Accepted" in said
    content = json.loads(Path("curve/tradeoff.json").read_text())
    assert content["rows"]
    assert all(set(row) == ROW for row in content["rows"])
    assert {row["split"] for row in content["rows"]} == {"train", "validation", "test"}
    assert {row["strength"] for row in content["accepted"]} <= {0.0, 1.0}
    assert "| threshold |" in Path("curve/tradeoff.md").read_text()


@pytest.mark.slow  # a second sweep
def test_a_policy_that_no_point_keeps_is_exit_3_and_the_curve_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--out", "curve", "--json", "--accept", "demographic_parity_difference<=-1"]) == 3
    content = json.loads(capsys.readouterr().out)
    assert content["accepted"] == []
    assert Path("curve/tradeoff.json").exists()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (["--accept", "accuracy=1"], "bounds nothing"),
        (["--accept", "brier<=1"], "not measured here"),
        (["--constraint", "parity"], "not a constraint"),
        (["--mitigation", "hope"], "not known"),
        (["--by", "age"], "not a protected attribute"),
        (["--points", "1"], "make no curve"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(changed: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, *changed, "--out", "curve"]) == 2
    said = capsys.readouterr().err
    assert problem in said
    assert said.count("\n") == 1
    assert not Path("curve").exists()
