"""Effects along directed paths: nested counterfactuals in which a node may hear of an intervention by one path and not by another."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import TypeAlias

from torch import Tensor

from cfair.effects.shapley import EXACT, PERMUTATIONS, shares
from cfair.errors import QueryError, nearest
from cfair.graph import Graph, directed_paths
from cfair.interfaces import World
from cfair.scm import SCM
from cfair.worlds import Setting, counterfactual

__all__ = ["Path", "PathContributions", "along_paths", "checked_paths", "first_paths", "path_shapley", "paths_between", "recanting"]

MOST_PATHS = 64  # whose contributions are told apart unless they are named: each costs as many worlds as there are orders

Path: TypeAlias = tuple[str, ...]  # nodes from an intervened one to the target, both included


@dataclass(frozen=True, slots=True, eq=False)
class PathContributions:
    """What each path contributes to how far the target moves.

    Args:
        paths: from an intervened node to the target.
        values: of each path, person and draw, shape (paths, draws, n), in the target's unit; they add up to ``total``.
        total: the move along all ``paths`` together, shape (draws, n).
        exact: whether all coalitions of paths were asked, rather than some orders of them.
    """

    paths: tuple[Path, ...]
    values: Tensor
    total: Tensor
    exact: bool


def along_paths(scm: SCM, factual: World, do: Mapping[str, Setting], paths: Collection[Sequence[str]], target: str) -> Tensor:
    """The target's value when exactly these paths carry the new values of ``do``, and every other one the old, shape (draws, n).

    With π the paths, s a path from v to the target, and u the noise of ``factual``, the same in every context:

    v(s) = f_v({p(p·s) for parents p}, u_v);  of an intervened node, x(s) = its new value if x·s ∈ π, its factual one otherwise.

    A node is computed once for all s by which the same part of π reaches it, and keeps its factual value where no parent changed.

    Args:
        scm: the model in which the question is asked.
        factual: an abducted, simulated or counterfactual world.
        do: node -> its new value, as in ``counterfactual``.
        paths: each from a node of ``do`` to ``target``, through no other node of ``do``.
        target: a node that is not in ``do``.

    Raises:
        QueryError: a path that the graph does not have, or that does not lead from ``do`` to ``target``.

    Source: Pearl (2001), Direct and indirect effects, section 5.3, and Shpitser (2013), Counterfactual graphical models for
    longitudinal mediation analysis, section 3.
    """
    active = frozenset(checked_paths(scm, do, target, paths))
    made = counterfactual(scm, factual, do).values
    new = {node: made[node] for node in do}

    @cache
    def value(node: str, prefixes: frozenset[Path]) -> Tensor:
        """The node's value when the new values reach it by ``prefixes``, paths from intervened nodes that end in it."""
        if not prefixes:
            return factual.values[node]
        if node in new:
            return new[node]
        read = {parent: value(parent, _reaching(prefixes, parent)) for parent in {path[-2] for path in prefixes}}
        return counterfactual(scm, factual, read, along=[(parent, node) for parent in read]).values[node]

    found = value(target, active)
    value.cache_clear()  # the function holds itself, and so all tensors
    return found


def path_shapley(
    scm: SCM,
    factual: World,
    do: Mapping[str, Setting],
    target: str,
    *,
    paths: Collection[Sequence[str]] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> PathContributions:
    """How much of each person's move each path makes: Shapley values over paths, so that they add up whatever the mechanisms are.

    The gain of a set of paths is the target's value ``along_paths`` minus its factual one. Up to ``EXACT`` paths all sets are asked;
    of more, some orders, the same for everyone, each of which telescopes to the total.

    Args:
        scm: the model in which the question is asked.
        factual: the world from which people are moved.
        do: node -> its new value.
        target: a node that is not in ``do``.
        paths: some paths, whose contributions add up to the move along these; None: all, which add up to the whole move.
        permutations: orders where there are more than ``EXACT`` paths.
        seed: of the orders.

    Raises:
        QueryError: as ``along_paths``; or there are more than ``MOST_PATHS`` paths and none was named.
    """
    among = paths_between(scm, do, target) if paths is None else checked_paths(scm, do, target, paths)
    before = factual.values[target]

    def gain(members: frozenset[int]) -> Tensor:
        return along_paths(scm, factual, do, [among[j] for j in members], target) - before

    values = shares(len(among), gain, permutations=permutations, seed=seed)
    return PathContributions(among, values, gain(frozenset(range(len(among)))), len(among) <= EXACT)


def paths_between(scm: SCM, sources: Collection[str], target: str) -> tuple[Path, ...]:
    """Every directed path from one of ``sources`` to ``target`` through no other of them, shortest first.

    Raises:
        QueryError: a name is no node, the target is a source, or there are more than ``MOST_PATHS`` paths.
    """
    found = first_paths(scm, sources, target)
    if len(found) > MOST_PATHS:
        raise QueryError("along", f"more than {MOST_PATHS} directed paths lead to '{target}'", "name those that you ask for")
    return found


def first_paths(scm: SCM, sources: Collection[str], target: str) -> tuple[Path, ...]:
    """The same where there are more, but no more than ``MOST_PATHS`` + 1 of them."""
    graph = _checked_ends(scm, sources, target)
    found: list[Path] = []
    for source in [node for node in scm.spec.order if node in sources]:
        open_graph = graph.subgraph([node for node in graph if node == source or node not in sources])
        found += islice(directed_paths(open_graph, source, target), MOST_PATHS + 1 - len(found))
    return tuple(found)


def checked_paths(scm: SCM, sources: Collection[str], target: str, paths: Collection[Sequence[str]]) -> tuple[Path, ...]:
    """The paths, each once, when the graph has them and they lead from ``sources`` to ``target``.

    Raises:
        QueryError: one of them is not such a path.
    """
    graph = _checked_ends(scm, sources, target)
    checked = tuple(dict.fromkeys(tuple(path) for path in paths))
    for path in checked:
        written = " -> ".join(path)
        edges = list(pairwise(path))
        if absent := [edge for edge in edges if edge not in graph.edges]:
            known = [f"{a} -> {b}" for a, b in graph.edges]
            arrow = " -> ".join(absent[0])
            raise QueryError("along", f"the graph has no edge {arrow}, of the path {written}", nearest(arrow, known))
        if not edges or path[0] not in sources or path[-1] != target or set(path[1:]) & set(sources):
            expected = f"begin at {' or '.join(sources)}, end at {target}, and pass no other attribute that is set"
            raise QueryError("along", f"'{written}' does not lead from what is set to '{target}'", expected)
    return checked


def recanting(graph: Graph, source: str, target: str, paths: Collection[Sequence[str]]) -> tuple[str, ...]:
    """Nodes that are read in two worlds at once when only ``paths`` carry a new value of ``source``: recanting witnesses, in order.

    Such a node passes the new value on by one way to ``target`` and withholds it by another, so that the effect depends on how its
    noise is shared between worlds: on the coupling, which no data reveal. Without one, the effect is a function of the mechanisms'
    distributions alone, and then the paths are all that begin with some of the edges out of ``source``.

    Source: Avin, Shpitser & Pearl (2005), Identifiability of path-specific effects, Definition 5 and Theorem 5.
    """
    ways = _ways(graph, target)
    active = {tuple(path) for path in paths}
    inner = [node for node in graph if any(node in path[1:-1] for path in active)]

    def recants(node: str) -> bool:
        cut = [(path[: path.index(node)], path[path.index(node) :]) for path in active if node in path[1:-1]]
        reaching = {rest: frozenset(prefix for prefix, other in cut if other == rest) for _, rest in cut}
        return len(reaching) < ways(node) or len(set(reaching.values())) > 1

    return tuple(node for node in inner if recants(node))


def _ways(graph: Graph, target: str) -> Callable[[str], int]:
    """How many directed paths lead from a node to ``target``."""

    @cache
    def ways(node: str) -> int:
        return 1 if node == target else sum(ways(child) for child in graph.successors(node))

    return ways


def _reaching(prefixes: Collection[Path], parent: str) -> frozenset[Path]:
    """The part of ``prefixes`` that comes through ``parent``, up to it."""
    return frozenset(path[:-1] for path in prefixes if path[-2] == parent)


def _checked_ends(scm: SCM, sources: Collection[str], target: str) -> Graph:
    """The graph, when it has the sources and the target, and the latter is none of the former."""
    nodes = scm.spec.nodes
    for node in (*sources, target):
        if node not in nodes:
            raise QueryError("along", f"'{node}' is not a node", nearest(node, nodes))
    if target in sources:
        raise QueryError("along", f"'{target}' is both set and asked for", "ask for another node")
    return scm.spec.graph
