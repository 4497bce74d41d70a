"""``cfair audit`` and ``cfair worlds``."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hiring import HIRING, READ, owners_table
from sklearn.linear_model import LogisticRegression

from cfair.cli import main
from cfair.spec import dump_spec

CODE = """
from collections import namedtuple


def predict(frame):
    return (0.1 * frame["grade"] + 0.02 * frame["gaps"]).clip(0, 1)


def by_id(frame):
    return frame["id"] * 1.0
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a declaration, a table and a module."""
    (tmp_path / "dag.yaml").write_text(dump_spec(HIRING))
    owners_table(150).to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "scorer.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, object]:
    """What a command prints with --json."""
    assert main([*words, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


AUDIT = ("audit", "--dag", "dag.yaml", "--data", "people.csv", "--draws", "3")


def test_code_runs_only_if_allowed_and_the_report_is_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = told(capsys, *AUDIT, "--model", "scorer:predict", code=2)
    assert "nobody has allowed it to run" in str(refused)
    report = told(capsys, *AUDIT, "--model", "scorer:predict", "--allow-python", "--out", "kept", "--quiet")
    kept = json.loads((place / "kept" / "report.json").read_text())
    assert kept["data"]["seconds"]["learning"] > 0
    assert "s of learning, then" in (place / "kept" / "report.md").read_text()
    assert kept["rows"] == report["rows"]
    assert "reads: region, sex, race, grade, gaps, member; nothing is claimed" in (place / "kept" / "report.md").read_text()


def test_worlds_scored_outside_give_the_figures_of_the_model(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = told(capsys, *AUDIT, "--model", "scorer:predict", "--allow-python", "--attributes", "sex")
    files = told(capsys, "worlds", *AUDIT[1:], "--attributes", "sex", "--out", "worlds")["worlds"]
    assert isinstance(files, dict)
    parts = [pd.read_parquet(place / "worlds" / file) for file in files.values()]
    scores = [part[["world", "row", "draw"]].assign(prediction=(0.1 * part["grade"] + 0.02 * part["gaps"]).clip(0, 1)) for part in parts]
    pd.concat([score.astype({"world": str}) for score in scores]).to_csv("scored.csv", index=False)
    found = told(capsys, "audit", "--worlds", "worlds", "--predictions", "scored.csv")
    pd.testing.assert_frame_equal(pd.DataFrame(found["rows"]), pd.DataFrame(expected["rows"]), rtol=0, atol=1e-9)


def test_a_file_of_skops_is_read_if_every_type_in_it_is_trusted(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    io = pytest.importorskip("skops.io")
    table = owners_table(150)
    io.dump(LogisticRegression().fit(table[["grade", "gaps"]], table["hired"]), place / "model.skops")
    report = told(capsys, *AUDIT, "--model", "model.skops")
    assert report["model"]["predictors"]["model"]["needs"] == ["grade", "gaps"]  # type: ignore[index, call-overload]


def test_types_that_nobody_trusts_are_refused_and_listed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    io = pytest.importorskip("skops.io")
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = owners_table(150)
    model = HistGradientBoostingClassifier(max_iter=3).fit(table[["grade", "gaps"]], table["hired"])
    io.dump(model, place / "model.skops")
    error = told(capsys, *AUDIT, "--model", "model.skops", code=2)["error"]
    assert isinstance(error, dict)
    assert "TreePredictor" in error["problem"]
    told(capsys, *AUDIT, "--model", "model.skops", *error["mend"].removeprefix("if you trust them, pass ").split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "scorer:by_id", "--allow-python"], "it wants the column 'id'"),
        (["--model", "scorer:nobody", "--allow-python"], "has no 'nobody'"),
        (["--model", "absent:predict", "--allow-python"], "there is no module 'absent'"),
        (["--model", "model.pkl"], "pickles are never read"),
        (["--model", "model.skops"], "there is no file 'model.skops'"),
        ([], "a model, or worlds with its predictions of them, are audited"),
        (["--model", "scorer:predict", "--allow-python", "--attributes", "age"], "'age' is not a protected attribute"),
        (["--model", "scorer:predict", "--allow-python", "--carry", "nothing"], "there is no column 'nothing'"),
    ],
)
def test_a_mistake_is_one_message_before_anything_is_learned(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.setattr("cfair.cli._auditing.learn", lambda *_, **__: pytest.fail(f"learned in {place}"))
    assert message in str(told(capsys, *AUDIT, *words, code=2))


def test_options_that_worlds_which_are_written_have_no_use_for_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["audit", "--worlds", str(place), "--predictions", "scored.csv", "--bounds", "5", "--test-share", "0.2", "--quiet"]
    assert told(capsys, *given, code=2)["error"] == {
        "where": "--bounds, --test-share",
        "problem": "worlds that are written are audited as they are: nothing would come of it",
        "mend": "leave it out, give it to 'cfair worlds', or audit the model itself (--model)",
    }


def test_a_table_with_one_level_of_an_attribute_is_refused_before_anything_is_learned(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = owners_table(150)
    table[table["race"] == "w"].to_csv(place / "people.csv", index=False)
    for command in (["audit", "--model", "scorer:predict", "--allow-python"], ["worlds", "--out", "worlds"]):
        assert "'w' in every row" in str(told(capsys, command[0], *AUDIT[1:], *command[1:], code=2))


def test_a_carried_column_reaches_the_model(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = told(capsys, *AUDIT, "--model", "scorer:by_id", "--allow-python", "--carry", "id")
    assert place.exists()
    assert report["model"]["predictors"]["model"]["output"] == "score"  # type: ignore[index, call-overload]
    assert set(READ) < set(report["model"]["predictors"]["model"]["needs"])  # type: ignore[index, call-overload]


def test_the_model_of_a_run_moves_its_held_out_people(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(
        capsys,
        "fit",
        "--dag",
        "dag.yaml",
        "--data",
        "people.csv",
        "--out",
        "run",
        "--predictors",
        "full",
        "--head",
        "boosted",
        "--draws",
        "3",
    )
    report = told(capsys, "audit", "--run", "run", "--model", "scorer:predict", "--allow-python", "--draws", "3")
    assert report["data"]["audited_rows"] == 30  # type: ignore[index, call-overload]
    assert place.exists()
