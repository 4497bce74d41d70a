"""Models and tables with missing values, and the normal distribution that linear ones have."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cfair.interfaces import Columns
from cfair.scm import SCM

__all__ = ["CHAIN", "CHAIN_HOLES", "CURVED", "DISCRETE", "DISCRETE_HOLES", "A", "Nodes", "linear", "normal", "with_holes"]

Floats = NDArray[np.float64]
Nodes = dict[str, dict[str, Any]]

A: Nodes = {"a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.2, "weights": {}}}}


def linear(parents: Mapping[str, float], intercept: float, scale: float) -> dict[str, Any]:
    names = list(dict.fromkeys(name.split("=")[0] for name in parents))
    return {"mechanism": "gaussian", "parents": names, "parameters": {"intercept": intercept, "weights": dict(parents), "scale": scale}}


CHAIN: Nodes = {  # k -> x -> z -> w, and a, k -> z; v descends from nothing and is a parent of w; y is the outcome
    **A,
    "v": linear({}, 4e7, 1.2e7),
    "k": {"mechanism": "gaussian", "latent": True},
    "x": linear({"a=yes": 1.0, "k": 0.9}, 0.3, 0.6),
    "z": linear({"a=yes": -0.5, "x": 1.4, "k": 0.5}, -1.0, 0.8),
    "w": linear({"z": 0.7, "v": 1e-7}, 2.0, 0.5),
    "y": linear({"a=yes": 0.4, "w": 0.6, "k": 1.1, "v": 2e-8}, 0.0, 0.7),
}


def with_holes(columns: Columns, holes: Mapping[str, Sequence[int]]) -> Columns:
    """The table without these entries: node -> rows."""
    coded, missing = dict(columns.coded), dict(columns.missing)
    for node, rows in holes.items():
        mask = torch.zeros(columns.n, dtype=torch.bool)
        mask[list(rows)] = True
        coded[node], missing[node] = torch.where(mask, torch.nan, coded[node]), mask
    facts = replace(columns.facts, missing={node: int(mask.sum()) for node, mask in missing.items()})
    return Columns(coded, columns.rows, facts, columns.weights, missing)


def normal(scm: SCM, a: float) -> tuple[list[str], Floats, Floats]:
    """Names, mean and covariance of the real nodes given a, by x = b + Wx + Σu."""
    names = [node for node in scm.spec.order if node != "a"]
    raw = scm.parameters_in_units()
    b = np.array([raw[n]["intercept"] + raw[n]["weights"].get("a=yes", 0.0) * a for n in names])
    w = np.array([[raw[n]["weights"].get(m, 0.0) for m in names] for n in names])
    s = np.diag([raw[n]["scale"] ** 2 for n in names])
    inverse = np.linalg.inv(np.eye(len(names)) - w)
    return names, inverse @ b, inverse @ s @ inverse.T


CHAIN_HOLES = {"x": [1, 4, 6, 7], "z": [2, 4, 7], "w": [3, 5, 6, 7], "v": [5, 6, 7], "y": [0, 1, 7]}


DISCRETE: Nodes = {
    **A,
    "k": {"mechanism": "bernoulli", "latent": True, "levels": ["n", "y"], "parameters": {"intercept": -0.3, "weights": {}}},
    "t": {
        "mechanism": "table",
        "parents": ["a"],
        "levels": ["1", "2", "3"],
        "parameters": {"probabilities": [{"a": "no", "p": [0.5, 0.3, 0.2]}, {"a": "yes", "p": [0.1, 0.3, 0.6]}]},
    },
    "x": {
        "mechanism": "categorical",
        "parents": ["t", "k"],
        "levels": ["l", "m", "h"],
        "parameters": {
            "m": {"intercept": 0.1, "weights": {"t=2": 1.0, "t=3": -0.5, "k=y": 0.7}},
            "h": {"intercept": -0.4, "weights": {"t=2": 0.3, "t=3": 1.5, "k=y": -1.0}},
        },
    },
    "z": {
        "mechanism": "bernoulli",
        "parents": ["x", "k"],
        "levels": ["n", "y"],
        "parameters": {"intercept": 0.2, "weights": {"x=m": 1.0, "x=h": -1.0, "k=y": 1.3}},
    },
    "w": {
        "mechanism": "poisson",
        "parents": ["z", "t"],
        "parameters": {"intercept": 0.5, "weights": {"z=y": 0.8, "t=2": -0.2, "t=3": 0.4}},
    },
    "y": {
        "mechanism": "bernoulli",
        "parents": ["w", "x"],
        "levels": ["n", "y"],
        "parameters": {"intercept": -0.5, "weights": {"w": 0.3, "x=m": 0.2, "x=h": 0.9}},
    },
}
DISCRETE_HOLES = {"t": [1, 4, 5, 7], "x": [2, 4, 6, 7], "z": [3, 5, 6, 7], "w": [6, 7]}


CURVED: Nodes = {
    **A,
    "x": linear({}, 40.0, 9.0),
    "z": {
        "mechanism": "bernoulli",
        "levels": ["n", "y"],
        "parents": ["a", "x"],
        "parameters": {"intercept": -8.0, "weights": {"a=yes": 0.5, "x": 0.2}},
    },
    "w": {"mechanism": "poisson", "parents": ["x"], "parameters": {"intercept": -1.0, "weights": {"x": 0.04}}},
    "y": linear({"x": 0.1}, 0.0, 1.0),
}
