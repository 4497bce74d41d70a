"""Prior to posterior of the loadings, and flat directions, against closed forms."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from cfair.diagnosis.movement import Parameter, flat_directions, movements, parameters_of
from cfair.inference.free import FreeParameters
from cfair.scm import SCM
from cfair.spec import ModelSpec

from oracles import declare, random_spec
from school import school


def bare(spec: ModelSpec) -> ModelSpec:
    """The same nodes with everything to be learned."""
    return declare(
        {name: {"mechanism": n.mechanism, "parents": n.parents, "levels": n.levels, "latent": n.latent} for name, n in spec.nodes.items()},
        protected=spec.protected,
        outcome=spec.outcome,
    )


@pytest.mark.parametrize("spec", [bare(school()), *(random_spec(seed, free=True) for seed in range(5))])
def test_parameters_are_in_the_order_in_which_they_are_learned_together(spec: ModelSpec) -> None:
    scm = SCM(spec)
    free = FreeParameters(scm, spec.order)
    free.write(torch.arange(free.count, dtype=torch.float64))
    found = parameters_of(scm, spec.order)
    assert [parameter.estimate for parameter in found] == list(range(free.count))
    assert len({(parameter.node, parameter.name) for parameter in found}) == free.count
    for parameter in found:
        assert bool(parameter.parents) == parameter.name.startswith("weights[")
        assert set(parameter.parents) <= {*spec.nodes[parameter.node].parents}


def test_a_fixed_parameter_is_none_of_them_and_priors_have_their_moments() -> None:
    prior = {"variance": {"inverse_gamma": [3, 2]}, "weights": {"normal": 2.0}}
    spec = declare(
        {
            "a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}},
            "y": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 1.0}, "prior": prior},
        }
    )
    scale, weight = parameters_of(SCM(spec), ["a", "y"])
    assert (scale.name, weight.name) == ("log_scale", "weights[a=yes]")
    assert (weight.prior_mean, weight.prior_sd) == (0, 2)
    digamma, trigamma = float(torch.special.digamma(torch.tensor(3.0))), float(torch.special.polygamma(1, torch.tensor(3.0)))
    assert scale.prior_mean == pytest.approx((math.log(2) - digamma) / 2, abs=5 * math.sqrt(trigamma / 4 / 20_000))
    assert scale.prior_sd == pytest.approx(math.sqrt(trigamma) / 2, rel=0.03)


def linear(noise: float, n: int, *, twins: bool) -> tuple[Tensor, list[Parameter]]:
    """Curvature of y = w·u + v·u' + ε, u and u' known: a linear-Gaussian posterior, whose precision is S⁻² + XᵀX/σ²."""
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if twins:
        x[:, 1] = x[:, 0]
    prior = torch.tensor([2.0, 0.5], dtype=torch.float64)
    parameters = [Parameter("y", f"weights[{name}]", (name,), 0.1, float(sd), 0.6) for name, sd in zip("uv", prior, strict=True)]
    return torch.diag(prior**-2) + x.T @ x / noise**2, parameters


TWO = declare(
    {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
        "u": {"mechanism": "gaussian", "latent": True},
        "v": {"mechanism": "gaussian", "latent": True},
        "y": {"mechanism": "gaussian", "parents": ["a", "u", "v"]},
    }
)


def test_posterior_sds_are_those_of_the_linear_gaussian_posterior() -> None:
    curvature, parameters = linear(1.5, 40, twins=False)
    exact = MultivariateNormal(torch.zeros(2, dtype=torch.float64), precision_matrix=curvature).stddev
    found = {movement.latent: movement for movement in movements(TWO, curvature, parameters)}
    for latent, sd, parameter in zip("uv", exact.tolist(), parameters, strict=True):
        assert found[latent].posterior_sd == pytest.approx(sd, rel=1e-9)
        assert found[latent].ratio == pytest.approx(sd / parameter.prior_sd, rel=1e-9)
        assert found[latent].shift == pytest.approx(0.5 / parameter.prior_sd)
        assert found[latent].verdict == "passes"
    assert flat_directions(curvature, parameters) == ()


def test_two_loadings_that_only_their_sum_is_known_of_have_one_flat_direction() -> None:
    curvature, parameters = linear(0.1, 1_000, twins=True)
    (flat,) = flat_directions(curvature, parameters)
    assert flat.ratio == pytest.approx(1.0)  # along w·S⁻¹ orthogonal to the sum the prior alone speaks
    part = flat.parameters
    assert 2.0 * part["y.weights[u]"] + 0.5 * part["y.weights[v]"] == pytest.approx(0, abs=1e-6)
    moved = {movement.latent: movement for movement in movements(TWO, curvature, parameters)}
    assert moved["v"].verdict == "untestable"  # it can give way to the other, whose prior is four times as wide
    assert moved["u"].verdict == "passes"


def test_without_data_every_direction_is_flat_and_a_saddle_is_too() -> None:
    _, parameters = linear(1.0, 1, twins=False)
    prior = torch.diag(torch.tensor([1 / 4, 4.0], dtype=torch.float64))
    assert [flat.ratio for flat in flat_directions(prior, parameters)] == pytest.approx([1.0, 1.0])
    assert {movement.verdict for movement in movements(TWO, prior, parameters)} == {"untestable"}
    (saddle,) = flat_directions(prior * torch.tensor([-1.0, 100.0], dtype=torch.float64), parameters)
    assert saddle.ratio == pytest.approx(1.0)
    assert set(saddle.parameters) == {"y.weights[u]"}


def product_of(*group: str, family: str = "gaussian") -> ModelSpec:
    mechanism = {"family": family, "interactions": [group]}
    return declare(
        {
            "sex": {"mechanism": "bernoulli", "levels": ["male", "female"]},
            "age": {"mechanism": "gaussian"},
            "kind": {"mechanism": "bernoulli", "levels": ["one", "other"], "latent": True},
            "ability": {"mechanism": "gaussian", "latent": True},
            "grade": {"mechanism": mechanism, "parents": ["sex", "age", "kind", "ability"]},
        },
        protected=["sex"],
        outcome="grade",
    )


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (("age", "ability"), "age:ability"),
        (("sex", "ability"), "sex=female:ability"),
        (("ability", "sex"), "ability:sex=female"),
        (("sex", "age", "ability"), "sex=female:age:ability"),
    ],
)
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_every_loading_that_multiplies_a_latent_is_listed_products_too(group: tuple[str, ...], name: str, family: str) -> None:
    spec = product_of(*group, family=family)
    parameters = parameters_of(SCM(spec), ["grade"])
    found = movements(spec, torch.eye(len(parameters), dtype=torch.float64), parameters)
    assert {each.parameter for each in found if each.latent == "ability"} == {"weights[ability]", f"weights[{name}]"}
    assert {each.parameter for each in found if each.latent == "kind"} == {"weights[kind=other]"}


def test_the_weights_of_a_scale_are_told_from_those_of_the_mean() -> None:
    mechanism = {"family": "gaussian", "heteroscedastic": True}
    spec = declare({"a": {"mechanism": "bernoulli", "levels": ["no", "yes"]}, "y": {"mechanism": mechanism, "parents": ["a"]}})
    assert {each.name for each in parameters_of(SCM(spec), ["y"])} == {"intercept", "log_scale", "weights[a=yes]", "scale_weights[a=yes]"}
