"""Paths: each carries its own world, recanting nodes are named, and contributions add up."""

from collections.abc import Collection, Sequence
from itertools import permutations

import networkx as nx
import pytest
import torch
from torch import Tensor

from cfair.effects.paths import along_paths, path_shapley, paths_between, recanting
from cfair.effects.shapley import shares
from cfair.errors import QueryError
from cfair.interfaces import World
from cfair.scm import SCM
from cfair.worlds import counterfactual, simulate

from oracles import declare, random_spec

Nodes = Sequence[str]


def by_suffix(scm: SCM, factual: World, new: dict[str, Tensor], active: Collection[Nodes], suffix: Nodes) -> Tensor:
    """The first node of ``suffix`` as it is read by way of the rest: the definition, written out, with nothing remembered."""
    node = suffix[0]
    if node in new:
        return new[node] if tuple(suffix) in set(map(tuple, active)) else factual.values[node]
    parents = {p: by_suffix(scm, factual, new, active, (p, *suffix)) for p in scm.spec.nodes[node].parents}
    return scm.mechanisms[node].value(factual.noise[node], parents).expand(factual.shape)


def moved(seed: int, families: Sequence[str]) -> tuple[SCM, World, dict[str, Tensor], str]:
    """A random model, people, where their attribute goes, and a node with at least two paths to it where there is one."""
    scm = SCM(random_spec(seed, families=families))
    factual = simulate(scm, 40, seed=seed)
    last = max((node for node in scm.spec.order if node != "a"), key=lambda node: len(paths_between(scm, ["a"], node)))
    return scm, factual, {"a": (factual.values["a"] + 1) % 2}, last


@pytest.mark.parametrize("seed", range(12))
def test_a_set_of_paths_gives_what_its_definition_gives(seed: int) -> None:
    scm, factual, new, target = moved(seed, ["gaussian", "bernoulli", "categorical"])
    every = paths_between(scm, ["a"], target)
    for active in [every[:1], every[1:], every[::2], every]:
        expected = by_suffix(scm, factual, new, active, (target,))
        torch.testing.assert_close(along_paths(scm, factual, new, active, target), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_all_paths_are_the_counterfactual_and_none_is_the_fact(seed: int) -> None:
    scm, factual, new, target = moved(seed, ["gaussian", "bernoulli"])
    every = paths_between(scm, ["a"], target)
    assert torch.equal(along_paths(scm, factual, new, every, target), counterfactual(scm, factual, new).values[target])
    assert torch.equal(along_paths(scm, factual, new, [], target), factual.values[target])


@pytest.mark.parametrize("seed", range(6))
def test_contributions_add_up_to_the_move(seed: int) -> None:
    scm, factual, new, target = moved(seed, ["gaussian", "bernoulli"])
    found = path_shapley(scm, factual, new, target)
    change = counterfactual(scm, factual, new).values[target] - factual.values[target]
    assert found.values.shape == (len(found.paths), *factual.shape)
    torch.testing.assert_close(found.values.sum(0), change, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.total, change, rtol=0, atol=1e-12)


def gaussian(parents: dict[str, float]) -> dict[str, object]:
    return {
        "mechanism": "gaussian",
        "parents": list(parents),
        "parameters": {"intercept": 0.0, "weights": {f"{p}=yes" if p == "a" else p: w for p, w in parents.items()}, "scale": 1.0},
    }


COIN = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0}}
TWO_MEDIATORS = declare(
    {"a": COIN, "m": gaussian({"a": 2.0}), "w": gaussian({"a": 3.0, "m": 5.0}), "y": gaussian({"a": 7.0, "m": 11.0, "w": 13.0})}
)


def test_in_a_linear_model_a_path_contributes_the_product_of_its_weights() -> None:
    scm = SCM(TWO_MEDIATORS)
    factual = simulate(scm, 30, seed=0)
    found = path_shapley(scm, factual, {"a": "yes"}, "y")
    change = 1 - factual.values["a"]
    by_hand = {("a", "y"): 7.0, ("a", "m", "y"): 22.0, ("a", "w", "y"): 39.0, ("a", "m", "w", "y"): 130.0}
    assert found.exact
    assert set(found.paths) == set(by_hand)
    for path, own in zip(found.paths, found.values, strict=True):
        torch.testing.assert_close(own, by_hand[path] * change, rtol=0, atol=1e-12)


def test_the_recanting_witnesses_are_those_that_pass_on_by_one_way_and_withhold_by_another() -> None:
    graph, every = TWO_MEDIATORS.graph, [("a", "y"), ("a", "m", "y"), ("a", "w", "y"), ("a", "m", "w", "y")]
    assert recanting(graph, "a", "y", every) == ()
    assert recanting(graph, "a", "y", [("a", "y")]) == ()
    assert recanting(graph, "a", "y", [("a", "m", "y"), ("a", "m", "w", "y")]) == ()  # all that begin with a -> m
    assert recanting(graph, "a", "y", [("a", "m", "y")]) == ("m",)
    assert recanting(graph, "a", "y", [("a", "m", "w", "y"), ("a", "w", "y")]) == ("m",)


@pytest.mark.parametrize("seed", range(8))
def test_no_witness_recants_just_where_paths_are_told_apart_by_their_first_edge(seed: int) -> None:
    scm, _, _, target = moved(seed, ["gaussian"])
    every = paths_between(scm, ["a"], target)
    for size in range(len(every) + 1):
        for active in list(permutations(every, size))[:20]:
            first = {path[1] for path in active}
            by_first = len(active) == sum(path[1] in first for path in every)
            assert (recanting(scm.spec.graph, "a", target, active) == ()) == by_first


def test_a_path_that_the_graph_lacks_is_refused_with_the_nearest_edge() -> None:
    scm = SCM(TWO_MEDIATORS)
    factual = simulate(scm, 3, seed=0)
    with pytest.raises(QueryError, match="no edge w -> m"):
        along_paths(scm, factual, {"a": "yes"}, [("a", "w", "m", "y")], "y")
    with pytest.raises(QueryError, match="does not lead from"):
        along_paths(scm, factual, {"a": "yes"}, [("m", "y")], "y")
    with pytest.raises(QueryError, match="does not lead from"):
        along_paths(scm, factual, {"a": "yes", "m": 0.0}, [("a", "m", "y")], "y")
    with pytest.raises(QueryError, match="both set and asked for"):
        path_shapley(scm, factual, {"y": 0.0}, "y")
    with pytest.raises(QueryError, match="not a node"):
        path_shapley(scm, factual, {"a": "yes"}, "z")


def test_more_paths_than_can_be_told_apart_must_be_named() -> None:
    nodes: dict[str, dict[str, object]] = {"a": COIN}
    for j in range(8):
        nodes[f"m{j}"] = gaussian(dict.fromkeys(nodes, 1.0))
    scm = SCM(declare(nodes, outcome="m7"))
    factual = simulate(scm, 2, seed=0)
    with pytest.raises(QueryError, match="more than 64"):
        path_shapley(scm, factual, {"a": "yes"}, "m7")
    assert len(path_shapley(scm, factual, {"a": "yes"}, "m7", paths=[("a", "m7"), ("a", "m0", "m7")]).paths) == 2


def test_sampled_orders_add_up_exactly_and_come_near_the_exact_values() -> None:
    weights = torch.linspace(-1, 2, 10, dtype=torch.float64)

    def gain(members: frozenset[int]) -> Tensor:
        own = weights[list(members)].sum()
        return own + 0.1 * own**2  # φ_j in closed form: w_j + 0.1·w_j·Σw

    found = shares(10, gain, permutations=4_000, seed=3)
    exact = weights + 0.1 * weights * weights.sum()
    torch.testing.assert_close(found.sum(), gain(frozenset(range(10))), rtol=0, atol=1e-12)
    torch.testing.assert_close(found, exact, rtol=0, atol=0.01)
    torch.testing.assert_close(shares(6, lambda members: gain(members), seed=0).sum(), gain(frozenset(range(6))), rtol=0, atol=1e-12)


def test_the_graph_of_networkx_serves_as_it_is() -> None:
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("b", "d"), ("d", "c")])
    assert recanting(graph, "a", "c", [("a", "b", "c")]) == ("b",)
