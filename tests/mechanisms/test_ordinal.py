"""Ordered levels: cutpoints, and the coupling where a level is rare or lost in rounding."""

from itertools import pairwise
from typing import Any

import mpmath
import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torch.autograd.functional import hessian

from cfair.errors import QueryError
from cfair.inference import abduct, learn, posterior
from cfair.interfaces import Mechanism
from cfair.mechanisms.ordinal import CumulativeLogit
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.worlds import counterfactual

from oracles import assert_mean, columns_of, declare, grid_posterior, people

LEVELS = ["none", "some", "most", "all"]
A: dict[str, Any] = {"mechanism": "bernoulli", "levels": ["n", "y"]}


def ordinal(*cutpoints: float, weight: float = 1.0) -> Mechanism:
    """An ordinal node whose predictor is ``weight·r``."""
    known = {"cutpoints": list(cutpoints), "weights": {"r": weight}}
    v = {"mechanism": "ordinal", "levels": LEVELS[: len(cutpoints) + 1], "parents": ["r"], "parameters": known}
    return SCM(declare({"a": A, "r": {"mechanism": "gaussian"}, "v": v}, outcome="v")).mechanisms["v"]


def at(*r: float) -> dict[str, Tensor]:
    return {"r": torch.tensor(r, dtype=torch.float64)}


def uniforms(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(min=2**-54)


@pytest.mark.parametrize("eta", [-700.0, -60.0, -5.0, 0.3, 5.0, 60.0, 700.0])
def test_the_log_probability_of_a_level_is_right_to_rounding(eta: float) -> None:
    cutpoints = [-2.0, 0.5, 0.5 + 1e-9]
    found = ordinal(*cutpoints).distribution(at(eta)).log_prob(torch.arange(4).double())
    with mpmath.workdps(700):
        below = [mpmath.mpf(0), *(1 / (1 + mpmath.exp(mpmath.mpf(eta) - mpmath.mpf(c))) for c in cutpoints), mpmath.mpf(1)]
        expected = [float(mpmath.log(high - low)) for low, high in pairwise(below)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=1e-15)  # 1e-9 = c₂ − c₁ has 8 digits


def test_two_levels_are_a_bernoulli() -> None:
    known = {"intercept": 0.7, "weights": {"r": 1.3}}
    v = {"mechanism": "bernoulli", "levels": ["n", "y"], "parents": ["r"], "parameters": known}
    binary = SCM(declare({"a": A, "r": {"mechanism": "gaussian"}, "v": v}, outcome="v")).mechanisms["v"]
    two, r, level = ordinal(-0.7, weight=1.3), {"r": torch.linspace(-9, 9, 50).double()}, torch.arange(50).double() % 2
    torch.testing.assert_close(two.distribution(r).log_prob(level), binary.distribution(r).log_prob(level), rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(
        two.abduct(level, r, uniforms(50)), binary.abduct(level, r, torch.where(level > 0, 1 - uniforms(50), uniforms(50)))
    )
    assert torch.equal(two.value(two.noise(uniforms(50)), r), binary.value(binary.noise(uniforms(50)), r))


def test_raising_the_predictor_never_lowers_a_level() -> None:
    mechanism = ordinal(-1.0, 0.2, 1.5)
    values = mechanism.value(mechanism.noise(uniforms(1_000)), {"r": torch.linspace(-8, 8, 101).double().unsqueeze(-1)})
    assert (values.diff(dim=0) >= 0).all()


@pytest.mark.parametrize("eta", [-1e6, -800.0, -40.0, 0.0, 40.0, 800.0, 1e6])
def test_noise_is_finite_and_makes_the_level_again_however_rare_it_is(eta: float) -> None:
    mechanism = ordinal(-1.0, -1.0 + 1e-12, 3.0)
    edges = torch.tensor([2**-54, 1e-9, 0.5, 1 - 1e-9, 1 - 2**-53], dtype=torch.float64).unsqueeze(-1)
    levels, parents = torch.arange(4).double(), at(*[eta] * 4)
    noise = mechanism.abduct(levels, parents, edges)
    assert noise.isfinite().all()
    assert torch.equal(mechanism.value(noise, parents), levels.expand(5, 4))


@pytest.mark.parametrize("level", range(4))
def test_noise_given_the_level_is_that_of_rejection_sampling(level: int) -> None:
    mechanism, n = ordinal(-1.0, 0.2, 1.5), 20_000
    parents = {"r": torch.full((n,), 0.4).double()}
    prior = mechanism.noise(uniforms(n))
    kept = prior[mechanism.value(prior, parents) == level]
    abducted = mechanism.abduct(torch.full((n,), float(level)).double(), parents, uniforms(n, seed=1))
    assert ks_2samp(kept.numpy(), abducted.numpy()).pvalue > 1e-6


def test_the_log_probability_is_concave_in_the_predictor() -> None:
    steps = torch.tensor([0.4, -3.0], dtype=torch.float64)
    for level in range(4):
        for eta in (-30.0, -2.0, 0.1, 1.0, 30.0):
            curvature = hessian(lambda e, level=level: CumulativeLogit(e, steps).log_prob(torch.tensor(level)), torch.tensor(eta).double())
            assert float(curvature) <= 0


def test_slopes_are_finite_however_close_the_cutpoints() -> None:
    for log_step in (-800.0, -50.0, -37.0, 0.0, 6.0):
        steps = torch.tensor([log_step], dtype=torch.float64, requires_grad=True)
        CumulativeLogit(torch.zeros(3).double(), steps).log_prob(torch.tensor([0.0, 1.0, 2.0])).sum().clamp(min=-1e300).backward()  # type: ignore[no-untyped-call]
        assert steps.grad is not None
        assert not steps.grad.isnan().any()


def school(known: bool) -> dict[str, dict[str, Any]]:
    fixed = {"cutpoints": [-1.5, 0.0, 1.2], "weights": {"a=y": 0.8, "r": -0.6, "k": 0.9}} if known else None
    z = {"cutpoints": [0.4], "weights": {"k": 1.1, "v=some": 0.2, "v=most": 0.5, "v=all": 0.9}} if known else None
    y = {"intercept": 1.0, "weights": {"k": 0.7, "a=y": 0.5}, "scale": 0.8} if known else None
    r = {"intercept": 2.0, "weights": {}, "scale": 3.0} if known else None
    return {
        "a": {**A, "parameters": {"intercept": 0.2, "weights": {}} if known else None},
        "r": {"mechanism": "gaussian", "parameters": r},
        "k": {"mechanism": "gaussian", "latent": True},
        "v": {"mechanism": "ordinal", "levels": LEVELS, "parents": ["a", "r", "k"], "parameters": fixed},
        "z": {"mechanism": "ordinal", "levels": ["lo", "hi"], "parents": ["k", "v"], "parameters": z},
        "y": {"mechanism": "gaussian", "parents": ["k", "a"], "parameters": y},
    }


def test_learning_recovers_cutpoints_and_weights_beside_a_latent() -> None:
    truth = SCM(declare(school(known=True)))
    found = learn(declare(school(known=False)), people(truth, 20_000, seed=1)).mechanisms["v"].raw()
    assert found["cutpoints"] == pytest.approx([-1.5, 0.0, 1.2], abs=0.15)
    assert found["weights"] == pytest.approx({"a=y": 0.8, "r": -0.6, "k": 0.9}, abs=0.15)


def test_a_latents_moments_are_those_of_a_grid() -> None:
    scm = SCM(declare(school(known=True)))
    columns = people(scm, 40, seed=2)
    found, grid = posterior(scm, columns, given=scm.spec.observed), grid_posterior(scm, columns, scm.spec.observed)
    assert float(((found.mean["k"] - torch.from_numpy(grid.mean)) / torch.from_numpy(grid.sd)).abs().max()) < 1e-8


def test_a_level_that_nobody_has_is_learned_as_rare() -> None:
    spec = declare({"a": A, "y": {"mechanism": "ordinal", "levels": LEVELS, "parents": ["a"]}})
    dice = torch.Generator().manual_seed(0)
    a, y = torch.randint(2, (500,), generator=dice), torch.randint(2, (500,), generator=dice) * 2
    p = (
        learn(spec, columns_of({"a": a, "y": y}))
        .mechanisms["y"]
        .distribution({"a": torch.zeros(4)})
        .log_prob(torch.arange(4).double())
        .exp()
    )
    assert p.isfinite().all()
    assert (p[[1, 3]] < 0.01).all()
    assert float(p.sum()) == pytest.approx(1.0)


def test_an_ordinal_protected_attribute_can_be_set_and_its_levels_are_indicators() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "age": {"mechanism": "ordinal", "levels": ["young", "mid", "old"], "parameters": {"cutpoints": [-0.5, 0.8], "weights": {}}},
        "y": {
            "mechanism": "gaussian",
            "parents": ["age"],
            "parameters": {"weights": {"age=mid": 1.0, "age=old": 5.0}, "intercept": 0.0, "scale": 1.0},
        },
    }
    scm = SCM(declare(nodes, protected=["age"]))
    columns = people(scm, 500, seed=0)
    world = abduct(scm, columns, given=scm.spec.observed, draws=3)
    old = counterfactual(scm, world, {"age": "old"})
    shift = torch.tensor([5.0, 4.0, 0.0], dtype=torch.float64)[columns["age"].long()]
    torch.testing.assert_close(old.values["y"] - world.values["y"], shift.expand(3, 500))
    assert_mean((columns["age"] == 0).double(), float(torch.sigmoid(torch.tensor(-0.5).double())))


def test_an_ordinal_outcome_is_predicted_by_a_probability_of_each_level() -> None:
    scm = SCM(declare({"a": A, "y": {"mechanism": "ordinal", "levels": LEVELS, "parents": ["a"]}}))
    assert PREDICTORS["full"](scm).classes == tuple(map(str, LEVELS))
    with pytest.raises(QueryError, match=r"'logistic' does not predict an outcome of kind 'ordinal'\. Use 'multinomial'"):
        PREDICTORS["full"](scm, head="logistic")
