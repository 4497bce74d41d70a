"""An outcome of several levels along the whole line: learn, fit, store, predict, report, explain, decompose, draw."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from cfair.auditing import Report, audit
from cfair.cli import main
from cfair.comparing import Row
from cfair.data import builtin_path, read_table, to_frame
from cfair.effects import decompose, prediction_of
from cfair.errors import QueryError
from cfair.explaining import explain
from cfair.inference import abduct, learn
from cfair.interfaces import Columns
from cfair.metrics import decide_level
from cfair.pipeline import Options, fit
from cfair.plot import densities, gaps
from cfair.predictors import PREDICTORS
from cfair.report import to_explanation, to_markdown, to_table
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.store import Run, load, save
from cfair.worlds import counterfactual

from oracles import declare
from oracles import people as simulated
from school import SEVERAL, people, school

QUICK = Options(draws=4, min_group_size=5, uncertainty="none")
LEVELS = ("fail", "pass", "honours")
COLUMNS = [f"prediction[{level}]" for level in LEVELS]


def learned(outcome: str) -> ModelSpec:
    """The school with everything left to be learned."""
    return free(SCM(school(outcome)))


@pytest.fixture(scope="module", params=SEVERAL)
def run(request: pytest.FixtureRequest) -> tuple[Run, Columns]:
    columns = people(school(request.param), 400)[1]
    return fit(learned(request.param), columns, QUICK), columns


def printed(drawn: object) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(drawn)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_stored_run_predicts_a_column_per_level_bit_for_bit(run: tuple[Run, Columns], tmp_path: Path) -> None:
    fitted, columns = run
    table = to_frame(fitted.spec, columns).rename(index=lambda i: i + 7)
    again = load(save(fitted, tmp_path / "run"))
    for name in fitted.predictors:
        found = again.predict(table, name)
        assert isinstance(found, pd.DataFrame)
        assert list(found.columns) == COLUMNS
        assert found.index.equals(table.index)
        pd.testing.assert_frame_equal(found, fitted.predict(table, name))
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_allclose(found.to_numpy(), fitted.predictors[name].deploy(columns, columns.n).numpy(), atol=1e-12)


def test_rows_that_lack_values_are_predicted_by_what_is_integrated_out(run: tuple[Run, Columns]) -> None:
    fitted, columns = run
    table = to_frame(fitted.spec, columns).head(12)
    table.loc[::3, "age"] = np.nan
    for name in ("latent", "unaware"):
        found = fitted.predict(table, name, missing="latent")
        assert isinstance(found, pd.DataFrame)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-9)
        whole = fitted.predict(table.dropna(), name)
        np.testing.assert_allclose(found.loc[table["age"].notna()], whole, atol=1e-9)


def test_predictions_in_a_file_have_a_row_per_person_and_a_column_per_level(run: tuple[Run, Columns], tmp_path: Path) -> None:
    fitted, columns = run
    save(fitted, tmp_path / "run")
    to_frame(fitted.spec, columns).to_csv(tmp_path / "people.csv", index=False)
    words = ["predict", "--run", str(tmp_path / "run"), "--data", str(tmp_path / "people.csv"), "--predictor", "latent"]
    assert main([*words, "--out", str(tmp_path / "found.parquet")]) == 0
    found = pd.read_parquet(tmp_path / "found.parquet")
    assert list(found.columns) == ["row", *COLUMNS]
    assert found["row"].tolist() == list(range(400))


def test_a_report_says_in_every_form_what_levels_are_compared(run: tuple[Run, Columns]) -> None:
    report = run[0].report
    text, whole = " ".join(printed(to_table(report)).split()), to_markdown(report)
    for words in (text, whole):
        assert "total variation distance of the probabilities of fail, pass, honours" in words
        assert "macro: the mean over levels" in words
        assert "nan" not in words.replace("nance", "")
    assert "Selection rate of honours" in text
    assert "full[honours]" not in text, "levels by themselves are in report.md"
    assert "| full[honours] | same noise |" in whole
    assert "each of which is in report.md" in text
    assert "| full | honours |" in whole
    assert "figures have no value; each stands with its reason in report.md" in text
    assert "figures have no value" not in whole
    assert "## Mean residual of pass by race" in whole
    assert "AUC" in text


def row_of(report: Report, predictor: str, measure: str) -> Row:
    (row,) = [row for row in report.rows if (row.predictor, row.measure, row.attribute) == (predictor, measure, None)]
    return row


def test_an_explanation_is_of_the_likeliest_level_or_of_the_one_that_is_named(run: tuple[Run, Columns]) -> None:
    fitted, columns = run
    p = fitted.predictors["full"].deploy(columns.take(torch.tensor([3])), 1)[0]
    found = explain(fitted.scm, fitted.predictors, columns, 3, predictor="full", worlds=[{"race": "b", "sex": "f"}], draws=20)
    assert found.event == LEVELS[int(p.argmax())]
    assert found.prediction == pytest.approx(float(p.max()), abs=1e-12)
    assert found.classes == pytest.approx(dict(zip(LEVELS, p.tolist(), strict=True)), abs=1e-12)
    named = explain(
        fitted.scm, fitted.predictors, columns, 3, predictor="full", level="honours", worlds=[{"race": "b", "sex": "f"}], draws=20
    )
    (world,) = named.worlds
    assert sum(share.contribution.value for share in world.paths) == pytest.approx(world.change.value, abs=1e-9)
    after = counterfactual(fitted.scm, abduct(fitted.scm, columns.take(torch.tensor([3])), draws=20), {"race": "b", "sex": "f"})
    moved = fitted.predictors["full"].predict(after)[:, 0]
    assert world.prediction.value == pytest.approx(float(moved[:, 2].mean()), abs=1e-12)
    assert world.classes == pytest.approx(dict(zip(LEVELS, moved.mean(0).tolist(), strict=True)), abs=1e-12)
    assert world.flips == pytest.approx(float((decide_level(moved) != p.argmax()).double().mean()), abs=1e-12)
    assert "Its probabilities: fail" in printed(to_explanation(named))
    assert set(named.to_json()) - set(replace(named, classes={}).to_json()) == {"classes"}
    with pytest.raises(QueryError, match="Did you mean 'honours'"):
        explain(fitted.scm, fitted.predictors, columns, 3, predictor="full", level="honour")


def test_a_decomposition_is_of_the_probability_of_one_level_and_levels_cancel(run: tuple[Run, Columns]) -> None:
    fitted, columns = run
    some, total = columns.take(slice(0, 120)), dict.fromkeys(("tv", "te", "nde", "ctf_se"), 0.0)
    for level in LEVELS:
        asked = prediction_of(fitted.spec, fitted.predictors["full"], level=level)
        found = decompose(fitted.scm, some, attribute="sex", start="m", end="f", prediction=asked, along=(), draws=3)
        assert found.of == f"prediction[{level}]"
        total = {term: value + found.terms[term].value for term, value in total.items()}
    assert total == pytest.approx(dict.fromkeys(total, 0.0), abs=1e-12)
    with pytest.raises(QueryError, match=r"one has to be chosen.*Name one of: fail, pass, honours"):
        prediction_of(fitted.spec, fitted.predictors["full"])
    with pytest.raises(QueryError, match="has not several levels"):
        prediction_of(school("bernoulli"), fitted.predictors["full"], level="pass")


def test_each_level_has_a_panel_of_its_own_and_matrices_of_its_own_gaps(run: tuple[Run, Columns]) -> None:
    fitted, columns = run
    factual = abduct(fitted.scm, columns.take(slice(0, 50)), draws=4)
    worlds = [factual, counterfactual(fitted.scm, factual, {"race": "b"})]
    drawn = densities({"full": fitted.predictors["full"]}, worlds).to_dict()
    (rows,) = drawn["datasets"].values()
    assert {row["predictor"] for row in rows} == {f"full[{level}]" for level in LEVELS}
    assert gaps(fitted.report, "full[honours]", "race").to_dict()
    assert fitted.report.matrix("full", "race").shape == (3, 3)


@pytest.fixture(scope="module")
def softmax() -> tuple[SCM, Columns]:
    """y has three levels, of softmax scores 0, -0.5 + a + 0.8·x and 0.3 - 0.6·a - x."""
    nodes = {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.2, "weights": {}}},
        "x": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=yes": 0.7}, "scale": 1.0}},
        "y": {
            "mechanism": "categorical",
            "levels": ["low", "mid", "high"],
            "parents": ["a", "x"],
            "parameters": {
                "mid": {"intercept": -0.5, "weights": {"a=yes": 1.0, "x": 0.8}},
                "high": {"intercept": 0.3, "weights": {"a=yes": -0.6, "x": -1.0}},
            },
        },
    }
    scm = SCM(declare(nodes))
    return scm, simulated(scm, 20_000)


def free(scm: SCM) -> ModelSpec:
    """Its declaration with everything left to be learned."""
    graph = scm.spec.to_graph()
    for node in graph:
        graph.nodes[node].pop("parameters", None)
    return ModelSpec.from_graph(graph)


def test_full_finds_the_probabilities_that_made_the_outcome_within_standard_errors(softmax: tuple[SCM, Columns]) -> None:
    """By the delta method, from the information of the truth: the standard error of each person's three probabilities."""
    scm, columns = softmax
    design = torch.stack([torch.ones(columns.n), columns["a"], columns["x"]], -1).double()
    truth = torch.tensor([[0.0, 0.0, 0.0], [-0.5, 1.0, 0.8], [0.3, -0.6, -1.0]]).double()
    p = (design @ truth.T).softmax(-1)
    spread = torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)
    information = torch.einsum("ia,icd,ib->cadb", design, spread[:, 1:, 1:], design).reshape(6, 6)
    slope = torch.einsum("icd,ia->icda", spread[:, :, 1:], design).reshape(columns.n, 3, 6)
    error = torch.einsum("ick,kl,icl->ic", slope, information.inverse(), slope).sqrt()
    predictor = PREDICTORS["full"](scm).fit([abduct(scm, columns, draws=1)], columns["y"])
    apart = (predictor.deploy(columns, columns.n) - p).abs() / error
    assert apart.max() <= 5
    assert apart.mean() < 2, "what is 1 standard error off on average would be 0.8"
    assert error.max() < 0.03


def test_the_gap_of_full_is_that_of_the_truth_for_people_whose_noise_is_known(softmax: tuple[SCM, Columns]) -> None:
    """x' = x + 0.7·(a' − a), so that the true probabilities move by a known amount; what was learned is off by its own errors."""
    scm, columns = softmax
    predictor = PREDICTORS["full"](scm).fit([abduct(scm, columns, draws=1)], columns["y"])
    factual = abduct(scm, columns, draws=1)
    moves = (predictor.predict(counterfactual(scm, factual, {"a": "yes"})) - predictor.predict(factual))[0, columns["a"] == 0]
    x = columns["x"][columns["a"] == 0]
    before, after = (torch.stack([0 * z, -0.5 + a + 0.8 * z, 0.3 - 0.6 * a - z], -1).softmax(-1) for a, z in ((0.0, x), (1.0, x + 0.7)))
    expected = (after - before).abs().sum(-1).mean() / 2
    assert float(moves.abs().sum(-1).mean() / 2) == pytest.approx(float(expected), abs=0.02)


SCORES = """
name: compas_score
protected: [race, sex]
outcome: risk
nodes:
  age: {mechanism: gaussian}
  race: {mechanism: bernoulli, levels: [caucasian, non_caucasian], parents: [age]}
  sex: {mechanism: bernoulli, levels: [male, female], parents: [age]}
  priors_count: {mechanism: negative_binomial, parents: [age, race, sex]}
  risk: {mechanism: ordinal, levels: [Low, Medium, High], parents: [age, race, sex, priors_count]}
"""


def test_a_real_outcome_of_three_levels_goes_from_the_shell_to_a_decomposition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """COMPAS's own words for its deciles: Low up to 4, Medium up to 7, High."""
    table = pd.read_parquet(builtin_path("compas")).head(2_000)
    table["risk"] = pd.cut(table["decile_score"], [0, 4, 7, 10], labels=["Low", "Medium", "High"]).astype(str)
    table.to_csv(tmp_path / "compas.csv", index=False)
    (tmp_path / "dag.yaml").write_text(SCORES)
    dag, data, run = (str(tmp_path / name) for name in ("dag.yaml", "compas.csv", "run"))
    assert main(["check", dag]) == 0
    assert "risk: each of 3 levels is predicted by its probability" in capsys.readouterr().out
    words = ["--predictors", "constant,full,nondescendants", "--draws", "3", "--uncertainty", "none", "--quiet"]
    assert main(["fit", "--dag", dag, "--data", data, "--out", run, *words]) == 0
    report = load(run).report
    constant, full = (row_of(report, name, "accuracy").value or 0.0 for name in ("constant", "full"))
    assert full > constant + 0.05
    frame = report.to_frame().set_index(["predictor", "measure", "attribute"])["value"]
    assert frame["nondescendants", "gap_same_noise_worst", "race"].item() == 0
    assert frame["full", "gap_same_noise_worst", "race"].item() > 0.05
    assert frame["full", "demographic_parity_difference[High]", "race"].item() > 0.02
    asked = ["--attribute", "race", "--from", "caucasian", "--to", "non_caucasian", "--draws", "1", "--json", "--quiet"]
    capsys.readouterr()
    assert main(["decompose", "--run", run, "--predictor", "full", "--level", "High", *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["of"] == "prediction[High]"
    assert found["tv"]["value"] > 0.02
    for words, said in ((["--predictor", "full"], "Name one of: Low, Medium, High"), (["--level", "High"], "Give --predictor")):
        assert main(["decompose", "--run", run, *words, *asked[:-2]]) == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_several_splits_give_means_of_what_each_level_has(softmax: tuple[SCM, Columns]) -> None:
    spec, some = free(softmax[0]), softmax[1].take(slice(0, 200))
    work = replace(QUICK, splits=2, predictors=("full", "constant"))
    several = fit(spec, some, work).report
    parts = [fit(spec, some, replace(work, splits=1, seed=1_000_003 * k)).report for k in range(2)]
    for key in (("full", "brier"), ("full", "accuracy_minus_constant")):
        mean = sum(row_of(part, *key).value or 0.0 for part in parts) / 2
        assert row_of(several, *key).value == pytest.approx(mean, abs=1e-12)


def test_frozen_predictors_move_by_the_mean_distance_in_worlds_of_drawn_parameters(softmax: tuple[SCM, Columns]) -> None:
    """Of a function of the row with additive noise: x' = x + w·(a' - a) at each draw's own w, the head as it was fitted."""
    scm, columns = softmax
    some = columns.take(slice(0, 300))
    drawn = learn(free(scm), some, uncertainty="laplace")
    predictor = PREDICTORS["full"](drawn).fit([abduct(drawn, some, draws=1)], some["y"])
    report = audit(drawn, {"full": predictor}, some, draws=2, parameter_draws=3)
    weights = drawn.uncertainty.log_weights[:3].softmax(0)  # type: ignore[union-attr]
    first = some["a"] == 0
    before, sizes = predictor.deploy(some, 300)[first], []
    for s in range(3):
        w = drawn.drawn(s).parameters_in_units()["x"]["weights"]["a=yes"]  # type: ignore[index, call-overload]
        rows = {"a": torch.ones(int(first.sum())).double(), "x": some["x"][first] + w}
        sizes.append((predictor.deploy(rows, len(rows["x"])) - before).abs())
    for name, of in {"full": lambda each: each.sum(-1) / 2, "full[mid]": lambda each: each[:, 1]}.items():
        expected = sum(float(v) * float(of(size).mean()) for v, size in zip(weights, sizes, strict=True))
        (row,) = [row for row in report.rows if (row.predictor, row.measure, row.world, row.group) == (name, "gap_frozen", "a=yes", "no")]
        assert row.value == pytest.approx(expected, abs=1e-9)


def test_a_table_whose_outcome_lacks_a_declared_level_predicts_it_with_probability_0() -> None:
    columns = people(school("categorical"), 300)[1]
    table = to_frame(school("categorical"), columns)
    table = table[table["y"] != "honours"]
    read = read_table(table, learned("categorical"))
    found = fit(learned("categorical"), read, replace(QUICK, predictors=("full", "constant")))
    probabilities = found.predict(table, "full")
    assert isinstance(probabilities, pd.DataFrame)
    assert (probabilities["prediction[honours]"] == 0).all()
    assert all(row.value is None or np.isfinite(row.value) for row in found.report.rows)
