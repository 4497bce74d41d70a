"""``cfair decompose``: without a table where nothing is to be learned, from tables, runs and files of predictions."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from cfair.cli import main
from cfair.data import to_frame
from cfair.effects import TERMS
from cfair.scm import SCM
from cfair.spec import load_spec
from cfair.worlds import simulate

FIXED = """
name: oracle
protected: [x]
outcome: y
nodes:
  u: {mechanism: table, levels: [0, 1], parameters: {probabilities: [{p: [0.5, 0.5]}]}}
  x: {mechanism: table, levels: [0, 1], parents: [u], parameters: {probabilities: [{u: 0, p: [0.5, 0.5]}, {u: 1, p: [0.4, 0.6]}]}}
  d: {mechanism: table, levels: [0, 1], parents: [x], parameters: {probabilities: [{x: 0, p: [0.5, 0.5]}, {x: 1, p: [0.3, 0.7]}]}}
  y:
    mechanism: gaussian
    parents: [x, d, u]
    parameters: {intercept: 0.0, weights: {x=1: 1.0, d=1: 5.0, u=1: 2.0}, scale: 1.0}
"""
FREE = """
name: free
protected: [a]
outcome: y
nodes:
  a: {mechanism: bernoulli, levels: ["no", "yes"]}
  m: {mechanism: gaussian, parents: [a]}
  y: {mechanism: gaussian, parents: [a, m]}
"""
ASKED = ["--attribute", "a", "--from", "no", "--to", "yes"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A declared model with all parameters and one without, and a table for the latter: direct 2, by m 1·1."""
    (tmp_path / "fixed.yaml").write_text(FIXED)
    (tmp_path / "free.yaml").write_text(FREE)
    dice = torch.Generator().manual_seed(0)
    a = (torch.rand(400, generator=dice) < 0.5).double()
    m = a + torch.randn(400, generator=dice, dtype=torch.float64)
    y = 2 * a + m + torch.randn(400, generator=dice, dtype=torch.float64)
    levels = ["yes" if each else "no" for each in a.tolist()]
    pd.DataFrame({"a": levels, "m": m.numpy(), "y": y.numpy(), "w": 1.0}).to_csv(tmp_path / "people.csv", index=False)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, object]:
    capsys.readouterr()
    assert main(["decompose", *map(str, words), "--json"]) == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_a_fixed_model_needs_no_table_and_discrete_nodes_are_exact(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, "--dag", folder / "fixed.yaml", "--attribute", "x", "--from", "0", "--to", "1", "--of", "d")
    assert found["method"] == "enumeration"
    assert found["te"] == {"value": pytest.approx(0.2), "low": pytest.approx(0.2), "high": pytest.approx(0.2)}
    assert set(TERMS) < set(found)
    assert found["data"] == {}


def test_a_fixed_model_with_numbers_is_simulated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dag", folder / "fixed.yaml", "--attribute", "x", "--from", "0", "--to", "1", "--people", "5000"]
    found = said(capsys, *words, "--along", "x->d->y", "--along", "x -> y")
    assert found["method"] == "common noise"
    assert [each["value"] for each in found["along"]] == [pytest.approx(1.0, abs=0.2), pytest.approx(1.0)]  # type: ignore[index, union-attr]


def test_a_table_is_learned_from_and_its_people_are_followed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dag", folder / "free.yaml", "--data", folder / "people.csv", *ASKED, "--draws", "1"]
    found = said(capsys, *words, "--source", "both", "--weights", "w")
    for term, value in {"te": 3.0, "nde": 2.0, "nie": -1.0}.items():
        assert found[term]["low"] - 0.2 < value < found[term]["high"] + 0.2  # type: ignore[index, operator]
    assert set(found["difference"]) == set(found["doubly_robust"]) - {"reverse", "trimmed"}  # type: ignore[arg-type, call-overload]
    assert found["data"]["weights"] == "w"  # type: ignore[index, call-overload]
    assert main(["decompose", *map(str, words)]) == 0
    printed = capsys.readouterr().out
    assert "free: a from no (x0) to yes (x1), effect on y" in printed
    assert "a -> m -> y" in printed


def test_predictions_from_a_file_have_a_disparity_and_no_more_without_their_map(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = pd.read_csv(folder / "people.csv")
    shuffled = pd.DataFrame({"row": range(400), "score": people["m"] * 2}).sample(frac=1, random_state=0)
    shuffled.to_csv(folder / "scores.csv", index=False)
    words = ["--dag", folder / "free.yaml", "--data", folder / "people.csv", *ASKED]
    words += ["--predictions", folder / "scores.csv", "--column", "score"]
    found = said(capsys, *words)
    means = people.groupby("a")["m"].mean() * 2
    assert found["tv"]["value"] == pytest.approx(means["yes"] - means["no"])  # type: ignore[index, call-overload]
    assert found["te"] == {"value": None, "low": None, "high": None}
    assert {each["term"] for each in found["not_identified"]} == set(TERMS) - {"tv"}  # type: ignore[index, union-attr]
    rows = said(capsys, *words, "--source", "doubly_robust")
    assert rows["te"]["value"] == pytest.approx(means["yes"] - means["no"])  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda table: table.iloc[1:], "1 of 400 people have no prediction, the first of them row 0"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "1 people have more than one prediction"),
        (lambda table: table.assign(row=table["row"] + 1), "names no row"),
        (lambda table: table.drop(columns="row").iloc[1:], "399 predictions of 400 rows"),
        (lambda table: table.assign(score=[float("nan"), *table["score"][1:]]), "1 predictions are missing"),
        (lambda table: table.rename(columns={"score": "scores"}), "no column 'score'"),
    ],
)
def test_predictions_that_do_not_fit_the_people_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], change: object, match: str
) -> None:
    table = pd.DataFrame({"row": range(400), "score": 1.0})
    change(table).to_csv(folder / "scores.csv", index=False)  # type: ignore[operator]
    words = ["--dag", folder / "free.yaml", "--data", folder / "people.csv", *ASKED]
    words += ["--predictions", folder / "scores.csv", "--column", "score"]
    assert main(["decompose", *map(str, words)]) == 2
    assert match in capsys.readouterr().err


def test_a_runs_predictor_is_taken_apart_on_its_held_out_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dag, run = str(folder / "free.yaml"), folder / "run"
    assert main(["fit", "--dag", dag, "--data", str(folder / "people.csv"), "--out", str(run), "--predictors", "full", "--quiet"]) == 0
    words = ["--run", run, "--predictor", "full", *ASKED, "--draws", "1"]
    found = said(capsys, *words, "--along", "a->m->prediction")
    assert found["of"] == "prediction"
    assert found["data"]["used_rows"] == 80  # type: ignore[index, call-overload]
    assert found["te"]["value"] == pytest.approx(3.0, abs=0.6)  # type: ignore[index, call-overload]
    assert said(capsys, *words, "--dag", dag)["te"] == found["te"]
    assert main(["decompose", *map(str, words), "--dag", str(folder / "fixed.yaml")]) == 2
    assert "another model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--dag", "free.yaml", *ASKED, "--along", "a->y->m"], "no edge y -> m"),
        (["--dag", "free.yaml", "--attribute", "b", "--from", "0", "--to", "1"], "'b' is not a node"),
        (["--dag", "free.yaml", "--attribute", "a", "--from", "no", "--to", "may"], "'may' is not one of its levels"),
        (["--dag", "free.yaml", *ASKED, "--predictor", "full"], "Give --run"),
        (ASKED, "no model is named"),
        (["--dag", "free.yaml", *ASKED, "--of", "y", "--predictions", "scores.csv"], "Ask for one of them"),
        (["--dag", "free.yaml", *ASKED, "--learners", "forest", "--source", "both"], "'forest' names no learners"),
        (["--dag", "free.yaml", *ASKED, "--learners", "forest"], "'forest' names no learners"),
        (["--dag", "free.yaml", *ASKED, "--draws", "0"], "draws: 0 is below 1"),
        (["--dag", "free.yaml", *ASKED, "--column", "score"], "Give --predictions, or leave it out"),
    ],
)
def test_a_mistake_is_exit_2_with_its_mend(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], match: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("cfair.cli._decomposing.learn", lambda *_, **__: pytest.fail("a model was learned first"))
    data = ["--data", "./people.csv"] if "--dag" in words else []
    assert main(["decompose", *words, *data]) == 2
    assert match in capsys.readouterr().err


def test_a_table_in_which_nobody_has_one_of_the_levels_is_refused_before_anything_is_learned(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cfair.cli._decomposing.learn", lambda *_, **__: pytest.fail("a model was learned first"))
    table = pd.read_csv(folder / "people.csv")
    table[table["a"] == "no"].to_csv(folder / "one.csv", index=False)
    assert main(["decompose", "--dag", str(folder / "free.yaml"), "--data", str(folder / "one.csv"), *ASKED]) == 2
    assert "nobody has 'yes'. Compare two of: no" in capsys.readouterr().err


def test_the_simulated_table_of_a_fixed_model_agrees_with_the_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = load_spec(folder / "fixed.yaml")
    world = simulate(SCM(spec), 3_000, seed=1)
    to_frame(spec, {node: world.values[node][0] for node in spec.observed}).to_csv(folder / "drawn.csv", index=False)
    words = ["--dag", folder / "fixed.yaml", "--data", folder / "drawn.csv", "--attribute", "x", "--from", "0", "--to", "1", "--draws", "1"]
    found = said(capsys, *words)
    assert found["method"] == "common noise"
    assert abs(found["te"]["value"] - 2.0) < 5 / 1.96 * (found["te"]["value"] - found["te"]["low"]) + 1e-9  # type: ignore[index, call-overload, operator]
