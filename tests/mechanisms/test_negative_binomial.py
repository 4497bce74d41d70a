"""Overdispersed counts: tails, and the coupling at means and counts where rounding would break it."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, nbinom
from torch import Tensor
from torch.autograd.functional import hessian

from cfair.inference import learn, posterior
from cfair.interfaces import Mechanism
from cfair.mechanisms.negative_binomial import LogNegativeBinomial
from cfair.mechanisms.negative_binomial_tails import negative_binomial_log_pmf, negative_binomial_step
from cfair.mechanisms.tails import poisson_log_pmf
from cfair.scm import SCM

from oracles import declare, grid_posterior, people

A: dict[str, Any] = {"mechanism": "bernoulli", "levels": ["n", "y"]}
MEANS, SIZES = [0.1, 1.0, 10.0, 1e3, 1e4], [0.05, 1.0, 5.0, 100.0, 1e5]
DEVIATES = [-50, -8, -3, -1, -0.2, 0, 0.5, 2, 8, 20, 50]
EXTREMES = torch.tensor([2**-54, 1e-12, 1e-3, 0.5, 0.999, 1 - 1e-12, 1 - 2**-53], dtype=torch.float64).unsqueeze(-1)


def number(x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def count_of(mean: float, size: float, weight: float = 0.0) -> Mechanism:
    """A count with log mean log ``mean`` + ``weight·r``."""
    known = {"intercept": math.log(mean), "weights": {"r": weight}, "concentration": size}
    v = {"mechanism": "negative_binomial", "parents": ["r"], "parameters": known}
    return SCM(declare({"a": A, "r": {"mechanism": "gaussian"}, "v": v}, outcome="v")).mechanisms["v"]


def zeros(n: int) -> dict[str, Tensor]:
    return {"r": torch.zeros(n, dtype=torch.float64)}


def uniforms(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(min=2**-54)


def exact_log_pmf(k: int, mean: float, size: float) -> mpmath.mpf:
    r, mu = mpmath.mpf(size), mpmath.mpf(mean)
    whole = mpmath.loggamma(k + r) - mpmath.loggamma(r) - mpmath.loggamma(k + 1)
    return whole + r * mpmath.log(r / (r + mu)) + k * mpmath.log(mu / (r + mu))


def exact_log_tail(count: int, mean: float, size: float, lower: bool) -> mpmath.mpf:
    """The sum of the terms themselves, from the one next to ``count``."""
    first = count if lower else count + 1
    q, term, total, k = mpmath.mpf(mean) / (mpmath.mpf(size) + mpmath.mpf(mean)), mpmath.mpf(1), mpmath.mpf(0), first
    while term > total * mpmath.mpf(10) ** -16 and k >= 0:
        total += term
        term = (term * k / ((k - 1 + size) * q) if k else mpmath.mpf(0)) if lower else term * (k + size) / (k + 1) * q
        k += -1 if lower else 1
    return exact_log_pmf(first, mean, size) + mpmath.log(total)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("size", SIZES)
def test_log_mass_is_right_to_relative_1e_12(mean: float, size: float) -> None:
    spread = (mean + mean**2 / size) ** 0.5
    for count in sorted({max(0, int(mean + z * spread)) for z in DEVIATES} | {0, 1, 2, 15, 16, 17}):
        with mpmath.workdps(40):
            expected = float(exact_log_pmf(count, mean, size))
        found = float(negative_binomial_log_pmf(number(count), number(math.log(mean)), number(math.log(size))))
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12), count


@pytest.mark.parametrize(("mean", "size"), [(0.1, 0.05), (1.0, 1.0), (10.0, 0.5), (10.0, 1e5), (100.0, 5.0), (1e4, 100.0), (1e4, 1e5)])
def test_log_tails_are_right_to_relative_1e_10_from_the_middle_to_fifty_standard_deviations_out(mean: float, size: float) -> None:
    spread = (mean + mean**2 / size) ** 0.5
    for count in sorted({max(0, int(mean + z * spread)) for z in DEVIATES}):
        step = negative_binomial_step(number(count), number(math.log(mean)), number(math.log(size)))
        edge = count - 1 if bool(step.lower) else count
        if edge < 0:
            assert float(step.near) == -math.inf
            continue
        with mpmath.workdps(30):
            expected = float(exact_log_tail(edge, mean, size, bool(step.lower)))
        assert float(step.near) == pytest.approx(expected, rel=1e-10, abs=1e-12), count


def test_a_large_concentration_is_poisson() -> None:
    counts = torch.arange(60).double()
    found = negative_binomial_log_pmf(counts, number(math.log(20.0)), number(math.log(1e12)))
    torch.testing.assert_close(found, poisson_log_pmf(counts, number(math.log(20.0))), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("size", SIZES)
def test_counts_to_fifty_standard_deviations_are_finite_and_come_back(mean: float, size: float) -> None:
    mechanism, spread = count_of(mean, size), (mean + mean**2 / size) ** 0.5
    counts = torch.unique((mean + torch.linspace(-50, 50, 300).double() * spread).floor().clamp(min=0))
    noise = mechanism.abduct(counts, zeros(len(counts)), EXTREMES)
    assert noise.isfinite().all()
    assert torch.equal(mechanism.value(noise, zeros(len(counts))), counts.expand_as(noise))


@pytest.mark.parametrize("log_mean", [-700.0, -30.0, 20.0, 30.0, 700.0])
def test_no_mean_is_too_small_or_too_large_for_an_answer(log_mean: float) -> None:
    mechanism, parents = count_of(1.0, 2.0, 1.0), {"r": torch.full((5,), log_mean).double()}
    counts = torch.tensor([0.0, 1.0, 17.0, 1e6, 1e9], dtype=torch.float64)
    noise = mechanism.abduct(counts, parents, EXTREMES)
    assert noise.isfinite().all()
    assert torch.equal(mechanism.value(noise, parents), counts.expand_as(noise))


def test_quantiles_are_those_of_scipy() -> None:
    uniform = uniforms(5_000)
    for mean, size in ((0.5, 0.3), (4.0, 2.0), (300.0, 7.0)):
        found = (mechanism := count_of(mean, size)).value(mechanism.noise(uniform), zeros(5_000))
        np.testing.assert_array_equal(found.numpy(), nbinom.ppf(uniform.numpy(), size, size / (size + mean)))


def test_raising_the_mean_never_lowers_a_count() -> None:
    mechanism = count_of(3.0, 1.5, 1.0)
    values = mechanism.value(mechanism.noise(uniforms(500)), {"r": torch.linspace(-4, 6, 41).double().unsqueeze(-1)})
    assert (values.diff(dim=0) >= 0).all()


def test_noise_given_the_count_is_that_of_rejection_sampling() -> None:
    mechanism, n = count_of(2.0, 0.8), 40_000
    prior = mechanism.noise(uniforms(n))
    values = mechanism.value(prior, zeros(n))
    for count in (0.0, 1.0, 4.0):
        kept = prior[values == count]
        abducted = mechanism.abduct(torch.full((n,), count).double(), zeros(n), uniforms(n, seed=1))
        assert ks_2samp(kept.numpy(), abducted.numpy()).pvalue > 1e-6


def test_the_density_is_concave_in_the_log_mean() -> None:
    for size in (-3.0, 0.0, 5.0):
        for count in (0.0, 1.0, 7.0, 1e4):
            for eta in (-20.0, -1.0, 2.0, 9.0, 30.0):
                curvature = hessian(lambda e, c=count, s=size: LogNegativeBinomial(e, number(s)).log_prob(number(c)), number(eta))
                assert float(curvature) <= 1e-9 * (1 + count)


def clinic(known: bool) -> SCM:
    fixed = {"intercept": 1.2, "weights": {"a=y": 0.5, "k": 0.6}, "concentration": 3.0}
    nodes: dict[str, dict[str, Any]] = {
        "a": A,
        "k": {"mechanism": "gaussian", "latent": True},
        "v": {"mechanism": "negative_binomial", "parents": ["a", "k"], "round": True, "parameters": fixed if known else None},
        "x": {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 0.7}},
        "y": {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 1.0}},
    }
    return SCM(declare(nodes))


def test_learning_recovers_mean_and_concentration_beside_a_latent() -> None:
    found: Any = learn(clinic(known=False).spec, people(clinic(known=True), 20_000, seed=1)).mechanisms["v"].raw()
    assert found["intercept"] == pytest.approx(1.2, abs=0.05)
    assert found["weights"] == pytest.approx({"a=y": 0.5, "k": 0.6}, abs=0.05)
    assert found["concentration"] == pytest.approx(3.0, rel=0.1)


def test_a_latents_moments_are_those_of_a_grid() -> None:
    scm = clinic(known=True)
    columns = people(scm, 40, seed=2)
    found, grid = posterior(scm, columns), grid_posterior(scm, columns)
    assert float(((found.mean["k"] - torch.from_numpy(grid.mean)) / torch.from_numpy(grid.sd)).abs().max()) < 1e-8
