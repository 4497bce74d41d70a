"""What coupled nodes may be in a counterfactual world: each combination of levels, how likely it is, and what the target then is."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

import networkx as nx
import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.interfaces import Mechanism, Values, World
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual

__all__ = [
    "TAIL",
    "Active",
    "Choice",
    "Payoff",
    "States",
    "TooManyError",
    "active_graph",
    "check_possible",
    "coupled_on_paths",
    "probabilities",
    "states_of",
]

Payoff: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # the target's values in the new and in the factual world -> what is bounded
Active: TypeAlias = Collection[tuple[str, str]] | None  # edges that carry the change; all where None

TAIL = 1e-12  # probability of counts that are left out
LARGEST = 1_024  # levels that a count may have
COMBINATIONS = 4_096  # of the levels of all coupled nodes
CELLS = 30_000_000  # numbers held at once
IMPOSSIBLE = 1e-250  # a probability below it is one of 0, to rounding


class TooManyError(QueryError):
    """There are too many states to go through."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A coupled node: its probabilities under the parent configurations that m rows meet.

    Args:
        name: of the node.
        configurations: parent -> its values in each distinct configuration that is met, shape (configurations,).
        table: probability of each level under each configuration, shape (configurations, levels).
        own: the factual level of each row, shape (m,), int64.
        before: the factual configuration, shape (m,), int64.
        after: the counterfactual one, for each combination of the levels of the coupled nodes before it, shape (combinations, m), int64.
    """

    name: str
    configurations: Values
    table: Tensor
    own: Tensor
    before: Tensor
    after: Tensor

    @property
    def mass(self) -> Tensor:
        """Probability of each row's factual level, shape (m,)."""
        return self.table[self.before, self.own]

    def rows(self, some: Tensor) -> "Choice":
        """Of some rows only, given by position."""
        return replace(self, own=self.own[some], before=self.before[some], after=self.after[:, some])


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """All that coupled nodes may be in the new world of m rows.

    Args:
        choices: the coupled nodes, causes first.
        payoff: what is bounded, for each combination of their levels (the last node's fastest) and each row, shape (combinations, m).
    """

    choices: tuple[Choice, ...]
    payoff: Tensor

    def rows(self, some: Tensor) -> "States":
        """Of some rows only, given by position."""
        return States(tuple(choice.rows(some) for choice in self.choices), self.payoff[:, some])


def active_graph(spec: ModelSpec, do: Collection[str], along: Active) -> "nx.DiGraph[str]":
    """The edges that carry a change: those of ``along``, none into a node that is set."""
    kept = [(parent, child) for parent, child in spec.graph.edges if child not in do and (along is None or (parent, child) in along)]
    graph: nx.DiGraph[str] = nx.DiGraph(kept)
    graph.add_nodes_from(spec.nodes)
    return graph


def coupled_on_paths(spec: ModelSpec, do: Collection[str], target: str, along: Active) -> tuple[str, ...]:
    """Nodes with levels or counts through which the change reaches the target, causes first."""
    graph = active_graph(spec, do, along)
    moved = set().union(*(nx.descendants(graph, node) for node in do)) - set(do)
    between = moved & (nx.ancestors(graph, target) | {target})
    return tuple(node for node in spec.order if node in between and spec.nodes[node].kind != "real")


def states_of(
    scm: SCM, factual: World, do: Mapping[str, Tensor], *, coupled: Sequence[str], target: str, payoff: Payoff, along: Active
) -> States:
    """The states of the ``coupled`` nodes in the world of ``do``.

    Args:
        scm: the model.
        factual: the world before, one draw of m rows, shape (1, m).
        do: node -> coded values, shape (m,).
        coupled: nodes whose coupling matters, causes first.
        target: whose values the payoff reads.
        payoff: what is bounded.
        along: the active edges.

    Raises:
        TooManyError: there are too many combinations.
        QueryError: a row has a level that the model says is impossible.
    """
    choices: list[Choice] = []
    for node in coupled:
        world = _world_of(scm, factual, do, choices, along)
        parents = scm.spec.nodes[node].parents
        new = {
            parent: world.values[parent] if along is None or (parent, node) in along else _as(world, factual, parent) for parent in parents
        }
        choices.append(_choice(scm, node, new, scm.parents(node, factual.values), factual.values[node][0].long()))
        _check_size([len(choice.table.T) for choice in choices], coupled, factual.shape[1])
    world = _world_of(scm, factual, do, choices, along)
    return States(tuple(choices), payoff(world.values[target], factual.values[target]))


def _world_of(scm: SCM, factual: World, do: Mapping[str, Tensor], choices: Sequence[Choice], along: Active) -> World:
    """The new world for each combination of the levels of ``choices``, shape (combinations, m)."""
    sizes = [len(choice.table.T) for choice in choices]
    shape = (prod(sizes), factual.shape[1])
    grid = torch.cartesian_prod(*(torch.arange(size).double() for size in sizes)).reshape(shape[0], len(sizes)) if sizes else None
    chosen = {choice.name: grid[:, j : j + 1].expand(shape) for j, choice in enumerate(choices) if grid is not None}
    values = {node: factual.values[node].expand(shape) for node in scm.spec.nodes}
    noise = {node: factual.noise[node].expand(*shape, *factual.noise[node].shape[2:]) for node in scm.spec.nodes}
    everywhere = replace(factual, values=values, noise=noise, shape=shape)
    return counterfactual(scm, everywhere, {**{node: value.expand(shape) for node, value in do.items()}, **chosen}, along=along)


def _as(world: World, factual: World, node: str) -> Tensor:
    return factual.values[node].expand(world.shape)


def _choice(scm: SCM, node: str, new: Values, old: Values, own: Tensor) -> Choice:
    """The node's probabilities under each distinct configuration of its parents."""
    m = len(own)
    shape = next(iter(new.values())).shape
    seen = torch.stack([torch.cat([old[parent].reshape(-1), new[parent].reshape(-1)]) for parent in new], -1)
    distinct, place = torch.unique(seen, dim=0, return_inverse=True)
    configurations = dict(zip(new, distinct.T, strict=True))
    levels = len(scm.spec.nodes[node].levels)
    table = probabilities(scm.mechanisms[node], configurations, levels) if levels else _counts(scm, node, configurations, own)
    choice = Choice(node, configurations, table, own, place[:m], place[m:].reshape(shape))
    check_possible(choice.mass, node)
    return choice


def check_possible(mass: Tensor, node: str) -> None:
    """Refuse rows of which a factual level has probability 0.

    Raises:
        QueryError: one has; ``mass``, shape (m,), is each row's.
    """
    if (mass < IMPOSSIBLE).any():
        problem = f"somebody has a value of '{node}' that has probability 0 under the model given its parents"
        raise QueryError("bounds over couplings", problem, "learn the model from rows like these, with a prior above 0")


def probabilities(mechanism: Mechanism, parents: Values, levels: int) -> Tensor:
    """P(level | parents), shape (configurations, levels)."""
    count = len(next(iter(parents.values())))
    index = torch.arange(levels).double().unsqueeze(-1).expand(levels, count)
    with torch.no_grad():
        p = mechanism.distribution(parents).log_prob(index).exp().T
    return p / p.sum(-1, keepdim=True) if mechanism.kind != "count" else p


def _counts(scm: SCM, node: str, parents: Values, own: Tensor) -> Tensor:
    """Probabilities of the counts from 0 to where all but TAIL of each distribution, and every factual count, lies below."""
    levels = max(16, int(own.max()) + 1)
    while levels <= LARGEST:
        p = probabilities(scm.mechanisms[node], parents, levels)
        if bool((1 - p.sum(-1) < TAIL).all()):
            last = int((p > TAIL / LARGEST).any(0).nonzero().max())
            p = p[:, : max(last, int(own.max())) + 1]
            return p / p.sum(-1, keepdim=True)
        levels *= 2
    problem = f"the count '{node}' can be above {LARGEST}, too many levels to go through"
    raise TooManyError("bounds over couplings", problem, "bound the effect along edges that avoid it")


def _check_size(sizes: Sequence[int], coupled: Sequence[str], m: int) -> None:
    if prod(sizes) > COMBINATIONS:
        named = " x ".join(f"{size} of '{node}'" for size, node in zip(sizes, coupled, strict=False))
        problem = f"{prod(sizes):,} combinations of levels ({named}) are more than {COMBINATIONS:,}"
        raise TooManyError("bounds over couplings", problem, "bound the effect along fewer edges, or of a node nearer to what is set")
    if prod(sizes) * m > CELLS:
        problem = f"{m:,} distinct rows x {prod(sizes):,} combinations of levels are more than {CELLS:,} numbers"
        raise TooManyError("bounds over couplings", problem, "ask for fewer draws, or of fewer people")
