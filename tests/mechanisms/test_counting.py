"""Quantiles of counts by adding up probabilities."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import nbinom
from torch import Tensor

from cfair.mechanisms.counting import counted
from cfair.mechanisms.negative_binomial_quantile import negative_binomial_quantile
from cfair.mechanisms.negative_binomial_tails import negative_binomial_step

MODELS = [(0.01, 1.0), (0.7, 0.3), (3.0, 1e-3), (3.0, 1.0), (3.0, 1e8), (40.0, 2.0), (150.0, 30.0), (20_000.0, 0.1), (1e6, 1e8)]


def geometric(u: Tensor, q: Tensor, longest: int) -> Tensor:
    """The quantile where P(k) = (1 − q)·qᵏ."""
    return counted(u, 1 - q, q, factor=lambda k: 1.0, longest=longest)


def test_a_geometric_count_is_its_closed_form() -> None:
    source = torch.Generator().manual_seed(0)
    p, q = (torch.rand(5_000, generator=source, dtype=torch.float64) for _ in range(2))
    found = geometric(torch.logit(p), q, 10_000)
    closed = (torch.log1p(-p) / q.log()).ceil() - 1  # 1 − q^(k + 1) ≥ p
    assert torch.equal(found[~found.isnan()], closed[~found.isnan()])
    assert found.isnan().double().mean() < 0.01


def test_who_is_on_a_step_or_beyond_the_longest_count_is_given_up() -> None:
    half = torch.full((4,), 0.5, dtype=torch.float64)
    u = torch.logit(torch.tensor([0.75, 0.75 + 1e-12, 0.7500001, 1 - 2**-20.5], dtype=torch.float64))
    found = geometric(u, half, 16)
    assert found.isnan().tolist() == [True, True, False, True]
    assert found[2] == 2
    assert counted(u, torch.zeros(4, dtype=torch.float64), half, factor=float, longest=16).isnan().all()


@pytest.mark.parametrize(("mean", "size"), MODELS)
def test_a_number_just_below_the_end_of_a_step_falls_on_it_and_one_just_above_on_the_next(mean: float, size: float) -> None:
    sd = math.sqrt(mean + mean**2 / size)
    counts = torch.linspace(max(0.0, mean - 5 * sd), mean + 5 * sd + 5, 300, dtype=torch.float64).floor().unique()
    log_mean, log_size = torch.full_like(counts, math.log(mean)), torch.tensor(math.log(size), dtype=torch.float64)
    ends = negative_binomial_step(counts, log_mean, log_size).ends()[1]
    margin = 1e-12 * (1 + ends.abs())  # abducted noise keeps this far from the ends
    assert torch.equal(negative_binomial_quantile(ends - margin, log_mean, log_size), counts)
    assert torch.equal(negative_binomial_quantile(ends + margin, log_mean, log_size), counts + 1)


@pytest.mark.parametrize("size", [0.3, 2.0, 50.0, 1e6])
def test_the_quantile_is_scipys_wherever_rounding_does_not_decide(size: float) -> None:
    source = torch.Generator().manual_seed(0)
    log_mean = torch.rand(20_000, generator=source, dtype=torch.float64) * 10 - 4
    p = torch.rand(20_000, generator=source, dtype=torch.float64)
    found = negative_binomial_quantile(torch.logit(p), log_mean, torch.tensor(math.log(size), dtype=torch.float64)).numpy()
    chance = size / (size + log_mean.exp().numpy())
    near = np.abs(nbinom.cdf(found, size, chance) / p.numpy() - 1) < 1e-9
    np.testing.assert_array_equal(found[~near], nbinom.ppf(p.numpy(), size, chance)[~near])
    assert near.mean() < 0.01


def test_a_person_alone_has_the_count_that_they_have_among_others() -> None:
    source = torch.Generator().manual_seed(1)
    u = torch.logit(torch.rand(2_000, generator=source, dtype=torch.float64))
    log_mean, log_size = torch.randn(2_000, generator=source, dtype=torch.float64) + 2, torch.tensor(0.5, dtype=torch.float64)
    among = negative_binomial_quantile(u, log_mean, log_size)
    alone = torch.cat([negative_binomial_quantile(u[i : i + 1], log_mean[i : i + 1], log_size) for i in range(40)])
    assert torch.equal(among[:40], alone)
