"""A Pyro model of the user's own as an SCM: the same answers as the declared model, and a word for what does not fit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from scipy import stats
from torch import Tensor

from cfair.errors import CfairError, CodeError, QueryError, SpecError, StoreError
from cfair.inference import abduct, posterior
from cfair.interfaces import Columns
from cfair.pipeline import Options, fit
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.store import save
from cfair.worlds import counterfactual, simulate

from oracles import assert_distribution, declare, people, random_spec
from school import school

SPEC = declare(
    {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
        "k": {"mechanism": "gaussian", "latent": True},
        "x": {"mechanism": "gaussian", "parents": ["a", "k"]},
        "n": {"mechanism": "poisson", "parents": ["x"]},
        "c": {"mechanism": "categorical", "levels": ["S", "M", "L"], "parents": ["x", "a"]},
        "y": {"mechanism": "gaussian", "parents": ["x", "k"]},
    }
)


def double(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def one_person() -> None:
    """Written for one person, without a plate."""
    a = pyro.sample("a", dist.Bernoulli(double(0.4)))
    k = pyro.sample("k", dist.Normal(double(0.0), double(1.0)))
    x = pyro.sample("x", dist.Normal(1 + 2 * a + 0.8 * k, double(0.5)))
    pyro.sample("n", dist.Poisson((0.3 + 0.4 * x).exp()))
    pyro.sample("c", dist.Categorical(logits=torch.stack([0 * x, 0.5 * x - 1, a - 0.3 * x], -1)))
    pyro.sample("y", dist.Normal(x - 0.6 * k, double(1.2)))


def plated(columns: Columns) -> None:
    """The same for a plate of people, with a parameter from the store."""
    slope = pyro.param("slope", double(-9.0))
    with pyro.plate("rows", columns.n):
        a = pyro.sample("a", dist.Bernoulli(double(0.4)))
        k = pyro.sample("k", dist.Normal(double(0.0), double(1.0)))
        x = pyro.sample("x", dist.Normal(1 + 2 * a + slope * k, double(0.5)))
        pyro.sample("n", dist.Poisson((0.3 + 0.4 * x).exp()))
        pyro.sample("c", dist.Categorical(logits=torch.stack([0 * x, 0.5 * x - 1, a - 0.3 * x], -1)))
        pyro.sample("y", dist.Normal(x - 0.6 * k, double(1.2)))


DECLARED: dict[str, Any] = {
    "a": {"intercept": float(np.log(0.4 / 0.6)), "weights": {}},
    "x": {"intercept": 1.0, "weights": {"a=yes": 2.0, "k": 0.8}, "scale": 0.5},
    "n": {"intercept": 0.3, "weights": {"x": 0.4}},
    "c": {"M": {"intercept": -1.0, "weights": {"x": 0.5}}, "L": {"intercept": 0.0, "weights": {"x": -0.3, "a=yes": 1.0}}},
    "y": {"intercept": 0.0, "weights": {"x": 1.0, "k": -0.6}, "scale": 1.2},
}


def declared() -> SCM:
    """The same model, declared."""
    nodes = {name: node.model_dump(exclude_defaults=True) | {"mechanism": node.mechanism} for name, node in SPEC.nodes.items()}
    return SCM(declare({name: {**node, "parameters": DECLARED.get(name)} for name, node in nodes.items()}))


@pytest.fixture(params=["one person", "a plate"])
def scm(request: pytest.FixtureRequest) -> SCM:
    if request.param == "one person":
        return SCM.from_pyro(one_person, SPEC)
    with pyro.get_param_store().scope():
        pyro.param("slope", double(0.8))
        return SCM.from_pyro(plated, SPEC)


def test_its_densities_are_the_declared_models(scm: SCM) -> None:
    world = simulate(declared(), 200, seed=0)
    values = {node: world.values[node][0] for node in SPEC.nodes}
    for node, mechanism in scm.mechanisms.items():
        expected = declared().mechanisms[node].distribution(scm.parents(node, values)).log_prob(values[node])
        found = mechanism.distribution(scm.parents(node, values)).log_prob(values[node])
        torch.testing.assert_close(found, expected.expand(200), rtol=1e-6, atol=1e-6)


def test_its_posterior_is_the_declared_models(scm: SCM) -> None:
    columns = people(declared(), 100, seed=0)
    found, expected = posterior(scm, columns), posterior(declared(), columns)
    torch.testing.assert_close(found.mean["k"], expected.mean["k"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.sd["k"], expected.sd["k"], rtol=1e-6, atol=1e-6)


def test_its_counterfactuals_are_the_declared_models(scm: SCM) -> None:
    columns = people(declared(), 60, seed=0)
    worlds = []
    for model in (scm, declared()):
        factual = abduct(model, columns, given=SPEC.observed, draws=3, seed=1)
        same = counterfactual(model, factual, {"a": columns["a"]})
        assert all(torch.equal(same.values[node], factual.values[node]) for node in SPEC.nodes)
        worlds.append(counterfactual(model, factual, {"a": 1 - columns["a"]}))
    torch.testing.assert_close(worlds[0].values["x"], worlds[1].values["x"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(worlds[0].values["y"], worlds[1].values["y"], rtol=1e-6, atol=1e-6)
    assert torch.equal(worlds[0].values["c"], worlds[1].values["c"])
    assert (worlds[0].values["n"] == worlds[1].values["n"]).double().mean() > 0.99  # both monotone; a bound may round


def test_it_is_a_pyro_model_again_and_its_own_can_be_read_back() -> None:
    spec = random_spec(4)
    first = SCM(spec)
    again = SCM.from_pyro(first.model, spec)
    columns = people(first, 30, seed=0)
    trace, other = (poutine.trace(poutine.condition(model.model, data={"u": double(0.3)})).get_trace(columns) for model in (first, again))
    trace.compute_log_prob()
    other.compute_log_prob()
    for node in spec.nodes:
        torch.testing.assert_close(other.nodes[node]["log_prob"], trace.nodes[node]["log_prob"], rtol=1e-10, atol=1e-10)


def test_the_parameters_are_those_the_store_had_and_nothing_of_torch_or_pyro_moves() -> None:
    with pyro.get_param_store().scope():
        pyro.param("slope", double(0.8))
        stored, before = dict(pyro.get_param_store().items()), torch.random.get_rng_state()
        model = SCM.from_pyro(plated, SPEC)
        pyro.get_param_store().clear()
        value = model.mechanisms["x"].distribution({"a": torch.zeros(2).double(), "k": torch.ones(2).double()}).mean
        assert torch.equal(torch.random.get_rng_state(), before)
        assert dict(pyro.get_param_store().items()) == {}
        assert float(stored["slope"].detach()) == 0.8
    torch.testing.assert_close(value, torch.full((2,), 1.8).double())


REAL: dict[str, tuple[Callable[[Tensor], Any], Any]] = {
    "Laplace": (lambda m: dist.Laplace(m, double(0.7)), lambda m: stats.laplace(m, 0.7)),
    "Cauchy": (lambda m: dist.Cauchy(m, double(0.7)), lambda m: stats.cauchy(m, 0.7)),
    "Gumbel": (lambda m: dist.Gumbel(m, double(0.7)), lambda m: stats.gumbel_r(m, 0.7)),
    "LogNormal": (lambda m: dist.LogNormal(m, double(0.7)), lambda m: stats.lognorm(0.7, scale=np.exp(m))),
    "Exponential": (lambda m: dist.Exponential(m.exp()), lambda m: stats.expon(scale=np.exp(-m))),
    "HalfNormal": (lambda m: dist.HalfNormal(m.exp()), lambda m: stats.halfnorm(scale=np.exp(m))),
    "HalfCauchy": (lambda m: dist.HalfCauchy(m.exp()), lambda m: stats.halfcauchy(scale=np.exp(m))),
    "Uniform": (lambda m: dist.Uniform(m, m + 2), lambda m: stats.uniform(m, 2)),
    "Weibull": (lambda m: dist.Weibull(m.exp(), double(1.7)), lambda m: stats.weibull_min(1.7, scale=np.exp(m))),
}
TWO = declare({"a": {"mechanism": "bernoulli", "levels": ["no", "yes"]}, "y": {"mechanism": "gaussian", "parents": ["a"]}})


@pytest.mark.parametrize("name", REAL)
def test_noise_of_every_known_distribution_makes_its_values(name: str) -> None:
    site, reference = REAL[name]

    def model() -> None:
        pyro.sample("y", site(0.4 * pyro.sample("a", dist.Bernoulli(double(0.5)))))

    mechanism = SCM.from_pyro(model, TWO).mechanisms["y"]
    uniform = torch.rand(4_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for level in (0.0, 1.0):
        parents = {"a": double(level)}
        values = mechanism.value(mechanism.noise(uniform), parents)
        assert_distribution(values, reference(0.4 * level).cdf)
        crossed = mechanism.value(mechanism.abduct(values, parents, uniform), {"a": double(1 - level)})
        truth = reference(0.4 * (1 - level)).ppf(reference(0.4 * level).cdf(values.numpy()))  # each keeps their quantile
        np.testing.assert_allclose(crossed.numpy(), truth, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["NegativeBinomial", "GammaPoisson"])
def test_counts_follow_their_distribution_and_keep_their_step(kind: str) -> None:
    def model() -> None:
        a = pyro.sample("a", dist.Bernoulli(double(0.5)))
        two = double(2.0)
        pyro.sample("y", dist.NegativeBinomial(two, logits=a) if kind == "NegativeBinomial" else dist.GammaPoisson(two, (-a).exp()))

    spec = declare({"a": {"mechanism": "bernoulli", "levels": ["no", "yes"]}, "y": {"mechanism": "poisson", "parents": ["a"]}})
    mechanism = SCM.from_pyro(model, spec).mechanisms["y"]
    uniform = torch.rand(3_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = mechanism.value(mechanism.noise(uniform), {"a": double(1.0)})
    np.testing.assert_array_equal(values.numpy(), stats.nbinom(2, 1 / (1 + np.e)).ppf(uniform.numpy()))


def wrong(change: Callable[[], None], spec: ModelSpec = TWO) -> CfairError:
    with pytest.raises(CfairError) as caught:
        SCM.from_pyro(change, spec)
    assert "\n" not in str(caught.value)
    return caught.value


def a_site() -> Tensor:
    return pyro.sample("a", dist.Bernoulli(double(0.5)))


def unnamed() -> None:
    pyro.sample("yy", dist.Normal(a_site(), 1.0))


def without_edge() -> None:
    a_site()
    pyro.sample("y", dist.Normal(double(0.0), double(1.0)))


def sampled_parameter() -> None:
    w = pyro.sample("w", dist.Normal(double(0.0), double(1.0)))
    pyro.sample("y", dist.Normal(w * a_site(), double(1.0)))


def factor() -> None:
    pyro.sample("y", dist.Normal(a_site(), double(1.0)))
    pyro.factor("more", double(0.5))


def vector() -> None:
    pyro.sample("y", dist.Normal(a_site().unsqueeze(-1).expand(*a_site_shape(), 3), double(1.0)).to_event(1))


def a_site_shape() -> tuple[int, ...]:
    return (64,)


def fixed_plate() -> None:
    with pyro.plate("rows", 10):
        pyro.sample("y", dist.Normal(a_site(), double(1.0)))


def unknown_noise() -> None:
    pyro.sample("y", dist.Gamma(1 + a_site(), double(1.0)))


def levels_for_a_number() -> None:
    pyro.sample("y", dist.Bernoulli(logits=a_site()))


def number_for_levels() -> None:
    pyro.sample("y", dist.Normal(pyro.sample("a", dist.Normal(double(0.0), double(1.0))), double(1.0)))


def raising() -> None:
    raise KeyError("broken")


MISTAKES: dict[str, tuple[Callable[[], None], type[CfairError], str, str]] = {
    "a site of another name": (unnamed, SpecError, "it has no site 'y'", "did you mean 'yy'?"),
    "an edge that is not there": (without_edge, SpecError, "declares 'a' as its parent", "take 'a' out"),
    "a parameter that is sampled": (sampled_parameter, SpecError, "is not a node of the spec", "pyro.condition(model, data={'w': value})"),
    "a factor": (factor, SpecError, "is not a node of the spec", "condition it"),
    "several numbers per person": (vector, SpecError, "event shape (3,)", "one number per person"),
    "a plate of its own size": (fixed_plate, SpecError, "it has batch shape (10,)", "a plate's size is the n"),
    "unknown noise": (unknown_noise, SpecError, "of Gamma it is not known which noise", "use one of: Normal"),
    "levels for a number": (levels_for_a_number, SpecError, "declares a real node", "use one of: Normal"),
    "a number for levels": (number_for_levels, SpecError, "the spec declares 2 levels", "use Bernoulli or Categorical"),
    "an exception": (raising, CodeError, "raised KeyError: 'broken'", "cause"),
}


@pytest.mark.parametrize(("model", "kind", "problem", "mend"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_model_that_does_not_fit_is_told_where(model: Callable[[], None], kind: type[CfairError], problem: str, mend: str) -> None:
    found = wrong(model)
    assert type(found) is kind
    assert problem in found.problem
    assert mend in found.mend
    assert found.where.startswith("Pyro model")


def test_an_edge_that_the_spec_leaves_out_is_told() -> None:
    spec = declare(
        {
            **{name: node.model_dump(exclude_defaults=True) for name, node in SPEC.nodes.items()},
            "y": {"mechanism": "gaussian", "parents": ["x"]},
        }
    )
    found = wrong(one_person, spec)
    assert "changes with 'k', which the spec does not declare" in found.problem
    assert "add 'k' to the parents of 'y'" in found.mend


def test_a_conditioned_parameter_is_a_constant() -> None:
    model = pyro.condition(sampled_parameter, data={"w": double(3.0)})
    mean = SCM.from_pyro(model, TWO).mechanisms["y"].distribution({"a": torch.ones(1).double()}).mean
    torch.testing.assert_close(mean, torch.full((1,), 3.0).double())


def test_a_model_of_two_arguments_is_refused() -> None:
    with pytest.raises(QueryError, match="it needs 2 arguments: x, y"):
        SCM.from_pyro(lambda x, y: None, TWO)


def test_a_run_does_not_keep_it(tmp_path: Any) -> None:
    spec = school()
    run = fit(spec, people(SCM(spec), 200, seed=0), Options(draws=2, min_group_size=5, predictors=("full",)))
    with pytest.raises(StoreError, match=r"mechanisms that dag\.yaml does not declare"):
        save(replace(run, scm=SCM(spec, mechanisms=run.scm.mechanisms)), tmp_path / "run")
