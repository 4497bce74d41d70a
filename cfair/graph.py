"""Pure questions to a directed acyclic ``networkx.DiGraph``: who descends from whom, by which paths, and what is independent of what."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import networkx as nx

__all__ = [
    "Graph",
    "Independence",
    "ancestors",
    "ancestral_closure",
    "d_separated",
    "descendants",
    "directed_paths",
    "implied_independences",
    "non_descendants",
]

Graph: TypeAlias = "nx.DiGraph[str]"
Nodes: TypeAlias = str | Collection[str]  # one node, or several


@dataclass(frozen=True, slots=True)
class Independence:
    """``first`` and ``second`` are independent given ``given``, in every distribution that the graph generates."""

    first: str
    second: str
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = f" given {', '.join(self.given)}" if self.given else ""
        return f"{self.first} independent of {self.second}{given}"


def descendants(graph: Graph, nodes: Nodes) -> frozenset[str]:
    """Every node that a directed path reaches from any of ``nodes``; one of them only if it descends from another."""
    return frozenset().union(*(nx.descendants(graph, node) for node in _several(nodes)))


def non_descendants(graph: Graph, nodes: Nodes) -> frozenset[str]:
    """Every node that is neither among ``nodes`` nor descends from one of them."""
    return frozenset(graph) - set(_several(nodes)) - descendants(graph, nodes)


def ancestors(graph: Graph, nodes: Nodes) -> frozenset[str]:
    """Every node from which a directed path reaches any of ``nodes``; one of them only if another descends from it."""
    return frozenset().union(*(nx.ancestors(graph, node) for node in _several(nodes)))


def ancestral_closure(graph: Graph, nodes: Nodes) -> frozenset[str]:
    """``nodes`` and all their ancestors: the smallest ancestrally closed set that holds them.

    Source: Kusner et al. (2017), section 3: protected attributes should be ancestrally closed.
    """
    return ancestors(graph, nodes) | frozenset(_several(nodes))


def directed_paths(graph: Graph, source: str, target: str) -> Iterator[tuple[str, ...]]:
    """Every directed path from ``source`` to ``target``, both ends included, shortest first; none if they are one node.

    There may be exponentially many: take what you need.
    """
    if source != target and nx.has_path(graph, source, target):
        yield from map(tuple, nx.shortest_simple_paths(graph, source, target))


def d_separated(graph: Graph, first: Nodes, second: Nodes, given: Nodes = ()) -> bool:
    """Whether ``given`` blocks every path between ``first`` and ``second``.

    Source: Pearl (2009), Causality, Definition 1.2.3.
    """
    return nx.is_d_separator(graph, set(_several(first)), set(_several(second)), set(_several(given)))


def implied_independences(graph: Graph, latents: Collection[str] = ()) -> tuple[Independence, ...]:
    """What the graph promises about the observed nodes: one statement per missing edge that any set of observed nodes can test.

    The conditioning set is minimal (no member can be left out) and holds no latent; a missing edge that only a latent
    would separate is not listed. Names within a statement keep the graph's order.

    Source: Pearl (2009), Causality, Theorem 1.2.4; van der Zander, Liskiewicz & Textor (2014) for minimal separators.
    """
    observed = [node for node in graph if node not in latents]
    missing = [(a, b) for a, b in combinations(observed, 2) if not graph.has_edge(a, b) and not graph.has_edge(b, a)]
    found = ((a, b, nx.find_minimal_d_separator(graph, a, b, restricted=set(observed) - {a, b})) for a, b in missing)
    return tuple(Independence(a, b, tuple(node for node in observed if node in given)) for a, b, given in found if given is not None)


def _several(nodes: Nodes) -> Collection[str]:
    """One node as a collection of one."""
    return (nodes,) if isinstance(nodes, str) else nodes
