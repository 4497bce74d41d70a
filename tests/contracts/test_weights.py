"""Laws of weights that every metric, constraint, rate and head keeps: a person of weight 2 counts as two like them."""

import math

import pytest
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS, GROUP_RATES, count, group_rate, violation
from cfair.constraints.base import effective
from cfair.errors import FitError, QueryError
from cfair.heads import HEADS, logistic, multinomial
from cfair.heads.base import Head, LinearHead
from cfair.interfaces import Measured, Metric
from cfair.metrics import LEVEL_METRICS, METRIC_KINDS, METRICS, defined, difference, interval, standard_error

N, GROUPS, NAMES = 400, 3, ["a", "b", "c"]
BINARY = METRIC_KINDS["binary"]
SEVERAL = "_of_levels"
EVERY: dict[str, Metric] = {name: METRICS[name] for name in METRICS} | {f"{name}{SEVERAL}": LEVEL_METRICS[name] for name in LEVEL_METRICS}
DECIDED = [name for name in CONSTRAINTS if CONSTRAINTS[name].of == "decisions"]
SCALES = (2.5e-160, 1 / 3, 4_000.0, 1e150)


def whole_weights(n: int = N) -> Tensor:
    """Weights 0, 1, 2 and 3."""
    return torch.randint(0, 4, (n,), generator=torch.Generator().manual_seed(9)).double()


def people(metric: str, n: int = N) -> tuple[Tensor, Tensor]:
    """Outcomes of n people and predictions of them, with ties."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(n, generator=source, dtype=torch.float64)
    if metric.endswith(SEVERAL):
        p = torch.stack([0 * x, x, -x], -1).softmax(-1)
        coarse = (p * 40).round() + 0.5
        return torch.multinomial(p, 1, generator=source).squeeze(-1).double(), coarse / coarse.sum(-1, keepdim=True)
    if metric in BINARY:
        p = torch.sigmoid(x)
        return torch.bernoulli(p, generator=source), ((p * 40).round() + 0.5) / 41.5
    return 2 * x + torch.randn(n, generator=source, dtype=torch.float64), (2 * x).round(decimals=1)


def same(here: Measured, there: Measured) -> None:
    assert here.value == pytest.approx(there.value, rel=1e-12)
    assert standard_error(here) == pytest.approx(standard_error(there), rel=1e-10)


@pytest.mark.parametrize("metric", EVERY)
def test_equal_weights_measure_as_none_do(metric: str) -> None:
    y, y_hat = people(metric)
    for weight in (1.0, *SCALES):
        same(EVERY[metric](y, y_hat, torch.full_like(y, weight)), EVERY[metric](y, y_hat))


@pytest.mark.parametrize("metric", EVERY)
def test_whole_weights_measure_as_so_many_people_do(metric: str) -> None:
    y, y_hat = people(metric)
    w = whole_weights()
    often = w.long()
    repeated = EVERY[metric](y.repeat_interleave(often), y_hat.repeat_interleave(often, 0))
    assert EVERY[metric](y, y_hat, w).value == pytest.approx(repeated.value, rel=1e-10)


@pytest.mark.parametrize("metric", EVERY)
def test_the_unit_of_weights_changes_neither_value_nor_interval(metric: str) -> None:
    y, y_hat = people(metric)
    for scale in SCALES:
        same(EVERY[metric](y, y_hat, whole_weights() * scale), EVERY[metric](y, y_hat, whole_weights()))


@pytest.mark.parametrize("metric", EVERY)
def test_a_person_of_weight_0_changes_neither_value_nor_interval(metric: str) -> None:
    y, y_hat = people(metric)
    w = whole_weights()
    assert (w == 0).any()
    with_them, without = EVERY[metric](y, y_hat, w), EVERY[metric](y[w > 0], y_hat[w > 0], w[w > 0])
    same(with_them, without)
    assert (with_them.influence[w == 0] == 0).all()
    assert with_them.people == without.people == int((w > 0).sum())


@pytest.mark.parametrize("metric", EVERY)
def test_the_influence_of_weighted_people_has_mean_0(metric: str) -> None:
    assert EVERY[metric](*people(metric), whole_weights()).influence.mean().abs() < 1e-12


@pytest.mark.parametrize("metric", EVERY)
def test_the_standard_error_agrees_with_the_bootstrap_of_people_with_their_weights(metric: str) -> None:
    y, y_hat = people(metric)
    seen = y_hat.reshape(N, -1)[:, 0]
    w = (seen - seen.mean()).abs() + 0.1  # weights that go with what is measured
    source = torch.Generator().manual_seed(1)
    draws = [torch.randint(N, (N,), generator=source) for _ in range(1000)]
    spread = torch.tensor([EVERY[metric](y[draw], y_hat[draw], w[draw]).value for draw in draws]).std().item()
    assert standard_error(EVERY[metric](y, y_hat, w)) == pytest.approx(spread, rel=5 / math.sqrt(2 * 1000))


@pytest.mark.parametrize("metric", EVERY)
def test_a_weighted_metric_less_itself_is_exactly_zero(metric: str) -> None:
    measured = EVERY[metric](*people(metric), whole_weights())
    assert interval(difference(measured, measured)) == (0.0, 0.0)


@pytest.mark.parametrize("metric", EVERY)
def test_outcomes_that_vary_among_people_of_weight_0_only_are_all_equal(metric: str) -> None:
    y, y_hat = torch.tensor([1.0, 1.0, 0.0]).double(), torch.tensor([0.2, 0.7, 0.9]).double()
    y_hat = torch.stack([1 - y_hat, y_hat], -1) if metric.endswith(SEVERAL) else y_hat
    name = metric.removesuffix(SEVERAL)
    w = torch.tensor([1.0, 2.0, 0.0]).double()
    assert defined(name, y, w) == defined(name, y[:2])
    if not defined(name, y, w):
        with pytest.raises(QueryError, match="all 2 outcomes are equal"):
            EVERY[metric](y, y_hat, w)
    assert not defined(name, y, w * 0)
    with pytest.raises(QueryError):
        EVERY[metric](y, y_hat, w * 0)


def decided() -> tuple[Tensor, Tensor, Tensor]:
    """Outcomes, decisions and groups of N people."""
    source = torch.Generator().manual_seed(2)
    group = torch.randint(0, GROUPS, (N,), generator=source)
    y = torch.bernoulli(0.3 + 0.1 * group.double(), generator=source)
    return y, torch.bernoulli(0.2 + 0.4 * y + 0.1 * group, generator=source), group


@pytest.mark.parametrize("name", DECIDED)
def test_equal_weights_constrain_as_none_do(name: str) -> None:
    plain = violation(CONSTRAINTS[name], count(*decided(), GROUPS), NAMES)
    assert violation(CONSTRAINTS[name], count(*decided(), GROUPS, torch.ones(N).double()), NAMES) == plain


@pytest.mark.parametrize("name", DECIDED)
def test_whole_weights_constrain_as_so_many_people_do(name: str) -> None:
    often = whole_weights().long()
    repeated = violation(CONSTRAINTS[name], count(*(each.repeat_interleave(often) for each in decided()), GROUPS), NAMES)
    weighted = violation(CONSTRAINTS[name], count(*decided(), GROUPS, whole_weights()), NAMES)
    assert weighted.difference.value == pytest.approx(repeated.difference.value, abs=1e-10)
    assert weighted.ratio.value == pytest.approx(repeated.ratio.value, abs=1e-10)
    for ours, theirs in ((weighted.difference, repeated.difference), (weighted.ratio, repeated.ratio)):
        assert ours.low <= theirs.low <= theirs.high <= ours.high, "unequal weights tell less than as many people"


@pytest.mark.parametrize("name", DECIDED)
def test_neither_the_unit_of_weights_nor_people_of_weight_0_change_a_constraint(name: str) -> None:
    w = whole_weights()
    expected = violation(CONSTRAINTS[name], count(*decided(), GROUPS, w), NAMES)
    others = [count(*decided(), GROUPS, w * scale) for scale in SCALES[1:3]]
    others += [count(*(each[w > 0] for each in decided()), GROUPS, w[w > 0])]
    for cells in others:
        found = violation(CONSTRAINTS[name], cells, NAMES)
        assert found.n == expected.n
        for ours, theirs in ((found.difference, expected.difference), (found.ratio, expected.ratio)):
            assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high), rel=1e-10)


@pytest.mark.parametrize("name", GROUP_RATES)
def test_a_weighted_rate_is_that_of_so_many_people_with_the_interval_of_the_effective_ones(name: str) -> None:
    y, decision, group = decided()
    w, own = whole_weights(), group == 1
    cells = count(y, decision, group, GROUPS, w)[1]
    rate = group_rate(name, cells)
    often = w.long()
    repeated = group_rate(name, count(*(each.repeat_interleave(often) for each in (y, decision, group)), GROUPS)[1])
    applies = {"true_positive_rate": y == 1, "false_positive_rate": y == 0, "positive_predictive_value": decision == 1}
    applies["false_negative_share"] = y != decision
    concerned = own & (w > 0) & applies.get(name, torch.ones_like(own))
    trials = float(w[concerned].sum() ** 2 / w[concerned].square().sum())
    assert (rate.value, rate.n) == (pytest.approx(repeated.value, abs=1e-12), int(concerned.sum()))
    assert effective(cells, GROUP_RATES[name])[1].item() == pytest.approx(trials, rel=1e-12)
    for end in (rate.low, rate.high):  # Wilson's ends solve (p − π)² = z²·π(1 − π)/n
        assert (rate.value - end) ** 2 == pytest.approx(1.959963984540054**2 * end * (1 - end) / trials, rel=1e-9)


def rows(name: str) -> tuple[Tensor, Tensor]:
    """Features (N, 4) on different scales, and an outcome that suits the head."""
    source = torch.Generator().manual_seed(3)
    z = torch.randn(N, 4, generator=source, dtype=torch.float64)
    x, score = z * 10.0 ** torch.arange(4) + 3, z.sum(-1)
    if "category" in HEADS[name].kinds:
        p = torch.stack([0 * score, score, z[:, 0] - score / 2], -1).softmax(-1)
        return x, torch.multinomial(p, 1, generator=source).squeeze(-1).double()
    if "binary" in HEADS[name].kinds:
        return x, torch.bernoulli(score.sigmoid(), generator=source)
    return x, score + torch.randn(N, generator=source, dtype=torch.float64)


def made(name: str) -> Head:
    return HEADS[name](4, 3 if "category" in HEADS[name].kinds else 2)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_learns_from_equal_weights_as_from_none(name: str) -> None:
    x, y = rows(name)
    expected = made(name).fit([(x, y)]).predict(x)
    for weight in (1.0, *SCALES):
        torch.testing.assert_close(made(name).fit([(x, y, torch.full_like(y, weight))]).predict(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in HEADS if not name.startswith(("boosted", "mlp"))])  # leaves and splits are of rows
def test_a_head_without_ridge_learns_from_whole_weights_as_from_so_many_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multinomial, "RIDGE", 0.0)
    monkeypatch.setattr(logistic, "RIDGE", 0.0)  # beside one, 400 weighted rows count as 400 however many they stand for
    x, y = rows(name)
    often = whole_weights().long()
    repeated = made(name).fit([(x.repeat_interleave(often, 0), y.repeat_interleave(often))])
    torch.testing.assert_close(made(name).fit([(x, y, whole_weights())]).predict(x), repeated.predict(x), rtol=1e-9, atol=1e-9)


def learned_the_same(found: Head, expected: Head, x: Tensor) -> None:
    """Their predictions agree, and of linear heads the coefficients."""
    torch.testing.assert_close(found.predict(x), expected.predict(x), rtol=1e-9, atol=1e-12)
    if isinstance(found, LinearHead) and isinstance(expected, LinearHead):
        torch.testing.assert_close(found.coefficients, expected.coefficients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", HEADS)
def test_neither_the_unit_of_weights_nor_rows_of_weight_0_teach_a_head_anything(name: str) -> None:
    x, y = rows(name)
    w = whole_weights()
    x[w == 0] *= 1e6
    expected = made(name).fit([(x, y, w)])
    for teacher in ([(x[w > 0], y[w > 0], w[w > 0])], [(x, y, w / 7)], [(x, y, w * 4_000)]):
        learned_the_same(made(name).fit(teacher), expected, x[w > 0])
    batches = list(zip(x.split(7), y.split(7), w.split(7), strict=True))
    learned_the_same(made(name).fit(batches), expected, x[w > 0])
    with pytest.raises(FitError, match="no rows to learn from"):
        made(name).fit([(x, y, w * 0)])


@pytest.mark.parametrize("name", HEADS)
def test_predictions_average_to_the_mean_outcome_with_the_weights(name: str) -> None:
    x, y = rows(name)
    w = whole_weights()
    seen = torch.nn.functional.one_hot(y.long(), 3).double() if "category" in HEADS[name].kinds else y
    torch.testing.assert_close(w @ made(name).fit([(x, y, w)]).predict(x), w @ seen, rtol=1e-9, atol=1e-9)


def test_a_weighted_logistic_head_is_at_the_top_of_the_weighted_likelihood_less_the_ridge() -> None:
    x, y = rows("logistic")
    w = whole_weights()
    head = HEADS["logistic"](4).fit([(x, y, w)])
    v = w * (w > 0).sum() / w.sum()
    sd = ((v @ (x - v @ x / v.sum()).square()) / v.sum()).sqrt()
    slope = (v * (y - head.predict(x))) @ ((x - v @ x / v.sum()) / sd) - logistic.RIDGE * head.coefficients * sd
    assert slope.abs().max() < 1e-6
