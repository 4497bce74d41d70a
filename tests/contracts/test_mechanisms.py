"""Laws of every mechanism family."""

import math
from collections.abc import Mapping
from random import Random
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.stats import gumbel_r, invgamma, logistic, norm, t
from torch import Tensor, nn
from torch.distributions import StudentT
from torch.func import functional_call

from cfair.families import FAMILIES
from cfair.interfaces import Mechanism
from cfair.mechanisms import Indexed, Unit, log_prior
from cfair.scm import SCM
from cfair.spec import ModelSpec, scale_weight_names, weight_names

from networks import NETWORKS
from oracles import assert_distribution, assert_mean, declare, log_density, rows_of

LEVELS = {
    "bernoulli": ["no", "yes"],
    "categorical": ["x", "y", "z", "w"],
    "ordinal": ["low", "mid", "high", "top"],
    "table": ["x", "y", "z"],
}
WEIGHTS = {"a=yes": 0.7, "c=M": -0.4, "c=L": 0.9, "r": -0.6, "n": 0.2}
UNITS = {"r": Unit(1.5, 2.0), "n": Unit(2.0, 1.4), "v": Unit(3.0, 2.5)}
PRIOR_CDF = {None: norm.cdf, "monotone": logistic.cdf, "independent": logistic.cdf, "gumbel": gumbel_r.cdf}
OPTIONS: dict[str, dict[str, Any]] = {
    "gaussian/heteroscedastic": {"heteroscedastic": True},
    "gaussian/interactions": {"interactions": [["a", "c"], ["r", "n"], ["a", "r"], ["c", "n"], ["a", "r", "n"]]},
    "gaussian/both": {"heteroscedastic": True, "interactions": [["a", "r"]]},
    "student_t/both": {"heteroscedastic": True, "interactions": [["c", "r"]]},
    "bernoulli:monotone/probit": {"link": "probit"},
    "bernoulli:monotone/cloglog": {"link": "cloglog"},
    "bernoulli:monotone/interactions": {"interactions": [["c", "a"], ["n", "r"]]},
    "categorical:gumbel/interactions": {"interactions": [["a", "c", "r"]]},
    "ordinal:monotone/probit": {"link": "probit", "interactions": [["a", "r"]]},
    "poisson:monotone/interactions": {"interactions": [["a", "r"]]},
    "negative_binomial:monotone/interactions": {"interactions": [["a", "c"]]},
}  # after a family and its coupling, a name for what is chosen in its mechanism
CASES = (
    [*OPTIONS]
    + [f"{name}:{coupling}" for name, family in FAMILIES.items() for coupling in family.couplings]
    + [name for name, family in FAMILIES.items() if not family.couplings]
)  # and every family under every coupling
WRITTEN = [
    case for case in CASES if case.startswith(("bernoulli", "poisson", "negative_binomial")) and not case.endswith(("probit", "cloglog"))
]
N = 4_000


def spec_of(case: str, node: Mapping[str, Any] | None = None) -> ModelSpec:
    """A node ``v`` of the family with a parent of each kind, or of each kind that it can have."""
    family, coupling = family_of(case), coupling_of(case)
    parents: dict[str, dict[str, Any]] = {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
        "c": {"mechanism": "categorical", "levels": ["S", "M", "L"]},
        "r": {"mechanism": "gaussian"},
        "n": {"mechanism": "poisson"},
    }
    own = ["a", "c"] if coupling == "independent" or FAMILIES[family].discrete_parents else list(parents)
    v = {
        "mechanism": {"family": family, **OPTIONS.get(case, {})},
        "parents": own,
        "levels": LEVELS.get(family, []),
        "coupling": coupling or None,
        **(node or {}),
    }
    return declare({**parents, "v": v}, outcome="v")


def family_of(case: str) -> str:
    return case.partition("/")[0].partition(":")[0]


def coupling_of(case: str) -> str | None:
    return case.partition("/")[0].partition(":")[2] or None


def prior_cdf(case: str) -> Any:
    """Of the noise."""
    if family_of(case) == "student_t":
        return t(4.0).cdf
    return norm.cdf if FAMILIES[family_of(case)].kind == "real" else PRIOR_CDF[coupling_of(case)]


def is_network(case: str) -> bool:
    return family_of(case) in NETWORKS


def known(case: str, size: float = 1.0) -> dict[str, Any]:
    """Parameters that fix a node of the family."""
    family, spec = family_of(case), spec_of(case)
    if family in NETWORKS:
        return {}
    linear: dict[str, Any] = {"intercept": 0.3 * size, "weights": {name: size * WEIGHTS.get(name, 0.1) for name in weight_names(spec, "v")}}
    if spec.nodes["v"].heteroscedastic:
        linear["scale_weights"] = {name: WEIGHTS[name] / 2 for name in scale_weight_names(spec, "v")}
    match family:
        case "categorical":
            return {
                level: {"intercept": 0.3 * j, "weights": {name: w / j for name, w in linear["weights"].items()}}
                for j, level in enumerate("yzw", 1)
            }
        case "ordinal":
            return {"cutpoints": [-0.7 * size, 0.3 * size, 1.1 * size], "weights": linear["weights"]}
        case "table":
            dice = Random(1)
            return {"probabilities": rows_of(spec, "v", lambda: math.exp(size * dice.uniform(-1.5, 1.5)))}
        case "gaussian":
            return {**linear, "scale": 0.8}
        case "student_t":
            return {**linear, "scale": 0.8, "degrees": 4.0}
        case "negative_binomial":
            return {**linear, "concentration": 1.7}
    return linear


def mechanism_of(family: str, node: Mapping[str, Any] | None = None, units: Mapping[str, Unit] | None = None) -> Mechanism:
    return SCM(spec_of(family, node), units).mechanisms["v"]


def fixed(family: str, size: float = 1.0, units: Mapping[str, Unit] | None = None) -> Mechanism:
    """The family's mechanism with its parameters fixed, or its weights set; at a larger ``size`` other values are likely."""
    mechanism = mechanism_of(family, {"parameters": known(family, size)}, units)
    set_weights(mechanism, size)
    return mechanism


def set_weights(mechanism: Mechanism, size: float = 1.0) -> None:
    """Give a network weights; a mechanism without one stays as it is."""
    module, source = cast("nn.Module", mechanism), torch.Generator().manual_seed(5)
    state = module.state_dict()
    weights = [name for name in state if name.startswith("network.") and name not in ("network.center", "network.scale")]
    for name in weights:
        state[name] = 0.2 * torch.randn(state[name].shape, generator=source, dtype=torch.float64)
    if weights:
        state["network.bias_2"][0] = 0.3 * size
        module.load_state_dict(state)


def cdf_of(distribution: Any) -> Any:
    """The distribution function of one real distribution, by adding its density up where it has light tails."""
    if isinstance(distribution, StudentT):
        return t(float(distribution.df), float(distribution.loc), float(distribution.scale)).cdf
    x = np.linspace(-80, 80, 400_001)
    density = distribution.log_prob(torch.from_numpy(x)).exp().numpy()
    total = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(x))])
    assert abs(total[-1] - 1) < 1e-5
    return lambda values: np.interp(values, x, total)


def parents_of(n: int, seed: int = 0) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(seed)
    return {
        "a": torch.randint(2, (n,), generator=source).double(),
        "c": torch.randint(3, (n,), generator=source).double(),
        "r": torch.randn(n, generator=source, dtype=torch.float64),
        "n": torch.randint(6, (n,), generator=source).double(),
    }


def one_kind(n: int) -> dict[str, Tensor]:
    """Parents that are the same for everyone."""
    return {
        "a": torch.ones(n).double(),
        "c": torch.ones(n).double(),
        "r": torch.full((n,), -0.5).double(),
        "n": torch.full((n,), 2.0).double(),
    }


def uniform_of(mechanism: Mechanism, *shape: int, seed: int = 1) -> Tensor:
    size = (mechanism.noise_size,) if mechanism.noise_size > 1 else ()
    return torch.rand(*shape, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(min=2**-54)


def seen_of(mechanism: Mechanism, parents: Mapping[str, Tensor], n: int, seed: int = 2) -> Tensor:
    """Values drawn from the mechanism's own noise."""
    return mechanism.value(mechanism.noise(uniform_of(mechanism, n, seed=seed)), parents)


@pytest.mark.parametrize("family", CASES)
def test_value_undoes_abduct(family: str) -> None:
    mechanism, parents = fixed(family), parents_of(N)
    seen = seen_of(mechanism, parents, N)
    again = mechanism.value(mechanism.abduct(seen, parents, uniform_of(mechanism, 7, N)), parents)
    if mechanism.kind == "real":
        torch.testing.assert_close(again.expand(7, N), seen.expand(7, N), rtol=1e-13, atol=1e-13)
    else:
        assert torch.equal(again, seen.expand(7, N))


@pytest.mark.parametrize("family", CASES)
@pytest.mark.parametrize("size", [10.0, 100.0])
def test_value_undoes_abduct_for_values_that_hardly_ever_occur(family: str, size: float) -> None:
    mechanism, parents = fixed(family, size), parents_of(N)
    seen = seen_of(fixed(family), parents, N)
    noise = mechanism.abduct(seen, parents, uniform_of(mechanism, 3, N))
    assert noise.isfinite().all()
    torch.testing.assert_close(mechanism.value(noise, parents).expand(3, N), seen.expand(3, N), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", CASES)
def test_noise_has_its_prior(family: str) -> None:
    mechanism = fixed(family)
    assert_distribution(mechanism.noise(uniform_of(mechanism, N)), prior_cdf(family))


@pytest.mark.parametrize("family", CASES)
def test_abducted_noise_has_its_prior_and_is_independent_of_the_parents(family: str) -> None:
    mechanism, parents = fixed(family), parents_of(N)
    noise = mechanism.abduct(seen_of(mechanism, parents, N), parents, uniform_of(mechanism, N))
    assert_distribution(noise, prior_cdf(family))
    noise = noise.reshape(N, -1)
    for parent in parents.values():
        for column in noise.T:
            assert_mean((parent - parent.mean()) * (column - column.mean()), 0.0)
    for j in range(1, noise.shape[1]):
        assert_mean((noise[:, 0] - noise[:, 0].mean()) * (noise[:, j] - noise[:, j].mean()), 0.0)


@pytest.mark.parametrize("family", CASES)
def test_values_have_their_distribution(family: str) -> None:
    mechanism, parents = fixed(family), one_kind(100_000)
    seen, distribution = (
        seen_of(mechanism, parents, 100_000),
        mechanism.distribution({name: column[:1] for name, column in parents.items()}),
    )
    if mechanism.kind == "real":
        assert_distribution(seen, cdf_of(distribution))
    else:
        for value in seen.unique():
            assert_mean((seen == value).double(), float(distribution.log_prob(value).exp()))


@pytest.mark.parametrize("family", CASES)
def test_density_is_that_of_the_textbook(family: str) -> None:
    scm, parents = SCM(spec_of(family, {"parameters": known(family)}), UNITS), parents_of(200)
    set_weights(scm.mechanisms["v"])
    seen = seen_of(scm.mechanisms["v"], parents, 200)
    values = {name: column.numpy() for name, column in {**parents, "v": seen}.items()}
    np.testing.assert_allclose(
        scm.mechanisms["v"].distribution(parents).log_prob(seen).numpy(), log_density(scm, "v", values), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("family", [case for case in CASES if FAMILIES[family_of(case)].kind == "real"])
def test_density_of_a_real_node_is_the_slope_of_its_noise(family: str) -> None:
    mechanism, parents, step = fixed(family, units=UNITS), parents_of(500), 1e-6
    seen = seen_of(mechanism, parents, 500)
    anyone = uniform_of(mechanism, 500)
    slope = (mechanism.abduct(seen + step, parents, anyone) - mechanism.abduct(seen - step, parents, anyone)) / (2 * step)
    pdf = t(4.0).pdf if family_of(family) == "student_t" else norm.pdf
    density = pdf(mechanism.abduct(seen, parents, anyone).numpy()) * slope.numpy()
    np.testing.assert_allclose(mechanism.distribution(parents).log_prob(seen).exp().numpy(), density, rtol=2e-5, atol=1e-9)


@pytest.mark.parametrize("family", WRITTEN)
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_a_written_slope_and_curvature_are_those_of_the_density(family: str, size: float) -> None:
    mechanism, parents = fixed(family, size), parents_of(200)
    assert isinstance(mechanism, Indexed)
    eta, seen = mechanism.index(parents).detach(), seen_of(mechanism, parents, 200)
    written = mechanism.bend(seen, eta)
    assert written is not None
    eta = eta.requires_grad_()
    (slope,) = torch.autograd.grad(mechanism.at(eta).log_prob(seen).sum(), eta, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), eta)
    rounding = 1e-8 * (1 + written[1].abs().sqrt()) + 1e-12 * written[0].abs()  # of what is differentiated: a rate may be exp(80)
    assert ((written[0] - slope.detach().squeeze(-1)).abs() <= rounding).all()
    torch.testing.assert_close(written[1], curvature.squeeze(-1), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("family", CASES)
def test_samples_follow_the_density(family: str) -> None:
    distribution = fixed(family).distribution({name: column[:1] for name, column in one_kind(1).items()})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = distribution.sample((20_000,)).double().flatten()
    if spec_of(family).nodes["v"].kind == "real":
        assert_distribution(draws, cdf_of(distribution))
    else:
        for value in draws.unique():
            assert_mean((draws == value).double(), float(distribution.log_prob(value).exp()))


@pytest.mark.parametrize("family", CASES)
def test_gradients_reach_every_free_parameter(family: str) -> None:
    module, parents = cast("nn.Module", mechanism_of(family)), parents_of(500)
    buffers = dict(module.named_buffers())
    assert all(buffers[f"{name}_free"].all() for name, _ in module.named_parameters())
    values = {name: value.detach().clone().requires_grad_() for name, value in module.named_parameters()}
    seen = seen_of(fixed(family), parents, 500)
    if values:  # a table has none: it learns in closed form
        functional_call(module, values, (parents,)).log_prob(seen).sum().backward()
    for name, value in values.items():
        assert value.grad is not None, name
        assert (value.grad != 0).all(), name


@pytest.mark.parametrize("family", CASES)
def test_draws_broadcast(family: str) -> None:
    mechanism, parents = fixed(family), parents_of(50)
    draws = torch.arange(4).double().unsqueeze(-1)
    many = {**parents, "r": parents["r"] + draws, "a": (parents["a"] + draws) % 2}
    seen, uniform = seen_of(mechanism, parents, 50), uniform_of(mechanism, 4, 50)
    noise = mechanism.abduct(seen, many, uniform)
    for draw in range(4):
        one = {**parents, "r": many["r"][draw], "a": many["a"][draw]}
        torch.testing.assert_close(mechanism.abduct(seen, one, uniform[draw]), noise[draw], rtol=1e-14, atol=1e-14)
        torch.testing.assert_close(mechanism.value(noise[draw], parents), mechanism.value(noise, parents)[draw], rtol=1e-14, atol=1e-14)
    assert mechanism.distribution(many).log_prob(seen).shape == (4, 50)


@pytest.mark.parametrize("family", CASES)
def test_order_of_people_and_their_number_change_nothing(family: str) -> None:
    mechanism, parents = fixed(family), parents_of(301)
    seen, uniform = seen_of(mechanism, parents, 301), uniform_of(mechanism, 301)
    noise = mechanism.abduct(seen, parents, uniform)
    for people in (torch.randperm(301, generator=torch.Generator().manual_seed(3)), torch.arange(1), torch.arange(17)):
        some = {name: column[people] for name, column in parents.items()}
        torch.testing.assert_close(mechanism.abduct(seen[people], some, uniform[people]), noise[people], rtol=1e-13, atol=1e-13)
        assert torch.equal(mechanism.value(noise[people], some), mechanism.value(noise, parents)[people])


@pytest.mark.parametrize("family", CASES)
def test_known_parameters_come_back_in_their_own_units(family: str) -> None:
    if is_network(family):
        return  # nothing of it can be fixed
    assert_nested(mechanism_of(family, {"parameters": known(family)}, UNITS).raw(), known(family))


@pytest.mark.parametrize("family", CASES)
def test_parameters_in_their_own_units_make_the_same_mechanism(family: str) -> None:
    if is_network(family):
        return  # its weights are kept in the model's state, not in parameters
    module = cast("nn.Module", mechanism_of(family, units=UNITS))
    dice = Random(0)
    for parameter in module.parameters():
        parameter.data = torch.tensor([dice.uniform(-0.5, 0.5) for _ in range(parameter.numel())], dtype=torch.float64).reshape(
            parameter.shape
        )
    mechanism, parents = cast("Mechanism", module), parents_of(100)
    again = mechanism_of(family, {"parameters": mechanism.raw()})
    seen = seen_of(again, parents, 100)
    torch.testing.assert_close(
        again.distribution(parents).log_prob(seen), mechanism.distribution(parents).log_prob(seen), rtol=1e-12, atol=1e-12
    )


def assert_nested(found: object, expected: object) -> None:
    if isinstance(expected, Mapping):
        assert isinstance(found, Mapping)
        assert found.keys() == expected.keys()
        for key in expected:
            assert_nested(found[key], expected[key])
    elif isinstance(expected, list):
        assert isinstance(found, list)
        for one, other in zip(found, expected, strict=True):
            assert_nested(one, other)
    elif isinstance(expected, str):
        assert found == expected
    else:
        assert found == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("family", CASES)
def test_fixed_parameters_are_not_learned(family: str) -> None:
    buffers = dict(cast("nn.Module", fixed(family)).named_buffers())
    assert not any(mask.any() for name, mask in buffers.items() if name.endswith("_free"))


@pytest.mark.parametrize("family", CASES)
@pytest.mark.parametrize("fixed_one", ["intercept", "weights", "scale", "scale_weights", "degrees", "cutpoints"])
def test_start_moves_only_what_is_free(family: str, fixed_one: str) -> None:
    whole, by_level = known(family), spec_of(family).nodes["v"].family.by_level
    if fixed_one not in (whole if not by_level else whole["y"]):
        return
    part = {level: {fixed_one: whole[level].get(fixed_one)} for level in whole} if by_level else {fixed_one: whole.get(fixed_one)}
    mechanism = mechanism_of(family, {"parameters": part}, UNITS)
    mechanism.start(seen_of(fixed(family), parents_of(100), 100))
    raw = mechanism.raw()
    found = {level: {fixed_one: cast("Any", raw[level])[fixed_one]} for level in whole} if by_level else {fixed_one: raw[fixed_one]}
    assert_nested(found, part)


@pytest.mark.parametrize("family", CASES)
def test_priors_have_the_shapes_of_their_parameters(family: str) -> None:
    mechanism = mechanism_of(family, units=UNITS)
    parameters = dict(cast("nn.Module", mechanism).named_parameters())
    priors = mechanism.priors()
    assert priors.keys() == parameters.keys()
    for name, prior in priors.items():
        assert prior.log_prob(parameters[name]).shape == parameters[name].shape
        assert prior.sample().shape == parameters[name].shape


@pytest.mark.parametrize("family", CASES)
def test_prior_in_raw_units_is_that_density_of_the_raw_parameters(family: str) -> None:
    prior: dict[str, Any] = {"intercept": {"normal": [0.5, 2.0]}, "weights": {"normal": [-0.1, 0.3]}}
    stated = spec_of(family).nodes["v"].family.priors
    prior = {name: given for name, given in prior.items() if name in stated}
    if not prior:
        return
    if "variance" in stated:
        prior["variance"] = {"inverse_gamma": [3.0, 2.0]}
    if spec_of(family).nodes["v"].heteroscedastic:
        prior["scale_weights"] = {"normal": [0.2, 0.4]}
    mechanism = mechanism_of(family, {"prior": prior}, UNITS)
    module = cast("nn.Module", mechanism)
    free = {name.removesuffix("_free"): mask for name, mask in module.named_buffers() if name.endswith("_free")}
    source, gaps = torch.Generator().manual_seed(0), []
    for _ in range(4):
        for name, parameter in module.named_parameters():
            if name in ("log_steps", "log_size", "log_degrees") or (family.startswith("ordinal") and name == "linear.intercept"):
                continue  # no prior in raw units
            parameter.data = 0.5 * torch.randn(parameter.shape, generator=source, dtype=torch.float64)
        gaps.append(float(log_prior(mechanism.priors(), dict(module.named_parameters()), free)) - textbook_prior(family, mechanism.raw()))
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-12, atol=1e-10)


def textbook_prior(family: str, raw: Mapping[str, Any]) -> float:
    """The log density of raw parameters under the prior above; of the variance, that of log σ."""
    parts = raw.values() if family.startswith("categorical") else [raw]
    total = sum(norm.logpdf(list(part["weights"].values()), -0.1, 0.3).sum() for part in parts)
    total += sum(norm.logpdf(part["intercept"], 0.5, 2.0) for part in parts if "intercept" in part)
    total += norm.logpdf(list(raw.get("scale_weights", {}).values()), 0.2, 0.4).sum()
    if "scale" in raw:
        variance = raw["scale"] ** 2
        total += invgamma.logpdf(variance, 3.0, scale=2.0) + np.log(2 * variance)  # dσ²/d log σ = 2σ²
    return float(total)


@pytest.mark.parametrize("family", CASES)
def test_default_prior_does_not_depend_on_the_units_of_the_table(family: str) -> None:
    plain, scaled = mechanism_of(family), mechanism_of(family, units={"r": Unit(1e6, 1e-3), "v": Unit(-1e6, 1e3)})
    for name, prior in plain.priors().items():
        x = torch.full(prior.sample().shape, 0.3, dtype=torch.float64)
        torch.testing.assert_close(scaled.priors()[name].log_prob(x), prior.log_prob(x))
