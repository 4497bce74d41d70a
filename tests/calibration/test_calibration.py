"""Simulation-based calibration: where the truth comes from the model, it lies anywhere among the draws alike (Talts et al. 2018)."""

from typing import Any, cast

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from cfair.inference import abduct, learn
from cfair.interfaces import World
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual, simulate

from oracles import assert_mean, columns_of, declare, people

pytestmark = pytest.mark.slow

PEOPLE, DRAWS = 8_000, 20
LEVELS = {"a": ["no", "yes"], "b": ["no", "yes"], "d": ["p", "q", "r"]}


def model(loadings: dict[str, float], parent: float = 0.0) -> ModelSpec:
    """A latent with a child of every family, so strongly loaded on it; ``parent`` is its weight on a real root."""
    k = {"r": loadings["d"] / 2, "a=yes": 0.3}
    d = {"q": {"intercept": 0.2, "weights": {"k": loadings["d"], "a=yes": 0.5}}, "r": {"intercept": -0.3, "weights": {"k": -k["r"]}}}
    known: dict[str, tuple[str, list[str], dict[str, Any]]] = {
        "a": ("bernoulli", [], {"intercept": 0.2, "weights": {}}),
        "r": ("gaussian", [], {"intercept": 0.0, "weights": {}, "scale": 1.0}),
        "k": ("gaussian", ["r"], {"weights": {"r": parent}}),
        "g": ("gaussian", ["a", "k"], {"intercept": 1.0, "weights": {"a=yes": -0.5, "k": loadings["g"]}, "scale": 1.0}),
        "b": ("bernoulli", ["a", "k"], {"intercept": -0.3, "weights": {"a=yes": 0.5, "k": loadings["b"]}}),
        "c": ("poisson", ["a", "k"], {"intercept": 1.0, "weights": {"a=yes": 0.3, "k": loadings["c"]}}),
        "d": ("categorical", ["a", "k"], d),
        "y": ("gaussian", ["a", "k", "c"], {"intercept": 0.0, "weights": {"a=yes": 1.0, "k": 1.0, "c": 0.2}, "scale": 0.7}),
    }
    nodes = {
        name: {"mechanism": family, "parents": parents, "parameters": own, "levels": LEVELS.get(name, []), "latent": name == "k"}
        for name, (family, parents, own) in known.items()
    }
    return declare(nodes)


MODELS = {
    "gentle": model({"g": 0.7, "b": 1.0, "c": 0.4, "d": 0.8}),
    "counts": model({"g": 0.1, "b": 0.3, "c": 1.5, "d": 0.1}),
    "cliffs": model({"g": 0.2, "b": 15.0, "c": 0.2, "d": 12.0}),
    "parent": model({"g": -0.5, "b": -1.5, "c": -0.3, "d": 0.5}, parent=1.2),
}


def assert_calibrated(truth: Tensor, draws: Tensor, tests: int) -> None:
    """Ranks of the truth, (n,), among stratified draws, (DRAWS, n), are uniform on a circle of DRAWS; Bonferroni over ``tests``."""
    ranks = (draws < truth).sum(0) % DRAWS  # none below and all below are half a stratum each
    p = chisquare(torch.bincount(ranks, minlength=DRAWS).numpy()).pvalue
    assert p > 1e-3 / tests, f"p = {p:.2g}"


@pytest.fixture(scope="module", params=MODELS)
def drawn(request: pytest.FixtureRequest) -> tuple[SCM, World, World]:
    """People from the model with their true latents and noise, and the world abducted from what is seen of them."""
    scm = SCM(MODELS[request.param])
    truth = simulate(scm, PEOPLE, seed=1)
    columns = columns_of({node: truth.values[node][0] for node in scm.spec.observed})
    return scm, truth, abduct(scm, columns, draws=DRAWS, seed=2)


def test_the_true_latent_lies_anywhere_among_its_draws(drawn: tuple[SCM, World, World]) -> None:
    _, truth, world = drawn
    assert_calibrated(truth.values["k"][0], world.values["k"], 1)


def test_drawn_noise_has_the_moments_of_the_true_noise_with_the_latent_and_the_evidence(drawn: tuple[SCM, World, World]) -> None:
    scm, truth, world = drawn
    for node in ("g", "b", "c", "d", "y"):
        true, found = truth.noise[node].reshape(1, PEOPLE, -1), world.noise[node].reshape(DRAWS, PEOPLE, -1)
        for j in range(scm.mechanisms[node].noise_size):
            for beside in ("k", "a", "g", "b", "c"):
                pairs = ((each[..., j], world_.values[beside]) for each, world_ in ((true, truth), (found, world)))
                once, twice = zip(*(((u * x).mean(0), (u * x).square().mean(0)) for u, x in pairs), strict=True)
                assert_mean(once[1] - once[0], 0.0)
                assert_mean(twice[1] - twice[0], 0.0)


def test_the_true_counterfactual_lies_anywhere_among_its_draws(drawn: tuple[SCM, World, World]) -> None:
    scm, truth, world = drawn
    for do in ({"a": "yes"}, {"a": "no", "r": 1.0}):
        true, found = (counterfactual(scm, each, do) for each in (truth, world))
        share = (found.values["y"] < true.values["y"][0]).double().mean(0)
        assert_mean(share, 0.5)
        for node in ("b", "c", "d"):
            assert_mean(found.values[node].mean(0) - true.values[node][0], 0.0)
            assert_mean(found.values[node].square().mean(0) - true.values[node][0].square(), 0.0)
        both = [(each.values["c"] * each.values["b"]).mean(0) for each in (found, true)]
        assert_mean(both[0] - both[1], 0.0)


def test_learned_loadings_centre_on_the_truth() -> None:
    known = MODELS["gentle"]
    free = declare({name: {**node.model_dump(warnings=False), "parameters": None} for name, node in known.nodes.items()})
    found: dict[str, list[float]] = {"g": [], "b": [], "c": [], "y": []}
    for seed in range(25):
        raw = cast("Any", learn(free, people(SCM(known), 2_000, seed=seed)).parameters_in_units())
        for child, loadings in found.items():
            loadings.append(raw[child]["weights"]["k"])
    for child, loadings in found.items():
        truth = cast("Any", known.nodes[child].parameters).weights["k"]
        assert_mean(torch.tensor(loadings), truth)
