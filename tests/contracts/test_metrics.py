"""Laws of every metric in the registry."""

import math

import pytest
import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.metrics import METRIC_KINDS, METRICS, defined, difference, interval, standard_error

BINARY = METRIC_KINDS["binary"]
PERFECT = {"rmse": 0.0, "mae": 0.0, "r2": 1.0, "accuracy": 1.0, "log_loss": 0.0, "roc_auc": 1.0, "brier": 0.0}


def people(metric: str, n: int = 400, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Outcomes of n people and predictions of them, with ties."""
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(n, generator=source, dtype=torch.float64)
    if metric in BINARY:
        p = torch.sigmoid(x)
        return torch.bernoulli(p, generator=source), ((p * 40).round() + 0.5) / 41.5
    return 2 * x + torch.randn(n, generator=source, dtype=torch.float64), (2 * x).round(decimals=1)


def resampled(metric: str, y: Tensor, y_hat: Tensor, replicates: int) -> Tensor:
    """The metric of people drawn with replacement, shape (replicates,)."""
    source = torch.Generator().manual_seed(1)
    draws = [torch.randint(len(y), (len(y),), generator=source) for _ in range(replicates)]
    return torch.tensor([METRICS[metric](y[draw], y_hat[draw]).value for draw in draws])


def test_every_metric_suits_some_kind_of_outcome() -> None:
    assert {name for names in METRIC_KINDS.values() for name in names} == set(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_influence_has_one_entry_per_person_and_mean_zero(metric: str) -> None:
    measured = METRICS[metric](*people(metric))
    assert measured.influence.shape == (400,)
    assert measured.influence.mean().abs() < 1e-12


@pytest.mark.parametrize("metric", METRICS)
def test_order_of_people_is_irrelevant(metric: str) -> None:
    y, y_hat = people(metric)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(2))
    here, there = METRICS[metric](y, y_hat), METRICS[metric](y[order], y_hat[order])
    assert here.value == pytest.approx(there.value, rel=1e-12)
    torch.testing.assert_close(here.influence[order], there.influence)


@pytest.mark.parametrize("metric", METRICS)
def test_perfect_predictions_reach_the_best_value(metric: str) -> None:
    y, _ = people(metric)
    measured = METRICS[metric](y, y)
    assert measured.value == pytest.approx(PERFECT[metric], abs=1e-14)
    assert torch.isfinite(measured.influence).all()


@pytest.mark.parametrize("metric", METRICS)
def test_standard_error_agrees_with_the_bootstrap(metric: str) -> None:
    y, y_hat = people(metric)
    spread = resampled(metric, y, y_hat, replicates=1000).std().item()
    error = standard_error(METRICS[metric](y, y_hat))
    assert error == pytest.approx(spread, rel=5 / math.sqrt(2 * 1000))  # five standard errors of an sd from 1,000 replicates


@pytest.mark.parametrize("metric", METRICS)
def test_standard_error_of_a_difference_agrees_with_the_paired_bootstrap(metric: str) -> None:
    y, y_hat = people(metric)
    worse = y_hat.roll(len(y) // 2) * 0.1 + y_hat * 0.9
    spread = (resampled(metric, y, y_hat, replicates=1000) - resampled(metric, y, worse, replicates=1000)).std().item()
    paired = difference(METRICS[metric](y, y_hat), METRICS[metric](y, worse))
    assert standard_error(paired) == pytest.approx(spread, rel=5 / math.sqrt(2 * 1000))


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_less_itself_is_exactly_zero(metric: str) -> None:
    measured = METRICS[metric](*people(metric))
    assert interval(difference(measured, measured)) == (0.0, 0.0)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_outcomes_give_a_number_or_an_error_but_never_nan(metric: str) -> None:
    y, y_hat = torch.ones(5, dtype=torch.float64), torch.tensor([0.2, 0.2, 0.7, 0.9, 1.0], dtype=torch.float64)
    if defined(metric, y):
        measured = METRICS[metric](y, y_hat)
        assert math.isfinite(measured.value)
        assert torch.isfinite(measured.influence).all()
    else:
        with pytest.raises(QueryError, match="all 5 outcomes are equal"):
            METRICS[metric](y, y_hat)


@pytest.mark.parametrize("metric", METRICS)
def test_nobody_is_an_error(metric: str) -> None:
    nobody = torch.zeros(0, dtype=torch.float64)
    assert not defined(metric, nobody)
    with pytest.raises(QueryError):
        METRICS[metric](nobody, nobody)
