"""``cfair groups``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfair import groups
from cfair.auditing import Report
from cfair.cli import main

N = 200
WORDS = ("groups", "--data", "people.csv", "--outcome", "hired", "--attributes", "race,sex", "--no-proxies")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table."""
    source = np.random.default_rng(0)
    frame = pd.DataFrame({"race": source.choice(["w", "b"], N), "sex": source.choice([0, 1], N), "age": source.integers(18, 70, N)})
    frame["score"] = source.random(N)
    frame["hired"] = np.where(source.random(N) < frame["score"], "yes", "no")
    frame["chosen"] = np.where(frame["score"] > 0.5, "yes", "no")
    frame["weight"] = source.integers(1, 5, N)
    frame.to_csv(tmp_path / "people.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, object]:
    """What a command prints with --json."""
    assert main([*words, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_it_prints_what_python_returns(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = told(capsys, *WORDS, "--score", "score", "--threshold", "0.6", "--weights", "weight", "--positive", "no", "--seed", "3")
    how = {"score": "score", "threshold": 0.6, "weights": "weight", "positive": "no", "proxies": False, "seed": 3}
    report = groups(place / "people.csv", outcome="hired", attributes=["race", "sex"], **how)  # type: ignore[arg-type]
    assert printed["rows"] == json.loads(json.dumps(report.to_json()))["rows"]
    assert printed["schema"] == 1
    assert printed["model"]["positive"] == "no"  # type: ignore[index]


def test_the_terminal_shows_groups_constraints_and_the_data(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--prediction", "chosen"]) == 0
    text = capsys.readouterr().out
    for words in (
        "people.csv: chosen of hired by race, sex",
        "Positive: hired = yes",
        "By race x sex",
        "Group constraints by race",
        "The data by sex",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("words", [("--prediction", "chosen,other"), ("--prediction", "chosen", "--prediction", "other")])
def test_several_predictions_are_compared(words: tuple[str, ...], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv("people.csv").assign(other=lambda frame: np.where(frame["score"] > 0.3, "yes", "no"))
    frame.to_csv("people.csv", index=False)
    assert main([*WORDS, *words, "--out", "kept"]) == 0
    text = capsys.readouterr().out
    for said in ("By race, chosen", "By race, other", "Differences by race less those under chosen", "minus chosen"):
        assert said in text
    assert "## Differences by race x sex less those under chosen" in (place / "kept" / "report.md").read_text()
    rows = told(capsys, *WORDS, *words)["rows"]
    assert isinstance(rows, list)
    assert "equalized_odds_difference_minus_chosen" in {row["measure"] for row in rows}


def test_a_number_is_an_attribute_without_bins(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "--attributes", "race,age", "--prediction", "chosen", "--out", "kept"]) == 0
    text, kept = capsys.readouterr().out, (place / "kept" / "report.md").read_text()
    assert "Dependence on age" in text
    assert "hired   " in text.partition("Dependence on age")[2]
    assert "hired is 1" in kept
    assert "By age" not in text


def test_bins_a_reference_and_a_folder_are_read_and_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "shares.json").write_text(json.dumps({"race": {"b": 0.4, "w": 0.6}}))
    asked = ("--attributes", "race,age", "--bins", "age=18,30,70", "--reference", "shares.json", "--out", "kept")
    printed = told(capsys, *WORDS, *asked)
    kept = json.loads((place / "kept" / "report.json").read_text())
    assert kept["rows"] == printed["rows"]
    assert Report.from_json(kept).rows
    text = (place / "kept" / "report.md").read_text()
    assert text.startswith("# people.csv: hired by race, age\n")
    for words in ("[18, 30)", "share minus reference", "## The data by race x age"):
        assert words in text
    told(capsys, *WORDS, *asked)  # an older one is replaced


def test_a_foreign_folder_is_left_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("years of work")
    refused = told(capsys, *WORDS, "--out", "mine", code=2)
    assert "thesis.txt" in str(refused)
    assert [path.name for path in (place / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("words", "problem", "mend"),
    [
        (("--outcome", "hirde"), "there is no column 'hirde'", "did you mean 'hired'?"),
        (("--prediction", ","), "it names no column", "name one"),
        (("--bins", "age"), "'age' bounds nothing", "age=0,30,50,100"),
        (("--bins", "age=0,x"), "bounds nothing", "age=0,30,50,100"),
        (("--reference", "no.json"), "it cannot be read as JSON", "race"),
        (("--reference", "people.json"), "does not say attribute", "race"),
        (("--dag", "law_scool"), "law_scool", "law_school"),
        (("--data", "no.csv"), "there is no such file", "cfair data"),
        (("--threshold", "2", "--score", "score"), "2 is outside the scores", "among"),
    ],
)
def test_a_mistake_is_one_line_with_its_mend(
    words: tuple[str, ...], problem: str, mend: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "people.json").write_text("[1, 2]")
    error = told(capsys, *WORDS, *words, code=2)["error"]
    assert isinstance(error, dict)
    assert problem in f"{error['where']}: {error['problem']}"
    assert mend in error["mend"]


def test_a_dag_says_what_should_tell_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("groups", "--data", "law_school", "--outcome", "zfya", "--prediction", "ugpa", "--attributes", "sex", "--dag", "law_school")
    said = [each["text"] for each in told(capsys, *words)["assumptions"]]  # type: ignore[attr-defined]
    (flagged,) = [text for text in said if "CONTRADICTED" in text]
    assert "no open path between 'race' and 'sex'" in flagged
