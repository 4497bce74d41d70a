"""How often the intervals of decompositions hold the truth, when parameters are learned from the same people."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from cfair.effects import TERMS, decompose
from cfair.inference import learn
from cfair.scm import SCM

from oracles import declare, people

Nodes = dict[str, dict[str, Any]]

LEVELS = {"mechanism": "bernoulli", "levels": ["no", "yes"]}
PERSONS: Nodes = {
    "z": {"mechanism": "gaussian", "parameters": {"intercept": 0.0, "weights": {}, "scale": 1.0}},
    "a": {**LEVELS, "parents": ["z"], "parameters": {"intercept": 0.2, "weights": {"z": 0.8}}},
}
LINEAR: Nodes = {
    **PERSONS,
    "m": {
        "mechanism": "gaussian",
        "parents": ["a", "z"],
        "parameters": {"intercept": 0.2, "weights": {"a=yes": 0.7, "z": 0.4}, "scale": 1.0},
    },
    "y": {
        "mechanism": "gaussian",
        "parents": ["a", "m", "z"],
        "parameters": {"intercept": 0.2, "weights": {"a=yes": 0.8, "m": 0.6, "z": -0.7}, "scale": 1.0},
    },
}
LOGISTIC: Nodes = {
    **PERSONS,
    "m": {**LEVELS, "parents": ["a", "z"], "parameters": {"intercept": -0.3, "weights": {"a=yes": 0.9, "z": 0.5}}},
    "y": {**LEVELS, "parents": ["a", "m", "z"], "parameters": {"intercept": -0.6, "weights": {"a=yes": 0.8, "m=yes": 0.9, "z": -0.6}}},
}

SETS = 200


@dataclass(frozen=True)
class Coverage:
    """Shares of data sets whose interval holds the truth, and the mean standard error as a multiple of the estimates' real spread."""

    terms: dict[str, float]
    difference: dict[str, float]
    width: dict[str, float]


def coverage(nodes: Nodes, *, sets: int, n: int, draws: int, parameter_draws: int) -> Coverage:
    """Learn from ``sets`` tables of n people, and take the difference apart, by the model and by rows alone."""
    true, free = SCM(declare(nodes)), declare({name: {key: own[key] for key in own if key != "parameters"} for name, own in nodes.items()})
    asked: dict[str, Any] = {"attribute": "a", "start": "no", "end": "yes", "along": ()}
    truth = decompose(true, people=1_000_000, **asked).terms
    held, apart = torch.zeros(len(TERMS)), torch.zeros(len(TERMS))
    values, errors = torch.zeros(sets, len(TERMS)), torch.zeros(sets, len(TERMS))
    for j in range(sets):
        table = people(true, n, seed=1_000 + j)
        scm = learn(free, table, uncertainty="laplace", parameter_draws=parameter_draws, seed=j)
        found = decompose(scm, table, draws=draws, source="both", seed=j, **asked)
        assert found.difference is not None
        for k, term in enumerate(TERMS):
            low, high = found.terms[term].low, found.terms[term].high
            between = found.difference.terms[term]
            assert low is not None
            assert high is not None
            assert between.low is not None
            assert between.high is not None
            held[k] += low <= truth[term].value <= high
            apart[k] += between.low - 1e-9 <= 0 <= between.high + 1e-9
            values[j, k], errors[j, k] = found.terms[term].value, (high - low) / 3.92
    width = errors.mean(0) / values.std(0)
    return Coverage(*(dict(zip(TERMS, each.tolist(), strict=True)) for each in (held / sets, apart / sets, width)))


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [LINEAR, LOGISTIC], ids=["linear", "logistic"])
def test_intervals_of_a_learned_model_cover_as_often_as_they_say_and_those_of_differences_no_less(nodes: Nodes) -> None:
    found = coverage(nodes, sets=SETS, n=400, draws=1 if nodes is LINEAR else 10, parameter_draws=200)
    assert {term: share for term, share in found.terms.items() if not 0.91 <= share <= 0.985} == {}
    assert {term: share for term, share in found.difference.items() if share < 0.91} == {}
    assert {term: width for term, width in found.width.items() if not 0.85 <= width <= 1.2} == {}
