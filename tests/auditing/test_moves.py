"""How deployed predictions move, against direct computations and closed forms."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from cfair.auditing import Report, Row, audit
from cfair.auditing.gaps import EPSILON
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor
from cfair.metrics import wasserstein
from cfair.pipeline import Options, fit
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual, simulate

from oracles import declare
from school import columns_of, people, school

DRAWS = 6


@cache
def audited(outcome: str) -> tuple[SCM, dict[str, Predictor], Columns, Report]:
    scm, train = people(school(outcome), 400)
    worlds = [abduct(scm, train, draws=4)]
    predictors = {name: PREDICTORS[name](scm).fit(worlds, train["y"]) for name in ("unaware", "latent")}
    _, test = people(school(outcome), 300, seed=1)
    test = replace(test, weights=torch.linspace(0.2, 2.0, 300, dtype=torch.float64))
    return scm, predictors, test, audit(scm, predictors, test, draws=DRAWS, min_group_size=10, name_most_moved=3)


def found(report: Report, predictor: str, measure: str, attribute: str, group: str | None, world: str | None) -> Row:
    key = (predictor, measure, attribute, group, world)
    (row,) = (row for row in report.rows if (row.predictor, row.measure, row.attribute, row.group, row.world) == key)
    return row


def moved(outcome: str, name: str, do: dict[str, str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Who is moved to race b, their deployed predictions before, and after in each draw, and their weights."""
    scm, predictors, test, _ = audited(outcome)
    chosen = test["race"] == 0
    before = predictors[name].deploy(test, test.n)[chosen]
    after = counterfactual(scm, abduct(scm, test, draws=DRAWS), do)
    rows = {node: after.values[node][:, chosen].reshape(-1) for node in predictors[name].needs}
    assert test.weights is not None
    return chosen, before, predictors[name].deploy(rows, DRAWS * len(before)).reshape(DRAWS, -1), test.weights[chosen]


@pytest.mark.parametrize("name", ["unaware", "latent"])
def test_decisions_flip_and_distributions_part_as_counted_one_by_one(name: str) -> None:
    _, before, after, weights = moved("bernoulli", name, {"race": "b"})
    report = audited("bernoulli")[3]
    flips = (before >= 0.5) != (after.mean(0) >= 0.5)
    share = found(report, name, "flip_rate", "race", "w", "race=b")
    assert share.value == pytest.approx(float((weights * flips).sum() / weights.sum()), abs=1e-12)
    assert share.low is not None
    assert share.high is not None
    assert 0 <= share.low <= share.value <= share.high <= 1
    apart = found(report, name, "wasserstein", "race", "w", "race=b")
    expected = wasserstein_distance(before, after.mean(0), weights, weights)
    assert apart.value == pytest.approx(expected, abs=1e-10)
    assert apart.value <= found(report, name, "gap_reabducted", "race", "w", "race=b").value + 1e-12  # type: ignore[operator]


@pytest.mark.parametrize("outcome", ["gaussian", "bernoulli"])
def test_the_curve_says_how_often_a_prediction_moves_by_more(outcome: str) -> None:
    _, before, after, weights = moved(outcome, "unaware", {"race": "b"})
    report, y = audited(outcome)[3], audited(outcome)[2]["y"]
    (curve,) = (c for c in report.curves if (c.predictor, c.attribute, c.group, c.world) == ("unaware", "race", "w", "race=b"))
    unit = float(y.std(correction=0)) if outcome == "gaussian" else 1.0
    for k, epsilon in enumerate(EPSILON):
        delta = ((after - before).abs() > epsilon * unit).double().mean(0)
        assert curve.epsilon[k] == pytest.approx(epsilon * unit)
        assert curve.delta[k] == pytest.approx(float((weights * delta).sum() / weights.sum()), abs=1e-12)
        assert curve.share[k] == pytest.approx(float((weights * (delta > 0.05)).sum() / weights.sum()), abs=1e-12)
    assert list(curve.delta) == sorted(curve.delta, reverse=True)
    assert Report.from_json(report.to_json()) == report


def test_those_who_move_most_are_named_only_when_asked() -> None:
    scm, predictors, test, report = audited("bernoulli")
    (named,) = [report.data["most_moved"]]
    assert isinstance(named, dict)
    first, second, _ = named["unaware"]  # type: ignore[index, misc]
    assert abs(first["change"]) >= abs(second["change"]) > 0  # type: ignore[index, call-overload, arg-type]
    assert "most_moved" not in audit(scm, predictors, test, draws=2).data


def test_the_distance_has_the_standard_error_of_repeated_samples() -> None:
    source = np.random.default_rng(0)
    values = []
    for _ in range(400):
        x = source.normal(size=200)
        measured = wasserstein(torch.from_numpy(x), torch.from_numpy(1.5 * x + 1.0 + 0.3 * source.normal(size=200)))
        values.append((measured.value, float(measured.influence.square().mean().sqrt()) / 200**0.5))
    told, seen = np.mean([error for _, error in values]), np.std([value for value, _ in values])
    assert told == pytest.approx(seen, rel=5 / (2 * 400) ** 0.5)


def test_the_distance_is_0_where_people_trade_places() -> None:
    x = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert wasserstein(x, x.flip(0)).value == pytest.approx(0.0, abs=1e-15)
    assert wasserstein(x, x + 2).value == pytest.approx(2.0)


@cache
def numbers() -> tuple[SCM, Columns, Predictor]:
    """A protected attribute that is a number, one that is a count, and one that has levels."""
    nodes = {
        "income": {"mechanism": "gaussian", "parameters": {"intercept": 3.0, "weights": {}, "scale": 2.0}},
        "children": {"mechanism": "poisson", "parameters": {"intercept": 0.5, "weights": {}}},
        "sex": {"mechanism": "bernoulli", "levels": ["m", "f"], "parameters": {"intercept": 0.0, "weights": {}}},
        "x": {
            "mechanism": "gaussian",
            "parents": ["income", "children", "sex"],
            "parameters": {"intercept": 1.0, "weights": {"income": 0.5, "children": -0.3, "sex=f": 1.0}, "scale": 1.0},
        },
        "y": {
            "mechanism": "gaussian",
            "parents": ["x", "income"],
            "parameters": {"intercept": 0.0, "weights": {"x": 2.0, "income": 1.0}, "scale": 1.0},
        },
    }
    scm = SCM(declare(nodes, protected=["income", "children", "sex"]))
    world = simulate(scm, 2_000, seed=3)
    columns = columns_of({node: world.values[node][0] for node in scm.spec.observed})
    return scm, columns, PREDICTORS["full"](scm).fit([abduct(scm, columns, draws=1)], columns["y"])


def slope(predictor: Predictor, columns: Columns, node: str, by: float) -> float:
    """How much the linear predictor changes per unit of ``node``, its child x moving along by ``by``."""
    row = {name: columns[name][:1] for name in predictor.needs}
    changed = {**row, node: row[node] + 1, "x": row["x"] + by}
    return float(predictor.deploy(changed, 1) - predictor.deploy(row, 1))


def test_a_linear_predictor_responds_to_a_number_along_a_line() -> None:
    scm, columns, full = numbers()
    report = audit(scm, {"full": full}, columns, draws=2)
    by = slope(full, columns, "income", 0.5)
    rows = [row for row in report.rows if (row.measure, row.attribute) == ("response", "income")]
    points = [float(str(row.world).partition("=")[2]) for row in rows]
    ends = np.quantile(columns["income"].numpy(), [0.025, 0.975])
    assert points == pytest.approx(np.linspace(*ends, 9), abs=0.06)
    mean = float(full.deploy(columns, columns.n).mean())
    for point, row in zip(points, rows, strict=True):
        assert row.value == pytest.approx(mean + by * (point - float(columns["income"].mean())), abs=1e-4)
        assert found(report, "full", "response_slope", "income", None, row.world).value == pytest.approx(by, abs=1e-9)
        gap = abs(by) * (point - columns["income"]).abs().mean()
        for measure in ("gap_same_noise", "gap_reabducted"):
            assert found(report, "full", measure, "income", None, row.world).value == pytest.approx(float(gap), abs=1e-4)
    span = found(report, "full", "response_span", "income", None, None)
    assert span.value == pytest.approx(abs(by) * (points[-1] - points[0]), abs=1e-4)
    assert found(report, "full", "response_span_of_mean", "income", None, None).value == pytest.approx(span.value)
    worst = found(report, "full", "gap_same_noise_worst", "income", None, None).value
    assert worst == max(row.value for row in report.rows if (row.measure, row.attribute) == ("gap_same_noise", "income"))
    assert found(report, "full", "gap_same_noise", "sex", "m", "sex=f").value == pytest.approx(
        abs(slope(full, columns, "sex", 1.0)), abs=1e-9
    )


def test_a_count_responds_at_whole_numbers_and_a_user_may_name_the_points() -> None:
    scm, columns, full = numbers()
    report = audit(scm, {"full": full}, columns, draws=1, points={"income": [0.0, 4.0]})
    worlds = {
        attribute: [row.world for row in report.rows if (row.measure, row.attribute) == ("response", attribute)]
        for attribute in ("income", "children")
    }
    assert worlds["income"] == ["income=0", "income=4"]
    assert worlds["children"] == [f"children={k}" for k in range(5)]
    for points in ({"income": [1.0, 1.0]}, {"children": [0.5]}, {"sex": [0.0]}, {"income": [float("nan")]}):
        with pytest.raises(QueryError, match="points"):
            audit(scm, {"full": full}, columns, draws=1, points=points)


@pytest.mark.slow
def test_a_whole_run_has_response_curves_with_frozen_gaps_over_splits() -> None:
    scm, columns, _ = numbers()
    declared = scm.spec.to_graph()
    for node in ("x", "y"):
        del declared.nodes[node]["parameters"]
    run = fit(ModelSpec.from_graph(declared), columns, Options(predictors=("constant", "full", "residual"), draws=1, splits=2))
    row = next(row for row in run.report.rows if (row.predictor, row.measure, row.attribute) == ("full", "gap_frozen", "income"))
    assert row.value is not None
    assert row.value > 0
    assert {row.measure for row in run.report.rows if row.attribute == "children"} >= {
        "response",
        "response_span",
        "gap_frozen_worst",
        "gap_own_model",
    }


def test_a_matrix_has_a_line_per_group_and_a_column_per_world() -> None:
    report = audited("gaussian")[3]
    matrix = report.matrix("unaware", "race", measure="gap_same_noise")
    assert list(matrix.index) == ["w", "b", "h"]
    assert list(matrix.columns) == ["race=w", "race=b", "race=h"]
    assert matrix.loc["b", "race=h"] == found(report, "unaware", "gap_same_noise", "race", "b", "race=h").value
    assert np.isnan(matrix.loc["b", "race=b"])
    with pytest.raises(QueryError, match="no pairs of groups of the measure 'rmse'"):
        report.matrix("unaware", "race", measure="rmse")
