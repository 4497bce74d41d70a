"""Exact effects of discrete models: every term, mediator and path against an enumeration of all noises."""

from random import Random

import numpy as np
import pytest
import torch

from cfair import SCM, Prediction, QueryError, decompose
from cfair.effects import TERMS
from cfair.effects.paths import paths_between, recanting
from cfair.interfaces import Values

from brute import Network, network_of, random_nodes
from oracles import declare

LEVELS = (0, 1)


def discrete(seed: int) -> tuple[Network, SCM, Random]:
    dice = Random(seed)
    nodes = random_nodes(dice)
    return network_of(nodes), SCM(declare(nodes)), dice


@pytest.mark.parametrize("seed", range(25))
def test_every_term_is_that_of_all_noises_enumerated(seed: int) -> None:
    network, scm, dice = discrete(seed)
    x0, x1 = dice.sample(range(len(scm.spec.nodes["a"].levels)), 2)
    for target in ("y", "w"):
        last = len(scm.spec.nodes[target].levels) - 1
        value = np.eye(last + 1)[last]
        found = decompose(scm, attribute="a", start=f"a{x0}", end=f"a{x1}", of=f"{target}={target}{last}")
        assert found.method == "enumeration"
        for here, start, end in ((found.terms, x0, x1), (found.reverse, x1, x0)):
            expected = network.terms("a", target, start, end, value)
            assert {term: here[term].value for term in TERMS} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_every_term_of_a_prediction_is_that_of_all_noises_enumerated(seed: int) -> None:
    network, scm, dice = discrete(seed)
    needs = dice.sample(["z", "a", "m", "w"], 3)
    table = np.array([dice.uniform(-1, 1) for _ in range(3**3)])

    def score(rows: Values, n: int) -> torch.Tensor:
        code = sum((3**j * rows[node].long() for j, node in enumerate(needs)), torch.zeros(n, dtype=torch.int64))
        return torch.from_numpy(table)[code]

    levels = [range(len(scm.spec.nodes[node].levels)) for node in needs]
    grid = np.array(np.meshgrid(*levels, indexing="ij")).reshape(3, -1).T
    network.parents["p"] = tuple(needs)
    place = {tuple(row.tolist()): j for j, row in enumerate(grid)}  # the prediction as a node that says which row it read
    network.rows["p"] = {row: np.eye(len(grid))[j].tolist() for row, j in place.items()}  # type: ignore[index]
    network.noise["p"] = np.full(len(network.weight), 0.5)
    value = np.array([table[sum(3**j * row[j] for j in range(3))] for row in grid])
    found = decompose(scm, attribute="a", start="a0", end="a1", prediction=Prediction(needs, score, "p"))
    expected = network.terms("a", "p", 0, 1, value)
    assert found.method == "enumeration"
    assert {term: found.terms[term].value for term in TERMS} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_parts_add_up_and_a_set_of_paths_is_that_of_all_noises_enumerated(seed: int) -> None:
    network, scm, _ = discrete(seed)
    of = "m" if seed % 3 == 0 else "w"
    every = paths_between(scm, ["a"], of)
    first = [list(map(list, (path for path in every if path[1] == child))) for child in {path[1] for path in every}]
    found = decompose(scm, attribute="a", start="a0", end="a1", of=of, along=first, people=2_000)
    for here, term in (("nie", "nie"), ("nie_sequential", "nie"), ("ctf_ie", "ctf_ie"), ("ctf_ie_sequential", "ctf_ie")):
        total = sum(getattr(part, here).value for part in found.mediators)
        assert total == pytest.approx(found.terms[term].value if found.mediators else 0.0, abs=1e-12)
    assert sum(part.te.value for part in found.paths) == pytest.approx(found.terms["te"].value, abs=1e-12)
    assert sum(part.ett.value for part in found.paths) == pytest.approx(found.terms["ett"].value, abs=1e-12)
    fact = network.world()
    for part, paths in zip(found.along, first, strict=True):
        moved = network.nested((of,), "a", LEVELS, set(map(tuple, paths))) - network.nested((of,), "a", LEVELS, ())
        assert part.te.value == pytest.approx(np.average(moved, weights=network.weight), abs=1e-9)
        assert part.ett.value == pytest.approx(np.average(moved, weights=network.weight * (fact["a"] == 0)), abs=1e-9)


def test_single_paths_through_a_recanting_witness_come_within_five_standard_errors_and_add_up() -> None:
    for seed in range(40):  # the first model in which a witness recants
        network, scm, _ = discrete(seed)
        every = paths_between(scm, ["a"], "y")
        if 3 <= len(every) <= 5 and any(recanting(scm.spec.graph, "a", "y", [path]) for path in every):
            break
    last = len(scm.spec.nodes["y"].levels) - 1
    one = next([path] for path in every if recanting(scm.spec.graph, "a", "y", [path]))
    found = decompose(scm, attribute="a", start="a0", end="a1", of=f"y=y{last}", along=[one], people=50_000, seed=1)
    here, there = (network.nested(("y",), "a", LEVELS, active) == last for active in (set(one), ()))
    expected = np.average(here.astype(float) - there, weights=network.weight)
    part = found.along[0]
    assert part.recanting
    assert part.te.low is not None
    assert abs(part.te.value - expected) <= 5 / 1.96 * (part.te.value - part.te.low)
    assert sum(each.te.value for each in found.paths) == pytest.approx(found.terms["te"].value, abs=1e-12)
    assert any("shared" in sentence for sentence in found.said)


def test_a_level_that_nobody_has_under_the_model_is_refused() -> None:
    nodes = {
        "a": {"mechanism": "table", "levels": ["0", "1", "2"], "parameters": {"probabilities": [{"p": [0.5, 0.5, 0.0]}]}},
        "y": {"mechanism": "bernoulli", "levels": ["0", "1"], "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=1": 1.0}}},
    }
    with pytest.raises(QueryError, match="nobody has"):
        decompose(SCM(declare(nodes)), attribute="a", start="0", end="2")
