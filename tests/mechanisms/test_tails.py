"""Poisson probabilities against arbitrary precision, in both tails."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy.stats import poisson
from torch import Tensor

from cfair.mechanisms.poisson import LARGEST, LogPoisson
from cfair.mechanisms.tails import log1mexp, log_ndtr, poisson_log_pmf, poisson_log_tail, poisson_step

MEANS = [1e-8, 0.1, 1.0, 2.7, 10.0, 36.0, 150.0, 1e3, 1e4, 1e6]
DEVIATES = [-40, -34, -20, -8, -5, -4, -3, -1, -0.3, 0, 0.3, 1, 3, 4, 5, 8, 20, 34, 50, 80]


def number(x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def exact_log_pmf(count: int, log_rate: float) -> mpmath.mpf:
    return count * mpmath.mpf(log_rate) - mpmath.exp(log_rate) - mpmath.loggamma(count + 1)


def exact_log_tail(count: int, log_rate: float, lower: bool) -> mpmath.mpf:
    """The sum of the terms themselves, to 40 digits, from the one next to ``count``."""
    with mpmath.workdps(40):
        first = count if lower else count + 1
        rate, term, total, k = mpmath.exp(log_rate), mpmath.mpf(1), mpmath.mpf(0), first
        while term > total * mpmath.mpf(10) ** -30 and k >= 0:
            total += term
            term *= mpmath.mpf(k) / rate if lower else rate / (k + 1)
            k += -1 if lower else 1
        return exact_log_pmf(first, log_rate) + mpmath.log(total)


@pytest.mark.parametrize("mean", MEANS)
def test_log_tails_are_right_to_relative_1e_9_from_the_middle_to_80_standard_deviations_out(mean: float) -> None:
    for count in sorted({max(0, int(mean + z * mean**0.5)) for z in DEVIATES} | {0, 1, 2}):
        lower = count + 1 / 3 < mean
        found = float(poisson_log_tail(number(count), number(math.log(mean)), torch.tensor(lower)))
        assert found == pytest.approx(float(exact_log_tail(count, math.log(mean), lower)), rel=1e-11), count


@pytest.mark.parametrize("mean", [*MEANS, 1e8])
def test_log_mass_is_right_to_relative_1e_11(mean: float) -> None:
    for count in sorted({max(0, int(mean + z * mean**0.5)) for z in DEVIATES} | {0, 1, 2, 15, 16, 17}):
        with mpmath.workdps(40):
            expected = float(exact_log_pmf(count, math.log(mean)))
        assert float(poisson_log_pmf(number(count), number(math.log(mean)))) == pytest.approx(expected, rel=1e-11, abs=1e-11), count
        assert float(LogPoisson(number(math.log(mean))).log_prob(number(count))) == pytest.approx(expected, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("log_rate", [-1e4, -800.0, -745.2, -40.0])
def test_a_mean_that_rounds_to_zero_keeps_its_logarithm(log_rate: float) -> None:
    count = torch.arange(4).double()
    torch.testing.assert_close(poisson_log_pmf(count, number(log_rate)), count * log_rate - torch.lgamma(count + 1))
    step = poisson_step(count, number(log_rate))
    assert not step.lower.any()
    torch.testing.assert_close(step.near, poisson_log_pmf(count + 1, number(log_rate)), rtol=1e-12, atol=0)


@pytest.mark.parametrize("mean", [0.1, 1.0, 10.0, 1e4, 1e6, 1e9, 1e12])
def test_steps_of_the_distribution_function_join_and_rise(mean: float) -> None:
    counts = torch.unique((mean + torch.linspace(-60, 60, 4001).double() * mean**0.5).floor().clamp(min=0))
    counts = torch.unique(torch.cat([counts, counts + 1]))
    below, upto = poisson_step(counts, number(math.log(mean))).ends()
    assert (upto > below).all()
    assert (upto.diff() > 0).all()
    neighbours = counts.diff() == 1
    torch.testing.assert_close(below[1:][neighbours], upto[:-1][neighbours], rtol=1e-9, atol=1e-9)
    assert below[counts == 0].eq(-torch.inf).all()


@pytest.mark.parametrize("mean", [0.1, 1.0, 7.0, 36.0, 1e3])
def test_log_odds_are_those_of_scipy_where_neither_tail_rounds(mean: float) -> None:
    counts = torch.arange(int(mean - 4 * mean**0.5) if mean > 30 else 0, int(mean + 4 * mean**0.5) + 1).double()
    expected = np.log(poisson.cdf(counts, mean)) - np.log(poisson.sf(counts, mean))
    np.testing.assert_allclose(poisson_step(counts, number(math.log(mean))).ends()[1].numpy(), expected, rtol=1e-9, atol=1e-12)


def test_shares_of_a_step_lead_from_one_end_to_the_other() -> None:
    count = torch.tensor([0.0, 3.0, 10.0, 30.0, 200.0], dtype=torch.float64)
    step = poisson_step(count, number(math.log(10.0)))
    below, upto = step.ends()
    torch.testing.assert_close(step.at(torch.full_like(count, 1 - 2**-53)), upto)
    torch.testing.assert_close(step.at(torch.full_like(count, 2**-60))[1:], below[1:])
    middle = step.at(torch.full_like(count, 0.5))
    assert ((below < middle) & (middle < upto)).all()


def test_the_largest_coupled_mean_still_tells_neighbouring_counts_apart() -> None:
    mean = math.exp(LARGEST)
    counts = torch.floor(number(mean)) + torch.arange(-50, 50).double()
    assert (poisson_step(counts, number(LARGEST)).ends()[1].diff() > 1e-8).all()


def test_log_of_one_minus_exp_loses_nothing_at_either_end() -> None:
    x = [-1e-300, -1e-12, -0.5, -0.69, -0.7, -5.0, -40.0, -700.0]
    with mpmath.workdps(330):
        expected = [float(mpmath.log(-mpmath.expm1(mpmath.mpf(each)))) for each in x]
    found = log1mexp(torch.tensor(x, dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-14, atol=0)


@pytest.mark.parametrize("x", [-1e100, -1e5, -200.0, -37.0, -5.0, -1.0, -1e-9, 0.0, 0.999999, 1.0, 1.000001, 3.0, 8.0, 40.0, 1e100])
def test_the_log_of_the_normal_distribution_function_is_right_in_both_tails_and_so_is_its_slope(x: float) -> None:
    at = number(x).requires_grad_()
    value = log_ndtr(at)
    (slope,) = torch.autograd.grad(value, at, create_graph=True)
    (bend,) = torch.autograd.grad(slope, at)
    with mpmath.workdps(60):
        log = (
            mpmath.log(mpmath.ncdf(x))
            if x > -1e4
            else -(mpmath.mpf(x) ** 2) / 2 - mpmath.log(-mpmath.mpf(x)) - mpmath.log(2 * mpmath.pi) / 2
        )
        hazard = mpmath.exp(-(mpmath.mpf(x) ** 2) / 2 - log) / mpmath.sqrt(2 * mpmath.pi) if x > -1e4 else -mpmath.mpf(x)
    assert value.item() == pytest.approx(float(log), rel=1e-13, abs=1e-300)
    assert slope.item() == pytest.approx(float(hazard), rel=1e-9, abs=1e-300)
    assert bend.isfinite()
    assert torch.equal(torch.func.vmap(log_ndtr)(number(x).reshape(1)), value.detach().reshape(1))
