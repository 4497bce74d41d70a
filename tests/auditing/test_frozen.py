"""The gap of frozen predictors in drawn worlds, against closed forms and against audits of each world by itself."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import log

import pytest
import torch
from torch import Tensor

from cfair.auditing import Report, audit, frozen
from cfair.auditing.crossing import crossing_of
from cfair.auditing.followed import followed
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.uncertainty import Uncertainty

from oracles import declare
from school import OUTCOMES, people, school

N, DRAWS = 250, 4  # as many draws as so few rows get: then the noise is that of the other gaps
SHIFTS = (-0.3, 0.0, 0.45)
WEIGHTS = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
everywhere = pytest.mark.parametrize(("name", "outcome"), [(name, outcome) for name in PREDICTORS for outcome in OUTCOMES])


def uncertain(spec: ModelSpec, drawn: Sequence[ModelSpec], weights: Tensor | None = None) -> SCM:
    """The SCM of ``spec``, every parameter of which is fixed, with the parameters of other specs as its draws."""
    scm, others = SCM(spec), [SCM(each).mechanisms for each in drawn]
    draws = {
        node: {name: torch.stack([dict(other[node].named_parameters())[name].detach() for other in others]) for name, _ in own}
        for node, mechanism in scm.mechanisms.items()
        if (own := list(mechanism.named_parameters()))
    }
    even = torch.zeros(len(drawn), dtype=torch.float64).log_softmax(0)
    scm.uncertainty = Uncertainty("laplace", draws, even if weights is None else weights.log())
    return scm


def found(report: Report, predictor: str, measure: str, *place: str | None) -> float:
    key = (predictor, measure, *place)
    (value,) = [row.value for row in report.rows if (row.predictor, row.measure, row.attribute, row.group, row.world) == key]
    assert value is not None
    return value


def line(w: float, *, loading: float = 0.8, scale: float = 0.6) -> ModelSpec:
    """x = 0.5 + w·a + loading·k + scale·u,  y = 1 + 0.7·a + 1.5·k + u_y."""
    return declare(
        {
            "a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.3, "weights": {}}},
            "k": {"mechanism": "gaussian", "latent": True},
            "x": {
                "mechanism": "gaussian",
                "parents": ["a", "k"],
                "parameters": {"intercept": 0.5, "weights": {"a=yes": w, "k": loading}, "scale": scale},
            },
            "y": {
                "mechanism": "gaussian",
                "parents": ["a", "k"],
                "parameters": {"intercept": 1.0, "weights": {"a=yes": 0.7, "k": 1.5}, "scale": 1.0},
            },
        }
    )


def least_squares(columns: Columns, target: str, *regressors: Tensor) -> Tensor:
    design = torch.stack([torch.ones(columns.n, dtype=torch.float64), *regressors], 1)
    return torch.linalg.lstsq(design, columns[target]).solution


NAMES = ("full", "unaware", "latent_posterior_mean", "residual")


def in_closed_form(scm: SCM, columns: Columns, w: float, true: float) -> dict[str, float]:
    """f(x', yes) − f(x, no) when x' = x + true, for predictors by least squares and a posterior mean that believe in ``w``."""
    a, x = columns["a"], columns["x"]
    _, by_a, by_x = least_squares(columns, "y", a, x).tolist()
    alone = float(least_squares(columns, "y", x)[1])
    believed = 0.8 * (x - 0.5 - w * a) / (0.8**2 + 0.6**2)
    slope = float(least_squares(columns, "y", believed)[1])
    base, effect = least_squares(columns, "x", a).tolist()
    return {
        "full": by_a + by_x * true,
        "unaware": alone * true,
        "latent_posterior_mean": slope * 0.8 / (0.8**2 + 0.6**2) * (true - w),
        "residual": float(least_squares(columns, "y", x - base - effect * a)[1]) * (true - effect),
    }


@pytest.mark.parametrize("true", [1.2, 1.5, 1.9])
def test_in_a_linear_gaussian_model_it_is_the_slope_times_the_error_of_the_effect(true: float) -> None:
    scm = uncertain(line(1.5), [line(true)])
    _, columns = people(line(1.5), 400)
    predictors = {name: PREDICTORS[name](scm).fit([abduct(scm, columns, draws=2)], columns["y"]) for name in NAMES}
    report = audit(scm, predictors, columns, draws=3)
    for name, move in in_closed_form(scm, columns, 1.5, true).items():
        assert found(report, name, "gap_frozen", "a", "no", "a=yes") == pytest.approx(abs(move), abs=1e-8), name
        assert found(report, name, "gap_frozen_signed", "a", "yes", "a=no") == pytest.approx(-move, abs=1e-8)
        assert found(report, name, "gap_frozen_sampling_error", "a", "no", "a=yes") <= 1e-8, "everyone moves alike"
        assert found(report, name, "gap_frozen_parameter_error", "a", "no", "a=yes") == 0, "there is one draw"


def test_value_parameter_error_and_interval_are_those_of_the_weighted_draws() -> None:
    scm = uncertain(line(1.5), [line(1.5 + shift) for shift in SHIFTS], WEIGHTS)
    _, columns = people(line(1.5), 300)
    latent = PREDICTORS["latent_posterior_mean"](scm).fit([abduct(scm, columns, draws=2)], columns["y"])
    report = audit(scm, {"latent": latent}, columns, draws=2)
    sizes = torch.tensor([abs(in_closed_form(scm, columns, 1.5, 1.5 + shift)["latent_posterior_mean"]) for shift in SHIFTS])
    mean = float(WEIGHTS @ sizes.double())
    sd = float((WEIGHTS @ (sizes - mean).double().square() / (1 - WEIGHTS @ WEIGHTS)).sqrt())
    (row,) = [row for row in report.rows if row.measure == "gap_frozen" and row.group == "yes"]
    assert (row.value, row.low, row.high) == pytest.approx((mean, float(sizes.min()), float(sizes.max())), abs=1e-7)
    assert found(report, "latent", "gap_frozen_parameter_error", "a", "yes", "a=no") == pytest.approx(sd, abs=1e-7)


def altered(outcome: str, by: float) -> ModelSpec:
    """The school with stronger effects of race."""
    declared = school(outcome).to_graph()
    for node in ("grade", "visits", "y"):
        weights = declared.nodes[node]["parameters"]["weights"]
        weights.update({name: weight * (1 + by) for name, weight in weights.items() if name.startswith(("race", "sex"))})
    return ModelSpec.from_graph(declared)


@cache
def audited(name: str, outcome: str) -> tuple[SCM, Predictor, Columns, Report]:
    scm = uncertain(school(outcome), [altered(outcome, shift) for shift in SHIFTS], WEIGHTS)
    _, train = people(school(outcome), 400)
    predictor = PREDICTORS[name](scm).fit([abduct(scm, train, draws=4)], train["y"])
    _, test = people(school(outcome), N, seed=1)
    return scm, predictor, test, audit(scm, {name: predictor}, test, draws=DRAWS, min_group_size=5)


@everywhere
def test_it_is_the_mean_over_worlds_of_the_deployed_maps_gap_in_each(name: str, outcome: str) -> None:
    scm, predictor, test, report = audited(name, outcome)
    alone = [audit(scm.drawn(s), {name: predictor}, test, draws=DRAWS, metrics=[], constraints=[]) for s in range(len(SHIFTS))]
    rows = {(row.attribute, row.group, row.world): row for row in report.rows if row.measure == "gap_frozen"}
    assert len(rows) == 6 + 2 + 30
    for place, row in rows.items():
        sizes = torch.tensor([found(each, name, "gap_reabducted", *place) for each in alone], dtype=torch.float64)
        assert row.value == pytest.approx(float(WEIGHTS @ sizes), abs=1e-9)
        assert row.low is not None
        assert row.high is not None
        assert float(sizes.min()) - 1e-9 <= row.low <= row.high <= float(sizes.max()) + 1e-9
        signed = torch.tensor([found(each, name, "gap_reabducted_signed", *place) for each in alone], dtype=torch.float64)
        assert found(report, name, "gap_frozen_signed", *place) == pytest.approx(float(WEIGHTS @ signed), abs=1e-9)


@everywhere
def test_it_is_0_for_those_who_read_nothing_that_moves_and_above_0_for_all_others(name: str, outcome: str) -> None:
    _, predictor, _, report = audited(name, outcome)
    gaps = [row.value for row in report.rows if row.measure == "gap_frozen" and row.attribute == "race"]
    unmoved = name in ("constant", "nondescendants")
    assert all((value == 0) if unmoved else (value or 0) > 1e-4 for value in gaps)
    assert any(row.measure == "gap_same_noise_parameter_error" for row in report.rows) is predictor.function_of_row


@everywhere
def test_when_every_draw_is_the_estimate_it_is_the_reabducted_gap_without_parameter_error(name: str, outcome: str) -> None:
    _, predictor, test, _ = audited(name, outcome)
    sure = audit(uncertain(school(outcome), [school(outcome)] * 3), {name: predictor}, test, draws=DRAWS)
    for row in sure.rows:
        place = (row.attribute, row.group, row.world)
        if row.measure == "gap_frozen":
            assert row.value == pytest.approx(found(sure, name, "gap_reabducted", *place), abs=1e-12)
            assert (row.low, row.high) == pytest.approx((row.value, row.value), abs=1e-15)
        if row.measure == "gap_frozen_parameter_error":
            assert row.value == pytest.approx(0, abs=1e-15)


@pytest.mark.slow
def test_the_sampling_error_is_that_of_each_persons_mean_over_worlds() -> None:
    scm, predictor, test, _ = audited("unaware", "gaussian")
    moves = torch.zeros(N, dtype=torch.float64)
    for s, weight in enumerate(WEIGHTS.tolist()):
        alone = [audit(scm.drawn(s), {"unaware": predictor}, test.take(torch.tensor([i])), draws=DRAWS) for i in range(12)]
        for i, each in enumerate(alone):
            moves[i] += weight * sum(row.value or 0 for row in each.rows if row.measure == "gap_reabducted" and row.world == "sex=f")
    men = (test["sex"] == 0)[:12]
    some = audit(scm, {"unaware": predictor}, test.take(torch.arange(12)), draws=DRAWS)
    expected = float(moves[:12][men].std() / men.sum() ** 0.5)
    assert found(some, "unaware", "gap_frozen_sampling_error", "sex", "m", "sex=f") == pytest.approx(expected, rel=1e-6)


def test_equal_people_are_followed_once_and_count_as_often_as_they_are_there() -> None:
    scm, predictor, test, _ = audited("latent", "gaussian")
    some = test.take(torch.arange(60))
    twice = audit(scm, {"latent": predictor}, test.take(torch.arange(60).repeat(2)), draws=DRAWS)
    weighed = audit(scm, {"latent": predictor}, replace(some, weights=torch.full((60,), 3.0, dtype=torch.float64)), draws=DRAWS)
    once = audit(scm, {"latent": predictor}, some, draws=DRAWS)
    rows = [row for row in once.rows if row.measure == "gap_frozen"]
    for row in rows:
        place = (row.attribute, row.group, row.world)
        assert found(twice, "latent", "gap_frozen", *place) == pytest.approx(row.value, abs=1e-12)
        assert found(weighed, "latent", "gap_frozen", *place) == pytest.approx(row.value, abs=1e-12)
    assert {row.n for row in twice.rows if row.measure == "gap_frozen"} == {2 * (row.n or 0) for row in rows}


def test_of_many_people_a_random_part_of_each_group_stands_for_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    scm, predictor, _, _ = audited("unaware", "gaussian")
    _, many = people(school(), 3_000, seed=2)
    whole = audit(scm, {"unaware": predictor}, many, draws=2, metrics=[])
    monkeypatch.setattr(frozen, "PATHS", 1)
    part = audit(scm, {"unaware": predictor}, many, draws=2, metrics=[])
    for row in whole.rows:
        if row.measure == "gap_frozen" and row.attribute == "race":
            place = (row.attribute, row.group, row.world)
            error = found(part, "unaware", "gap_frozen_sampling_error", *place)
            assert 0 < abs(found(part, "unaware", "gap_frozen", *place) - (row.value or 0)) < 5 * error
    assert {row.n for row in part.rows if row.measure == "gap_frozen" and row.attribute == "race"} == {2 * frozen.LEAST}
    assert found(part, "unaware", "gap_same_noise", "sex", "m", "sex=f") == found(whole, "unaware", "gap_same_noise", "sex", "m", "sex=f")


def test_those_who_are_followed_weigh_as_much_as_their_group() -> None:
    _, many = people(school(), 3_000)
    crossing = crossing_of(school())
    weighed = replace(many, weights=1 + torch.arange(3_000, dtype=torch.float64) % 4)
    some = followed(weighed, crossing, most=50, seed=0)
    assert weighed.weights is not None
    assert some.weights is not None
    before, after = (torch.bincount(crossing.group(each), each.weights, minlength=6) for each in (weighed, some))
    torch.testing.assert_close(after, before)
    assert torch.bincount(crossing.group(some)).tolist() == [50] * 6
    assert followed(many, crossing, most=3_000, seed=0) is many


def regression_draws(columns: Columns, count: int) -> Tensor:
    """Draws of x's intercept and effect of a from their posterior under a flat prior and a known variance: (count, 2)."""
    design = torch.stack([torch.ones(columns.n, dtype=torch.float64), columns["a"]], 1)
    root = torch.linalg.cholesky(torch.linalg.inv(design.T @ design))
    normal = torch.randn(count, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return least_squares(columns, "x", columns["a"]) + normal @ root.T * (0.8**2 + 0.6**2) ** 0.5


@pytest.mark.parametrize("name", ["latent_posterior_mean", "residual"])
def test_value_and_interval_shrink_as_the_root_of_the_number_of_people(name: str) -> None:
    sizes, widths, values = (500, 2_000, 8_000), [], []
    for n in sizes:
        _, columns = people(line(1.5), n)
        estimate = least_squares(columns, "x", columns["a"]).tolist()
        specs = [line(float(effect)) for _, effect in regression_draws(columns, 40)]
        scm = uncertain(line(estimate[1]), specs)
        predictor = PREDICTORS[name](scm).fit([abduct(scm, columns, draws=2)], columns["y"])
        report = audit(scm, {name: predictor}, columns, draws=2, metrics=[])
        (row,) = [row for row in report.rows if row.measure == "gap_frozen" and row.group == "no"]
        assert row.value is not None
        assert row.low is not None
        assert row.high is not None
        assert 0 < row.low < row.value < row.high
        widths.append(row.high - row.low)
        values.append(row.value)
    for shrinking in (widths, values):
        assert log(shrinking[2] / shrinking[0]) / log(sizes[2] / sizes[0]) == pytest.approx(-0.5, abs=0.1)


def test_progress_ends_with_everyone_done() -> None:
    scm, predictor, test, _ = audited("full", "gaussian")
    told: list[int] = []
    audit(scm, {"full": predictor}, test, draws=2, block_rows=100, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == N
