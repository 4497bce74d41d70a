"""Several latents at once, latents with levels, and latents that cause protected attributes: against sums and grids of brute force."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from cfair.inference import abduct, learn, posterior
from cfair.inference.posterior import expectation
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import simulate

from oracles import assert_mean, columns_of, declare, log_density, people

Nodes = dict[str, dict[str, Any]]

A: Nodes = {"a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.2, "weights": {}}}}
Y: Nodes = {"y": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {}, "scale": 1.0}}}


def child(mechanism: str, parents: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """A node with fixed weights; levels by its mechanism."""
    levels = {"bernoulli": ["no", "yes"], "ordinal": ["low", "mid", "high"]}.get(mechanism, [])
    weights = {name: weight for name, weight in parents.items() if "=" in name or weight}
    own = {"cutpoints": [-0.5, 0.8]} if mechanism == "ordinal" else {"intercept": 0.3}
    return {
        "mechanism": mechanism,
        "parents": list(dict.fromkeys(name.split("=")[0] for name in parents)),
        "levels": levels,
        "parameters": {**own, "weights": weights, **more},
    }


def latent(mechanism: str = "gaussian", parents: Mapping[str, float] | None = None, **node: Any) -> dict[str, Any]:
    weights = {"parameters": {"weights": dict(parents)}} if parents else {}
    return {
        "mechanism": mechanism,
        "latent": True,
        "parents": list(dict.fromkeys(name.split("=")[0] for name in parents or {})),
        **weights,
        **node,
    }


LEVELS = {"levels": ["s", "t", "u"], "parameters": {"t": {"intercept": 0.5, "weights": {}}, "u": {"intercept": -0.4, "weights": {}}}}
SPECS = {
    "two normal": {
        "k": latent(),
        "l": latent(),
        "x": child("gaussian", {"a=yes": 1.0, "k": 0.9, "l": 0.5}, scale=0.6),
        "z": child("gaussian", {"l": 1.2}, scale=0.8),
    },
    "two": {
        "k": latent(),
        "l": latent(),
        "x": child("bernoulli", {"a=yes": 1.0, "k": 1.4, "l": -0.8}),
        "z": child("poisson", {"k": 0.4, "l": 0.7}),
        "w": child("ordinal", {"l": 1.5}),
    },
    "one above the other": {
        "k": latent(),
        "l": latent(parents={"a=yes": 0.5, "k": 0.8}),
        "x": child("bernoulli", {"k": 1.0}),
        "z": child("poisson", {"a=yes": 0.3, "l": 0.6}),
    },
    "levels": {
        "k": latent("categorical", **LEVELS),
        "x": child("gaussian", {"k=t": 1.5, "k=u": -1.0}, scale=0.7),
        "z": child("poisson", {"k=t": 0.5, "k=u": 1.0}),
    },
    "levels and a number": {
        "k": latent("categorical", **LEVELS),
        "l": latent(),
        "x": child("gaussian", {"k=t": 1.5, "k=u": -1.0, "l": 0.8}, scale=0.7),
        "z": child("bernoulli", {"l": 1.3, "k=u": 0.8}),
    },
    "two with levels": {
        "k": latent("categorical", **LEVELS),
        "l": latent("bernoulli", parents={"k=t": 0.7, "k=u": -0.6}, levels=["n", "y"]),
        "x": child("gaussian", {"k=t": 1.0, "l=y": 1.4}, scale=0.9),
        "z": child("poisson", {"l=y": 0.8}),
    },
    "apart": {"k": latent(), "l": latent(), "x": child("bernoulli", {"k": 1.4}), "z": child("poisson", {"l": 0.7})},
    "three": {
        "k": latent(),
        "l": latent(),
        "m": latent(),
        "x": child("bernoulli", {"k": 1.0, "l": 0.8}),
        "z": child("poisson", {"l": 0.4, "m": 0.5}),
        "w": child("gaussian", {"k": 0.6, "m": 0.9}, scale=0.7),
    },
}


def spec_of(name: str) -> ModelSpec:
    nodes = {"x": {}, **SPECS[name]}
    return declare({**A, **{node: said for node, said in nodes.items() if said}, **Y})


def brute_force(scm: SCM, values: Mapping[str, NDArray[np.float64]], i: int) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Points of a grid over all latents of one person (flattened), and their posterior probabilities."""
    spec = scm.spec
    steps = {1: 2_001, 2: 401, 3: 91}[max(sum(not spec.nodes[latent].discrete for latent in spec.latents), 1)]
    axes = [
        np.arange(len(spec.nodes[name].levels), dtype=float) if spec.nodes[name].discrete else np.linspace(-7, 7, steps)
        for name in spec.latents
    ]
    grid = [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]
    at = {**{name: np.full_like(grid[0], values[name][i]) for name in spec.evidence}, **dict(zip(spec.latents, grid, strict=True))}
    nodes = [node for node in (*spec.evidence, *spec.latents) if {node, *spec.nodes[node].parents} & set(spec.latents)]
    log_joint = sum((log_density(scm, node, at) for node in nodes), np.zeros_like(grid[0]))
    return grid, np.exp(log_joint - logsumexp(log_joint))


@pytest.mark.parametrize("name", SPECS)
def test_moments_are_those_of_a_grid(name: str) -> None:
    scm = SCM(spec_of(name))
    columns = people(scm, 6, seed=1)
    moments = posterior(scm, columns)
    values = {node: columns[node].numpy() for node in scm.spec.evidence}
    for i in range(columns.n):
        grid, weights = brute_force(scm, values, i)
        for latent_name, points in zip(scm.spec.latents, grid, strict=True):
            mean = float(weights @ points)
            sd = float(weights @ (points - mean) ** 2) ** 0.5
            assert float(moments.mean[latent_name][i]) == pytest.approx(mean, abs=2e-6)
            assert float(moments.sd[latent_name][i]) == pytest.approx(sd, abs=2e-6)
            for level, probability in enumerate(moments.probabilities.get(latent_name, torch.zeros(columns.n, 0))[i]):
                assert float(probability) == pytest.approx(float(weights[points == level].sum()), abs=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_draws_are_joint_draws_from_the_posterior(name: str) -> None:
    """First, second and cross moments of stratified draws of some people, against the grid."""
    scm = SCM(spec_of(name))
    columns = people(scm, 3, seed=2)
    world = abduct(scm, columns, draws=1_000 if name == "three" else 4_000)
    values = {node: columns[node].numpy() for node in scm.spec.evidence}
    for i in range(columns.n):
        grid, weights = brute_force(scm, values, i)
        points = dict(zip(scm.spec.latents, grid, strict=True))
        for one, other in product(scm.spec.latents, repeat=2):
            expected = float(weights @ (points[one] * points[other]))
            assert_mean(world.values[one][:, i] * world.values[other][:, i], expected)
            assert_mean(world.values[one][:, i], float(weights @ points[one]))


@pytest.mark.parametrize("name", SPECS)
def test_the_world_of_the_draws_is_consistent(name: str) -> None:
    """Every node's value follows from its parents and its noise, the latents' too."""
    scm = SCM(spec_of(name))
    columns = people(scm, 40, seed=3)
    world = abduct(scm, columns, draws=5)
    for node, mechanism in scm.mechanisms.items():
        again = mechanism.value(world.noise[node], scm.parents(node, world.values))
        torch.testing.assert_close(again.expand(world.shape), world.values[node].expand(world.shape), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SPECS)
def test_over_people_from_the_model_the_true_latents_have_the_moments_of_their_draws(name: str) -> None:
    scm = SCM(spec_of(name))
    truth = simulate(scm, 500 if name == "three" else 4_000, seed=4)
    columns = columns_of({node: truth.values[node][0] for node in scm.spec.observed})
    moments = posterior(scm, columns)
    for name_of in scm.spec.latents:
        error = (truth.values[name_of][0] - moments.mean[name_of]) / moments.sd[name_of].clamp(min=1e-9)
        assert_mean(error, 0.0)
        assert_mean(error.square(), 1.0)
        for node in scm.spec.observed:
            assert_mean((truth.values[name_of][0] - moments.mean[name_of]) * columns[node], 0.0)


@pytest.mark.parametrize("name", ["two", "levels and a number", "three", "apart"])
def test_expectations_are_those_of_a_grid(name: str) -> None:
    scm = SCM(spec_of(name))
    columns = people(scm, 4, seed=6)

    def function(values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return torch.sigmoid(sum((values[latent] for latent in scm.spec.latents), torch.zeros(())) + values["a"])

    found = expectation(scm, columns, function, n=columns.n)
    values = {node: columns[node].numpy() for node in scm.spec.evidence}
    for i in range(columns.n):
        grid, weights = brute_force(scm, values, i)
        expected = float(weights @ (1 / (1 + np.exp(-sum(grid) - values["a"][i]))))
        assert float(found[i]) == pytest.approx(expected, abs=2e-6)


def test_a_latent_may_cause_a_protected_attribute() -> None:
    nodes: Nodes = {
        "k": latent(),
        "a": child("bernoulli", {"k": 1.2}),
        "x": child("gaussian", {"a=yes": 1.0, "k": 0.7}, scale=0.5),
        "y": child("gaussian", {"k": 1.0, "x": 0.3}, scale=1.0),
    }
    scm = SCM(declare(nodes))
    columns = people(scm, 5, seed=7)
    moments = posterior(scm, columns)
    values = {node: columns[node].numpy() for node in scm.spec.evidence}
    for i in range(columns.n):
        (grid,), weights = brute_force(scm, values, i)
        assert float(moments.mean["k"][i]) == pytest.approx(float(weights @ grid), abs=1e-7)


FREE: dict[str, Nodes] = {
    "two": {
        "k": latent(),
        "l": latent(),
        **{f"x{j}": {"mechanism": "gaussian", "parents": ["a", "k"]} for j in range(3)},
        **{f"z{j}": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parents": ["l"]} for j in range(4)},
        "w": {"mechanism": "poisson", "parents": ["k", "l"]},
    },
    "levels": {
        "k": {"mechanism": "categorical", "levels": ["s", "t", "u"], "latent": True},
        "x": {"mechanism": "gaussian", "parents": ["a", "k"]},
        "z": {"mechanism": "poisson", "parents": ["k"]},
        "w": {"mechanism": "gaussian", "parents": ["k"]},
    },
}
TRUTH: dict[str, Nodes] = {
    "two": {
        "x0": {"intercept": 0.5, "weights": {"a=yes": 1.0, "k": 1.5}, "scale": 0.8},
        "x1": {"intercept": 0.0, "weights": {"a=yes": -0.5, "k": -0.8}, "scale": 1.0},
        "x2": {"intercept": 1.0, "weights": {"k": 0.7}, "scale": 1.0},
        **{f"z{j}": {"intercept": 0.2 * j, "weights": {"l": 1.5 - 0.3 * j}} for j in range(4)},
        "w": {"intercept": 0.2, "weights": {"k": 0.3, "l": 0.5}},
    },
    "levels": {
        "k": {"t": {"intercept": 0.3, "weights": {}}, "u": {"intercept": -0.3, "weights": {}}},
        "x": {"intercept": 0.0, "weights": {"a=yes": 0.5, "k=t": 1.5, "k=u": 3.5}, "scale": 0.6},
        "z": {"intercept": 0.0, "weights": {"k=t": 1.2, "k=u": 0.4}},
        "w": {"intercept": 0.0, "weights": {"k=t": 1.0, "k=u": 1.5}, "scale": 0.5},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FREE)
def test_parameters_come_back_from_many_people(name: str) -> None:
    """Within five of the standard errors that the curvature of the likelihood gives at n = 6,000: below 0.05 for all of these."""
    known = {node: {**said, **({"parameters": TRUTH[name][node]} if node in TRUTH[name] else {})} for node, said in FREE[name].items()}
    scm = learn(declare({**A, **FREE[name], **Y}), people(SCM(declare({**A, **known, **Y})), 6_000, seed=8))
    found = scm.parameters_in_units()
    for node, truth in TRUTH[name].items():
        sets = [(truth, found[node])] if "weights" in truth else [(truth[level], found[node][level]) for level in truth]  # type: ignore[index]
        for expected, learned in sets:
            assert learned["intercept"] == pytest.approx(expected["intercept"], abs=0.25)  # type: ignore[index]
            for weight, value in expected["weights"].items():
                assert learned["weights"][weight] == pytest.approx(value, abs=0.25), (node, weight)  # type: ignore[index]


def test_latents_apart_may_be_many() -> None:
    """Five latents with a child each: their posteriors are those of models with one each."""
    names = ["k", "l", "m", "o", "p"]
    nodes = {name: latent() for name in names} | {f"x{name}": child("bernoulli", {name: 1.0}) for name in names}
    scm = SCM(declare({**A, **nodes, **Y}))
    columns = people(scm, 5)
    moments = posterior(scm, columns)
    one = SCM(declare({**A, "k": latent(), "xk": nodes["xk"], **Y}))
    for name in names:
        alone = posterior(one, columns_of({"a": columns["a"], "xk": columns[f"x{name}"], "y": columns["y"]}))
        torch.testing.assert_close(moments.mean[name], alone.mean["k"], rtol=1e-10, atol=1e-10)
