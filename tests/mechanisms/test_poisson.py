"""Counts: the coupling at means and counts where rounding would break it."""

import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.stats import logistic, poisson
from torch import Tensor

from cfair.interfaces import Mechanism
from cfair.mechanisms.poisson import LARGEST
from cfair.mechanisms.poisson_quantile import poisson_quantile
from cfair.mechanisms.tails import poisson_step
from cfair.scm import SCM

from oracles import assert_distribution, declare

MEANS = [0.1, 1.0, 10.0, 36.0, 1e4, 1e6]


def count_of(log_mean: float, weight: float = 0.0) -> Mechanism:
    """A count with log mean ``log_mean + weight·r``."""
    v = {"mechanism": "poisson", "parents": ["r"], "parameters": {"intercept": log_mean, "weights": {"r": weight}}}
    nodes: dict[str, dict[str, Any]] = {"a": {"mechanism": "bernoulli", "levels": ["n", "y"]}, "r": {"mechanism": "gaussian"}, "v": v}
    return SCM(declare(nodes, outcome="v")).mechanisms["v"]


def zeros(n: int) -> dict[str, Tensor]:
    return {"r": torch.zeros(n, dtype=torch.float64)}


def uniforms(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(min=2**-54)


EXTREMES = torch.tensor([2**-54, 1e-12, 1e-3, 0.5, 0.999, 1 - 1e-12, 1 - 2**-53], dtype=torch.float64).unsqueeze(-1)


@pytest.mark.parametrize("mean", MEANS)
def test_counts_to_fifty_standard_deviations_are_finite_and_come_back(mean: float) -> None:
    mechanism = count_of(math.log(mean))
    top = int(mean + 50 * mean**0.5) + 1
    counts = torch.unique(torch.linspace(0, top, 2_000, dtype=torch.float64).floor())
    counts = torch.unique(torch.cat([counts, torch.floor(mean + torch.linspace(-8, 50, 2_000).double() * mean**0.5).clamp(min=0)]))
    noise = mechanism.abduct(counts, zeros(len(counts)), EXTREMES)
    assert noise.isfinite().all()
    assert torch.equal(mechanism.value(noise, zeros(len(counts))), counts.expand_as(noise))


@pytest.mark.parametrize("log_mean", [-1e4, -750.0, -30.0, 30.0, 35.0, 100.0, 710.0, 1e5])
def test_no_mean_is_too_small_or_too_large_for_an_answer(log_mean: float) -> None:
    mechanism = count_of(log_mean)
    counts = torch.tensor([0.0, 1.0, 2.0, 17.0, 1e6, 1e12, 1e13], dtype=torch.float64)
    noise = mechanism.abduct(counts, zeros(7), EXTREMES)
    assert noise.isfinite().all()
    assert torch.equal(mechanism.value(noise, zeros(7)), counts.expand_as(noise))
    assert mechanism.value(mechanism.noise(uniforms(100)), zeros(100)).isfinite().all()


def test_a_count_moved_to_the_far_end_of_another_mean_stays_finite() -> None:
    mechanism = count_of(0.0, 1.0)
    log_means = torch.tensor([-800.0, -5.0, 0.0, 3.0, 10.0, 29.0, 50.0], dtype=torch.float64)
    counts = torch.tensor([0.0, 1.0, 30.0, 1e5, 1e9], dtype=torch.float64)
    noise = mechanism.abduct(counts.view(-1, 1, 1), {"r": log_means}, EXTREMES)
    moved = mechanism.value(noise.unsqueeze(-1), {"r": log_means})
    assert moved.isfinite().all()
    assert (moved >= 0).all()
    assert (moved.diff(dim=-1) >= 0).all()  # raising the mean never lowers the count


@pytest.mark.parametrize("mean", [0.01, 0.5, 1.5, 3.0, 10.0, 36.0, 1e3, 1e5])
def test_quantile_is_that_of_scipy(mean: float) -> None:
    mechanism = count_of(math.log(mean))
    near_one = 1 - torch.logspace(-2, -9, 200).double()
    uniform = torch.cat([uniforms(20_000), torch.logspace(-15, -2, 300).double(), near_one])
    found, n = mechanism.value(mechanism.noise(uniform), zeros(len(uniform))), len(uniform)
    rate = math.exp(math.log(mean))
    off = found.numpy() != poisson.ppf(uniform.numpy(), rate)
    # where the two differ, the uniform number lies on the step itself, to rounding
    share = uniform.numpy()[off]
    steps = poisson.cdf(found.numpy()[off] - np.array([[0.0], [1.0]]), rate)
    assert (np.abs(steps / share - 1).min(0, initial=np.inf) < 1e-9).all()
    assert off.mean() < 1e-3, f"{off.sum()} of {n}"


@pytest.mark.parametrize("mean", [*np.geomspace(0.5, 40, 25), 1e2, 1e4, 1.2e6, 2e6])
def test_quantile_is_the_first_count_whose_log_odds_reach_the_noise(mean: float) -> None:
    mechanism = count_of(math.log(mean))
    noise = torch.cat([torch.linspace(-700, 700, 2_001), torch.linspace(-40, 40, 4_001)]).double()
    counts = mechanism.value(noise, zeros(len(noise)))
    low = mechanism.abduct(counts, zeros(len(noise)), torch.full_like(noise, 2**-60))
    high = mechanism.abduct(counts, zeros(len(noise)), torch.full_like(noise, 1 - 2**-53))
    slack = 1e-9 * (1 + noise.abs())
    assert ((noise >= low - slack) | (counts == 0)).all()
    assert (noise <= high + slack).all()


def test_raising_the_log_mean_never_lowers_the_count() -> None:
    mechanism = count_of(1.0, 1.0)
    noise = mechanism.noise(uniforms(400))
    counts = mechanism.value(noise, {"r": torch.linspace(-4, 15, 300, dtype=torch.float64).unsqueeze(-1)})
    assert (counts.diff(dim=0) >= 0).all()


def test_noise_far_out_is_uniform_between_the_steps() -> None:
    mechanism = count_of(math.log(10.0))
    for count in (0.0, 10.0, 59.0, 200.0):  # F(59; 10) rounds to 1
        noise = mechanism.abduct(torch.full((2_000,), count).double(), zeros(2_000), uniforms(2_000))
        assert noise.unique().numel() > 1_990
        log_mass = torch.nn.functional.logsigmoid(-noise if count > 10 else noise)
        share = (log_mass - log_mass.max()).exp()
        low = float((log_mass.min() - log_mass.max()).exp())
        assert_distribution(share, lambda x, low=low: (x - low) / (1 - low))


def test_noise_given_the_count_is_that_of_rejection_sampling() -> None:
    mechanism, n = count_of(math.log(3.0)), 40_000
    prior = mechanism.noise(uniforms(n))
    kept = prior[mechanism.value(prior, zeros(n)) == 2]
    abducted = mechanism.abduct(torch.full((n,), 2.0).double(), zeros(n), uniforms(n, seed=1))
    low, high = (logistic.ppf(poisson.cdf(k, 3.0)) for k in (1, 2))
    for noise in (kept, abducted):
        assert_distribution(noise, lambda u: (logistic.cdf(u) - logistic.cdf(low)) / (logistic.cdf(high) - logistic.cdf(low)))


def test_a_mean_beyond_what_counts_can_tell_apart_is_held() -> None:
    mechanism = count_of(LARGEST + 1)
    held = count_of(LARGEST)
    noise = mechanism.noise(uniforms(50))
    assert torch.equal(mechanism.value(noise, zeros(50)), held.value(noise, zeros(50)))


def test_search_ends_for_any_finite_noise() -> None:
    huge = torch.tensor([-1e300, -1e12, -1e5, 1e5], dtype=torch.float64)
    for log_mean in (-700.0, 0.0, 5.0, 14.0, 30.0):
        counts = count_of(log_mean).value(huge, zeros(4))
        assert counts.isfinite().all()
        assert (counts[:3] == 0).all() or log_mean > 10
        assert cast("float", counts[3]) > 0


@pytest.mark.parametrize("log_mean", [-5.0, -3.9, -2.0, -0.5, 0.0, 0.7, 1.5, 2.5, 4.0, 7.0, 10.0, 13.9, 16.0])
def test_a_number_at_the_end_of_a_step_falls_on_it_and_the_next_one_on_the_next(log_mean: float) -> None:
    mean = math.exp(log_mean)
    low, high = max(0.0, mean - 7 * mean**0.5), mean + 8 * mean**0.5 + 12
    counts = torch.linspace(low, high, 3_000, dtype=torch.float64).floor().unique()
    rates = torch.full_like(counts, log_mean)
    ends = poisson_step(counts, rates).ends()[1]
    assert torch.equal(poisson_quantile(ends, rates), counts)
    assert torch.equal(poisson_quantile(torch.nextafter(ends, torch.tensor(torch.inf, dtype=torch.float64)), rates), counts + 1)


def test_the_quantile_is_scipys_wherever_rounding_does_not_decide() -> None:
    source = torch.Generator().manual_seed(0)
    log_rate = torch.rand(200_000, generator=source, dtype=torch.float64) * 12 - 5
    p = torch.rand(200_000, generator=source, dtype=torch.float64)
    found = poisson_quantile(torch.special.logit(p), log_rate).numpy()
    expected = poisson.ppf(p.numpy(), log_rate.exp().numpy())
    near = np.abs(poisson.cdf(found, log_rate.exp().numpy()) / p.numpy() - 1) < 1e-12
    np.testing.assert_array_equal(found[~near], expected[~near])
