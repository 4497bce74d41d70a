"""Laws of every metric in the registry."""

import math

import pytest
import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.interfaces import Metric
from cfair.metrics import LEVEL_METRICS, METRIC_KINDS, METRICS, defined, difference, indicators, interval, standard_error

BINARY = METRIC_KINDS["binary"]
LEVELS = 4
OF_LEVELS = "{}_of_levels"
EVERY: dict[str, Metric] = {name: METRICS[name] for name in METRICS} | {
    OF_LEVELS.format(name): LEVEL_METRICS[name] for name in LEVEL_METRICS
}
PERFECT = {"rmse": 0.0, "mae": 0.0, "r2": 1.0, "accuracy": 1.0, "log_loss": 0.0, "roc_auc": 1.0, "brier": 0.0}
PERFECT |= {"ranked_probability_score": 0.0}


def plain(metric: str) -> str:
    """Its name in a report."""
    return metric.removesuffix(OF_LEVELS.format(""))


def certain(metric: str, y: Tensor) -> Tensor:
    """Predictions that are sure of what comes."""
    return y if metric in METRICS else indicators(y, LEVELS)


def people(metric: str, n: int = 400, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Outcomes of n people and predictions of them, with ties."""
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(n, generator=source, dtype=torch.float64)
    if metric not in METRICS:
        p = torch.stack([0 * x, x, -x, 0.5 * x - 1], -1).softmax(-1)
        coarse = (p * 40).round() + 0.5
        return torch.multinomial(p, 1, generator=source).squeeze(-1).double(), coarse / coarse.sum(-1, keepdim=True)
    if metric in BINARY:
        p = torch.sigmoid(x)
        return torch.bernoulli(p, generator=source), ((p * 40).round() + 0.5) / 41.5
    return 2 * x + torch.randn(n, generator=source, dtype=torch.float64), (2 * x).round(decimals=1)


def resampled(metric: str, y: Tensor, y_hat: Tensor, replicates: int) -> Tensor:
    """The metric of people drawn with replacement, shape (replicates,)."""
    source = torch.Generator().manual_seed(1)
    draws = [torch.randint(len(y), (len(y),), generator=source) for _ in range(replicates)]
    return torch.tensor([EVERY[metric](y[draw], y_hat[draw]).value for draw in draws])


def test_every_metric_suits_some_kind_of_outcome() -> None:
    assert {name for names in METRIC_KINDS.values() for name in names} == {*METRICS, *LEVEL_METRICS}
    assert {*METRIC_KINDS["category"], *METRIC_KINDS["ordinal"]} == set(LEVEL_METRICS)


@pytest.mark.parametrize("metric", EVERY)
def test_influence_has_one_entry_per_person_and_mean_zero(metric: str) -> None:
    measured = EVERY[metric](*people(metric))
    assert measured.influence.shape == (400,)
    assert measured.influence.mean().abs() < 1e-12


@pytest.mark.parametrize("metric", EVERY)
def test_order_of_people_is_irrelevant(metric: str) -> None:
    y, y_hat = people(metric)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(2))
    here, there = EVERY[metric](y, y_hat), EVERY[metric](y[order], y_hat[order])
    assert here.value == pytest.approx(there.value, rel=1e-12)
    torch.testing.assert_close(here.influence[order], there.influence)


@pytest.mark.parametrize("metric", EVERY)
def test_perfect_predictions_reach_the_best_value(metric: str) -> None:
    y, _ = people(metric)
    measured = EVERY[metric](y, certain(metric, y))
    assert measured.value == pytest.approx(PERFECT[plain(metric)], abs=1e-14)
    assert torch.isfinite(measured.influence).all()


@pytest.mark.parametrize("metric", EVERY)
def test_standard_error_agrees_with_the_bootstrap(metric: str) -> None:
    y, y_hat = people(metric)
    spread = resampled(metric, y, y_hat, replicates=1000).std().item()
    error = standard_error(EVERY[metric](y, y_hat))
    assert error == pytest.approx(spread, rel=5 / math.sqrt(2 * 1000))  # five standard errors of an sd from 1,000 replicates


@pytest.mark.parametrize("metric", EVERY)
def test_standard_error_of_a_difference_agrees_with_the_paired_bootstrap(metric: str) -> None:
    y, y_hat = people(metric)
    worse = y_hat.roll(len(y) // 2) * 0.1 + y_hat * 0.9
    spread = (resampled(metric, y, y_hat, replicates=1000) - resampled(metric, y, worse, replicates=1000)).std().item()
    paired = difference(EVERY[metric](y, y_hat), EVERY[metric](y, worse))
    assert standard_error(paired) == pytest.approx(spread, rel=5 / math.sqrt(2 * 1000))


@pytest.mark.parametrize("metric", EVERY)
def test_a_metric_less_itself_is_exactly_zero(metric: str) -> None:
    measured = EVERY[metric](*people(metric))
    assert interval(difference(measured, measured)) == (0.0, 0.0)


@pytest.mark.parametrize("metric", EVERY)
def test_equal_outcomes_give_a_number_or_an_error_but_never_nan(metric: str) -> None:
    y, y_hat = torch.ones(5, dtype=torch.float64), torch.tensor([0.2, 0.2, 0.7, 0.9, 1.0], dtype=torch.float64)
    y_hat = y_hat if metric in METRICS else torch.stack([1 - y_hat, y_hat, 0 * y_hat, 0 * y_hat], -1)
    if defined(plain(metric), y):
        measured = EVERY[metric](y, y_hat)
        assert math.isfinite(measured.value)
        assert torch.isfinite(measured.influence).all()
    else:
        with pytest.raises(QueryError, match="all 5 outcomes are equal"):
            EVERY[metric](y, y_hat)


@pytest.mark.parametrize("metric", EVERY)
def test_nobody_is_an_error(metric: str) -> None:
    nobody = torch.zeros(0, dtype=torch.float64)
    assert not defined(plain(metric), nobody)
    with pytest.raises(QueryError):
        EVERY[metric](nobody, nobody if metric in METRICS else torch.zeros(0, LEVELS, dtype=torch.float64))
