"""A node's coupling, as far as some rows meet it: the joint distribution of its levels under each pair of configurations that occurs."""

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import torch
from torch import Tensor

from cfair.effects.bounds_relaxed import stays
from cfair.effects.bounds_states import Choice
from cfair.effects.linear_program import best_plans, best_responses, vertices

__all__ = ["Met", "met", "solved"]

FUNCTIONS = 4_096  # response functions over configurations that hang together in a cycle


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """The pairs of configurations of one node that occur in some rows.

    Args:
        choice: the node, of these rows.
        edges: pairs of different configurations, the lower first, shape (edges, 2).
        edge: of each combination and row, −1 where no parent changed; shape (combinations, m).
        forward: whether the row's factual configuration is the edge's first, same shape.
        knots: the edges in groups that must be planned together: each by itself where no cycle leads through it.
    """

    choice: Choice
    edges: Tensor
    edge: Tensor
    forward: Tensor
    knots: tuple[tuple[int, ...], ...]

    @property
    def margins(self) -> tuple[Tensor, Tensor]:
        """Probabilities of the levels at the edges' two ends, each (edges, levels)."""
        return self.choice.table[self.edges[:, 0]], self.choice.table[self.edges[:, 1]]

    def conditional(self, plans: Tensor) -> Tensor:
        """P(level in the new world | own level) of each combination and row, (..., combinations, m, levels).

        Args:
            plans: joint distribution per edge, shape (..., edges, levels, levels).
        """
        own = self.choice.own.expand(self.edge.shape)
        place = self.edge.clamp(min=0)
        joint = torch.where(self.forward.unsqueeze(-1), plans[..., place, own, :], plans.transpose(-1, -2)[..., place, own, :])
        known = torch.nn.functional.one_hot(own, plans.shape[-1]).to(torch.float64)
        return torch.where((self.edge < 0).unsqueeze(-1), known, joint / self.choice.mass.unsqueeze(-1))

    def gains(self, coefficient: Tensor) -> Tensor:
        """The payoff's derivative by the plans, (..., edges, levels, levels), from that by conditionals, (..., combinations, m, levels)."""
        batch, levels = coefficient.shape[:-3], coefficient.shape[-1]
        used = self.edge >= 0
        cell = ((self.edge * 2 + self.forward.long()) * levels + self.choice.own)[used]
        added = (coefficient / self.choice.mass.unsqueeze(-1))[..., used, :]
        total = torch.zeros(*batch, len(self.edges) * 2 * levels, levels, dtype=torch.float64).index_add(-2, cell, added)
        backward, forward = total.reshape(*batch, -1, 2, levels, levels).unbind(-3)
        return forward + backward.transpose(-1, -2)

    def own_levels(self, edge: int) -> tuple[list[int], list[int]]:
        """The levels that rows have at the first and at the second end of an edge."""
        own = self.choice.own.expand(self.edge.shape)
        here = self.edge == edge
        return own[here & self.forward].unique().tolist(), own[here & ~self.forward].unique().tolist()

    def corners(self) -> list[list[Tensor]] | None:
        """Per edge the joint distributions between which all others lie; None where they are not listed, or one pair bears on another."""
        if any(len(edges) > 1 for edges in self.knots):
            return None
        listed = []
        for edge, (first, second) in enumerate(zip(*self.margins, strict=True)):
            at_first, at_second = self.own_levels(edge)
            if at_second and not at_first:
                found = vertices(second, first, at_second)
                found = found and [plan.T for plan in found]
            else:
                found = vertices(first, second, sorted({*at_first} | (set(range(len(first))) if at_second else set())))
            if found is None:
                return None
            listed.append(found)
        return listed


def met(choice: Choice) -> Met:
    """The pairs of configurations that occur in the rows of ``choice``."""
    before = choice.before.expand(choice.after.shape)
    ends = torch.stack([torch.minimum(before, choice.after), torch.maximum(before, choice.after)], -1)
    moved = ~stays(choice)
    edges, place = torch.unique(ends[moved], dim=0, return_inverse=True)
    edge = torch.full(choice.after.shape, -1)
    edge[moved] = place
    return Met(choice, edges.reshape(-1, 2), edge, before < choice.after, _knots(edges.reshape(-1, 2)))


def _knots(edges: Tensor) -> tuple[tuple[int, ...], ...]:
    graph: nx.Graph[int] = nx.Graph()
    graph.add_edges_from((a, b, {"edge": edge}) for edge, (a, b) in enumerate(edges.tolist()))
    return tuple(tuple(graph.edges[ends]["edge"] for ends in block) for block in nx.biconnected_component_edges(graph))


def solved(node: Met, coefficient: Tensor) -> tuple[Tensor, bool]:
    """The plans (..., edges, levels, levels) that make a payoff largest that depends on this node alone, and whether one coupling has them.

    Pairs of configurations through which no cycle leads are planned one by one: joint distributions along a tree always have a common
    one (Vorob'ev 1962). A cycle is planned by its response functions, unless they are more than FUNCTIONS; it is then relaxed to its pairs.
    """
    gains, (first, second) = node.gains(coefficient), node.margins
    tied = [edges for edges in node.knots if len(edges) > 1 and _small(node, edges)]
    if tied and gains.dim() > 3:
        found = [solved(node, each) for each in coefficient]
        return torch.stack([plans for plans, _ in found]), all(exact for _, exact in found)
    single = torch.tensor([edge for edges in node.knots if edges not in tied for edge in edges], dtype=torch.int64)
    plans = torch.empty_like(gains)
    shape = gains[..., single, :, :].shape
    apart = (margin[single].expand(shape[:-1]).reshape(-1, shape[-1]) for margin in (first, second))
    plans[..., single, :, :] = best_plans(gains[..., single, :, :].reshape(-1, *shape[-2:]), *apart).reshape(shape)
    for edges in tied:
        plans[list(edges)] = torch.stack(_together(node, gains, edges))
    return plans, all(len(edges) == 1 or edges in tied for edges in node.knots)


def _small(node: Met, edges: Sequence[int]) -> bool:
    functions: int = node.choice.table.shape[1] ** len(node.edges[list(edges)].unique())
    return functions <= FUNCTIONS


def _together(node: Met, gains: Tensor, edges: Sequence[int]) -> list[Tensor]:
    corners, place = node.edges[list(edges)].unique(return_inverse=True)
    pairs = [(a, b) for a, b in place.tolist()]
    return best_responses([gains[edge] for edge in edges], pairs, node.choice.table[corners])
