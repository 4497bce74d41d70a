from itertools import chain, combinations

import networkx as nx
from hypothesis import given

from cfair.graph import (
    ancestors,
    ancestral_closure,
    d_separated,
    descendants,
    directed_paths,
    implied_independences,
    non_descendants,
)

from strategies import LAW, dags

CHAIN = nx.DiGraph([("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")])


def paths_by_search(graph: nx.DiGraph, source: str, target: str) -> set[tuple[str, ...]]:
    """Every directed path, by depth-first search."""
    if source == target:
        return {(target,)}
    return {(source, *rest) for child in graph.successors(source) for rest in paths_by_search(graph, child, target)}


def separated_by_definition(graph: nx.DiGraph, x: str, y: str, given: set[str]) -> bool:
    """Pearl's definition, path by path: a chain or fork in ``given`` blocks, and so does a collider with nothing below it in ``given``."""

    def open_at(before: str, node: str, after: str) -> bool:
        if graph.has_edge(before, node) and graph.has_edge(after, node):
            return bool(({node} | nx.descendants(graph, node)) & given)
        return node not in given

    return not any(
        all(open_at(*path[i : i + 3]) for i in range(len(path) - 2)) for path in nx.all_simple_paths(graph.to_undirected(), x, y)
    )


def subsets(items: list[str]) -> list[set[str]]:
    return [set(each) for each in chain.from_iterable(combinations(items, k) for k in range(len(items) + 1))]


def test_one_node_and_a_collection_of_nodes_are_both_questions() -> None:
    assert descendants(CHAIN, "a") == {"b", "c"}
    assert descendants(CHAIN, ["b", "d"]) == {"c"}
    assert non_descendants(CHAIN, "b") == {"a", "d"}
    assert ancestors(CHAIN, ("b", "d")) == {"a"}
    assert ancestral_closure(CHAIN, "b") == {"a", "b"}


def test_a_node_of_a_set_counts_as_a_descendant_only_of_another() -> None:
    assert descendants(CHAIN, ["a", "b"]) == {"b", "c"}
    assert non_descendants(CHAIN, ["a", "b"]) == {"d"}


def test_paths_come_shortest_first_and_none_leads_nowhere() -> None:
    assert list(directed_paths(CHAIN, "a", "c")) == [("a", "c"), ("a", "b", "c")]
    assert list(directed_paths(CHAIN, "c", "a")) == []
    assert list(directed_paths(CHAIN, "a", "a")) == []


@LAW
@given(dags())
def test_descendants_are_where_paths_lead(graph: nx.DiGraph) -> None:
    for source in graph:
        reached = {target for target in graph if target != source and paths_by_search(graph, source, target)}
        assert descendants(graph, source) == reached
        assert non_descendants(graph, source) == set(graph) - reached - {source}
        assert all(source in ancestors(graph, target) for target in reached)


@LAW
@given(dags())
def test_directed_paths_are_all_paths_by_length(graph: nx.DiGraph) -> None:
    for source, target in combinations(graph, 2):
        found = list(directed_paths(graph, source, target))
        assert set(found) == paths_by_search(graph, source, target)
        assert len(set(found)) == len(found)
        assert [len(path) for path in found] == sorted(len(path) for path in found)


@LAW
@given(dags(max_nodes=5))
def test_d_separation_is_pearls_definition(graph: nx.DiGraph) -> None:
    for x, y in combinations(graph, 2):
        for z in subsets([node for node in graph if node not in {x, y}]):
            assert d_separated(graph, x, y, z) == separated_by_definition(graph, x, y, z)


@LAW
@given(dags(max_nodes=5))
def test_implied_independences_hold_are_minimal_and_miss_nothing_that_can_be_tested(graph: nx.DiGraph) -> None:
    latents = list(graph)[::3]
    found = {(each.first, each.second): set(each.given) for each in implied_independences(graph, latents)}
    observed = [node for node in graph if node not in latents]
    for x, y in combinations(observed, 2):
        separators = [z for z in subsets([node for node in observed if node not in {x, y}]) if separated_by_definition(graph, x, y, z)]
        assert ((x, y) in found) == bool(separators)
        if separators:
            assert found[x, y] in separators
            assert not any(z < found[x, y] for z in separators)


def test_a_confounded_pair_implies_nothing_and_a_chain_implies_its_middle() -> None:
    confounded = nx.DiGraph([("u", "x"), ("u", "y")])
    assert implied_independences(confounded, ["u"]) == ()
    assert [str(each) for each in implied_independences(nx.DiGraph([("a", "b"), ("b", "c")]))] == ["a independent of c given b"]
