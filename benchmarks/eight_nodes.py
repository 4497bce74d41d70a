"""Two SCMs of eight nodes, all of them caused by ``a``, as declarations for cfair and as plain numpy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import poisson

__all__ = ["CONTINUOUS", "INTERCEPT", "MIXED", "SCALE", "WEIGHTS", "Floats", "Nodes", "numpy_world"]

Floats = NDArray[np.float64]
Nodes = Mapping[str, Mapping[str, Any]]

INTERCEPT, SCALE = 0.5, 0.8
WEIGHTS: dict[str, dict[str, float]] = {
    "a": {},
    "b": {"a": 0.5},
    "c": {"a": 0.3, "b": -0.4},
    "d": {"b": 0.7},
    "e": {"c": 0.2, "d": 0.6},
    "f": {"a": -0.5, "e": 0.3},
    "g": {"e": 0.4, "f": 0.5},
    "h": {"d": -0.3, "g": 0.8},
}
CONTINUOUS: Nodes = {
    node: {"mechanism": "gaussian", "parents": list(own), "parameters": {"intercept": INTERCEPT, "weights": own, "scale": SCALE}}
    for node, own in WEIGHTS.items()
}

LEVELS = ["x", "y", "z"]
CHOICE = {"y": {"intercept": 0.2, "weights": {"b": 0.5, "c": 0.1}}, "z": {"intercept": -0.1, "weights": {"b": -0.4, "c": 0.05}}}


def _node(mechanism: str, parents: Sequence[str], intercept: float, weights: Mapping[str, float], **more: object) -> dict[str, Any]:
    parameters = {"intercept": intercept, "weights": dict(weights)}
    if mechanism == "gaussian":
        parameters["scale"] = SCALE
    return {"mechanism": mechanism, "parents": list(parents), "parameters": parameters, **more}


MIXED: Nodes = {
    "a": {"mechanism": "categorical", "levels": LEVELS, "parameters": {"probabilities": [0.5, 0.3, 0.2]}},
    "b": _node("gaussian", ["a"], 0.1, {"a=y": 0.5, "a=z": -0.5}),
    "c": _node("poisson", ["a", "b"], 2.0, {"a=y": 0.3, "a=z": -0.3, "b": 0.2}),
    "d": {"mechanism": "categorical", "levels": LEVELS, "parents": ["b", "c"], "parameters": CHOICE},
    "e": _node("gaussian", ["c", "d"], 0.0, {"c": 0.1, "d=y": 0.0, "d=z": 0.4}),
    "f": _node("bernoulli", ["a", "e"], 0.0, {"a=y": 0.6, "a=z": 0.0, "e": 0.9}, levels=["no", "yes"]),
    "g": _node("poisson", ["e", "f"], 1.0, {"e": 0.3, "f=yes": 0.5}),
    "h": _node("gaussian", ["d", "g"], 0.0, {"d=y": 1.0, "d=z": 0.0, "g": 0.2}),
}


def numpy_world(nodes: Nodes, noise: Mapping[str, Floats], do: float) -> dict[str, Floats]:
    """The world in which ``a`` is ``do``, from the structural equations; noise and values of shape (m,)."""
    values = {"a": np.full(len(noise["a"]), do)}
    for node in [node for node in nodes if node != "a"]:
        values[node] = _value(nodes, node, noise[node], values)
    return values


def _value(nodes: Nodes, node: str, noise: Floats, values: Mapping[str, Floats]) -> Floats:
    """Additive noise, the largest perturbed logit, a sign, or the inverse of a distribution function."""
    family, known = nodes[node]["mechanism"], nodes[node]["parameters"]
    if family == "categorical":
        logits = [np.zeros(len(noise)), *(_eta(nodes, node, known[level], values) for level in LEVELS[1:])]
        return (np.stack(logits, -1) + noise).argmax(-1).astype(np.float64)
    eta = _eta(nodes, node, known, values)
    if family == "poisson":
        return poisson.ppf(expit(noise), np.exp(eta))
    return eta + known["scale"] * noise if family == "gaussian" else (noise > -eta).astype(np.float64)


def _eta(nodes: Nodes, node: str, known: Mapping[str, Any], values: Mapping[str, Floats]) -> Floats:
    """Intercept and weighted parents, a discrete parent by the weights of its levels."""
    eta, weights = known["intercept"], known["weights"]
    for parent in nodes[node]["parents"]:
        levels = nodes[parent].get("levels")
        if levels:
            eta = eta + np.array([weights.get(f"{parent}={level}", 0.0) for level in levels])[values[parent].astype(np.int64)]
        else:
            eta = eta + weights[parent] * values[parent]
    return eta
