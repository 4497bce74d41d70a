"""Binary and unordered nodes: their couplings, at ordinary and extreme logits."""

from typing import Any

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from cfair.interfaces import Mechanism
from cfair.scm import SCM

from oracles import assert_distribution, assert_mean, declare


def binary(intercept: float, weight: float = 0.0) -> Mechanism:
    """A binary node with log-odds ``intercept + weight·r``."""
    return _built({"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": intercept, "weights": {"r": weight}}})


def levelled(*logits: float, weight: float = 0.0) -> Mechanism:
    """A category whose logits are 0 and these, the second level's moving with ``r``."""
    levels = [f"L{j}" for j in range(len(logits) + 1)]
    fixed = {
        level: {"intercept": logit, "weights": {"r": weight if level == "L1" else 0.0}}
        for level, logit in zip(levels[1:], logits, strict=True)
    }
    return _built({"mechanism": "categorical", "levels": levels, "parameters": fixed})


def _built(v: dict[str, Any]) -> Mechanism:
    nodes = {"a": {"mechanism": "bernoulli", "levels": ["n", "y"]}, "r": {"mechanism": "gaussian"}, "v": {"parents": ["r"], **v}}
    return SCM(declare(nodes, outcome="v")).mechanisms["v"]


def zeros(n: int) -> dict[str, Tensor]:
    return {"r": torch.zeros(n, dtype=torch.float64)}


def uniforms(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(min=2**-54)


@pytest.mark.parametrize("logit", [-800.0, -750.0, -37.0, -1.0, 0.0, 1.0, 37.0, 750.0, 800.0])
def test_binary_noise_is_finite_and_makes_the_value_again_at_any_log_odds(logit: float) -> None:
    mechanism, edges = binary(logit), torch.tensor([2**-54, 2**-53, 0.5, 1 - 2**-52, 1 - 2**-53], dtype=torch.float64)
    for seen in (0.0, 1.0):
        noise = mechanism.abduct(torch.full((5,), seen).double(), zeros(5), edges)
        assert noise.isfinite().all()
        assert torch.equal(mechanism.value(noise, zeros(5)), torch.full((5,), seen).double())


def test_raising_the_log_odds_never_turns_a_one_into_a_zero() -> None:
    mechanism = binary(0.0, 1.0)
    values = mechanism.value(mechanism.noise(uniforms(1_000)), {"r": torch.linspace(-8, 8, 101, dtype=torch.float64).unsqueeze(-1)})
    assert (values.diff(dim=0) >= 0).all()


@pytest.mark.parametrize("seen", [0.0, 1.0])
def test_binary_noise_given_the_value_is_that_of_rejection_sampling(seen: float) -> None:
    mechanism, n = binary(1.2), 20_000
    prior = mechanism.noise(uniforms(n))
    kept = prior[mechanism.value(prior, zeros(n)) == seen]
    abducted = mechanism.abduct(torch.full((n,), seen).double(), zeros(n), uniforms(n, seed=1))
    assert ks_2samp(kept.numpy(), abducted.numpy()).pvalue > 1e-6


@pytest.mark.parametrize(
    "logits", [(-2000.0, 2000.0, 5.0), (2000.0, -2000.0, 0.0), (-800.0, -801.0, -802.0), (0.0, 0.0, 0.0), (700.0, 699.0, 1.0)]
)
def test_gumbels_are_finite_and_make_the_level_again_at_any_logits(logits: tuple[float, ...]) -> None:
    mechanism = levelled(*logits)
    edge = torch.tensor([2**-54, 1e-3, 0.5, 1 - 1e-3, 1 - 2**-53], dtype=torch.float64)
    uniform = torch.cat([torch.cartesian_prod(edge, edge, edge, edge), uniforms(2_000, 4)])
    for seen in range(4):
        levels = torch.full((len(uniform),), float(seen)).double()
        noise = mechanism.abduct(levels, zeros(len(uniform)), uniform)
        assert noise.isfinite().all()
        assert torch.equal(mechanism.value(noise, zeros(len(uniform))), levels)


def test_gumbels_of_equal_noise_and_logits_do_not_tie() -> None:
    mechanism = levelled(0.0, 0.0, 0.0)
    uniform = torch.full((4, 4), 0.5).double()
    levels = torch.arange(4).double()
    assert torch.equal(mechanism.value(mechanism.abduct(levels, zeros(4), uniform), zeros(4)), levels)


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_gumbels_given_the_level_are_those_of_rejection_sampling(seen: int) -> None:
    mechanism, n = levelled(0.7, -1.0), 40_000
    prior = mechanism.noise(uniforms(n, 3))
    kept = prior[mechanism.value(prior, zeros(n)) == seen]
    abducted = mechanism.abduct(torch.full((n,), float(seen)).double(), zeros(n), uniforms(n, 3, seed=1))
    for j in range(3):
        assert ks_2samp(kept[:, j].numpy(), abducted[:, j].numpy()).pvalue > 1e-6
    for i, j in ((0, 1), (0, 2), (1, 2)):  # the joint, by its differences and its products
        assert ks_2samp((kept[:, i] - kept[:, j]).numpy(), (abducted[:, i] - abducted[:, j]).numpy()).pvalue > 1e-6
        rejected, drawn = kept[:, i] * kept[:, j], abducted[:, i] * abducted[:, j]
        error = float((rejected.var() / len(rejected) + drawn.var() / len(drawn)).sqrt())  # of a difference of two sample means
        assert abs(float(drawn.mean() - rejected.mean())) <= 5 * error


def test_two_gumbels_couple_as_one_logistic_does() -> None:
    """Before and after the log-odds move from 0.5 to 1.4, the joint of the two values is the same."""
    n = 100_000
    joint = []
    for mechanism in (binary(0.5, 1.0), levelled(0.5, weight=1.0)):
        shape = (n,) if mechanism.noise_size == 1 else (n, 2)
        before = mechanism.value(mechanism.noise(uniforms(*shape)), zeros(n))
        noise = mechanism.abduct(before, zeros(n), uniforms(*shape, seed=1))
        after = mechanism.value(noise, {"r": torch.full((n,), 0.9).double()})
        joint.append((before, after))
    for x in (0.0, 1.0):
        for y in (0.0, 1.0):
            one, two = (((before == x) & (after == y)).double() for before, after in joint)
            assert_mean(one - two.roll(1), 0.0)
    assert not any(((before == 1) & (after == 0)).any() for before, after in joint)


def test_raising_one_level_moves_people_to_it_only() -> None:
    mechanism, n = levelled(0.2, -0.4, weight=1.0), 5_000
    noise = mechanism.noise(uniforms(n, 3))
    before, after = (mechanism.value(noise, {"r": torch.full((n,), r).double()}) for r in (0.0, 1.5))
    assert ((after == before) | (after == 1)).all()
    assert (after != before).any()


def test_the_largest_sum_is_a_standard_gumbel_whichever_level_has_it() -> None:
    mechanism, n = levelled(1.0, -2.0), 20_000
    phi = torch.tensor([0.0, 1.0, -2.0], dtype=torch.float64).log_softmax(-1)
    for seen in range(3):
        noise = mechanism.abduct(torch.full((n,), float(seen)).double(), zeros(n), uniforms(n, 3, seed=seen))
        assert_distribution((phi + noise).amax(-1), "gumbel_r")


def test_probabilities_of_a_root_are_kept_however_small() -> None:
    v = {"mechanism": "categorical", "levels": ["p", "q", "r"], "parameters": {"probabilities": [1 - 1e-12 - 1e-300, 1e-12, 1e-300]}}
    nodes: dict[str, dict[str, Any]] = {"a": {"mechanism": "bernoulli", "levels": ["n", "y"]}, "v": v}
    mechanism = SCM(declare(nodes, outcome="v")).mechanisms["v"]
    log_p = mechanism.distribution({}).log_prob(torch.arange(3).double())
    torch.testing.assert_close(log_p[1:], torch.tensor([1e-12, 1e-300], dtype=torch.float64).log(), rtol=1e-12, atol=0)
    levels = torch.arange(3).double()
    noise = mechanism.abduct(levels, {}, uniforms(500, 3, 3))
    assert noise.isfinite().all()
    assert torch.equal(mechanism.value(noise, {}), levels.expand(500, 3))
