"""``cfair explain``: one row of a run's table."""

import json
from pathlib import Path

import pandas as pd
import pytest

from cfair.cli import main
from cfair.data import to_frame
from cfair.pipeline import Options, fit
from cfair.store import save

from school import people, school


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and a run on it."""
    folder = tmp_path_factory.mktemp("explained")
    scm, columns = people(school("bernoulli"), 300)
    to_frame(scm.spec, columns).to_csv(folder / "people.csv", index=False)
    save(fit(scm.spec, columns, Options(predictors=("full", "latent"), draws=4)), folder / "run")
    return folder


def explained(run: Path, *more: str) -> int:
    return main(["explain", "--run", str(run / "run"), "--data", str(run / "people.csv"), "--draws", "20", *more])


def test_json_has_what_the_help_says_and_contributions_add_up(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(run, "--row", "17", "--predictor", "full", "--world", "race=b,sex=f", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {
        *("run", "schema", "model", "predictor", "outcome", "event", "row", "prediction", "sees", "needs", "factual"),
        *("latents", "worlds", "draws", "seed"),
    }
    (world,) = document["worlds"]
    assert world["world"] == "race=b,sex=f"
    assert sum(share["contribution"]["value"] for share in world["paths"]) == pytest.approx(world["change"]["value"], abs=1e-9)
    assert explained(run, "--row", "17") == 0
    words = capsys.readouterr().out
    assert "school: row 17" in words
    assert "What this rests on" in words


def test_a_whole_row_is_explained_whatever_others_lack_and_one_that_lacks_a_value_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(run / "people.csv").astype({"grade": float})
    table.loc[3, "grade"] = float("nan")
    table.to_csv(run / "gaps.csv", index=False)
    words = ["--data", str(run / "gaps.csv"), "--world", "sex=f", "--json"]
    assert explained(run, "--row", "4", *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert explained(run, "--row", "4", *words[2:]) == 0
    assert found == json.loads(capsys.readouterr().out)
    assert explained(run, "--row", "3", *words[:2]) == 2
    assert "row 3: it was left out when the table was read, for a missing value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--row", "300"), "none is at position 300"),
        (("--row", "0", "--predictor", "ful"), "there is no predictor 'ful'"),
        (("--row", "0", "--world", "race"), "'race' sets nothing"),
        (("--row", "0", "--world", "grade=1"), "'grade' is not a protected attribute"),
        (("--row", "0", "--world", "race=x"), "'x' is not one of its levels"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(run: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str) -> None:
    assert explained(run, *more) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
