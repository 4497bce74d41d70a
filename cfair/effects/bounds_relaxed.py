"""The best that could be had of couplings row by row, and whether one coupling has it for all rows at once."""

from dataclasses import dataclass

import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from cfair.effects.bounds_rows import Pairs
from cfair.effects.bounds_states import Choice, States
from cfair.effects.linear_program import filled

__all__ = ["Relaxed", "attained", "by_level", "relaxed", "stays"]

SAME = 1e-10  # probabilities closer than this are one


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    """The largest expected payoff of each row, whatever is decided for others.

    Args:
        value: shape (m,).
        decisions: per coupled node P(its level | what the person is), shape (combinations before it, m, levels).
    """

    value: Tensor
    decisions: tuple[Tensor, ...]


def relaxed(states: States) -> Relaxed:
    """Backward induction: h(s, v₁..v_j) = max over P(v_{j+1} | own level) of Σ P·h(s, v₁..v_{j+1}), each P within Fréchet's bounds.

    A node's decision may here depend on the levels of all nodes before it and on the row: more than a coupling can, so that the value is
    never too small.
    """
    value = states.payoff
    decisions: list[Tensor] = []
    for choice in reversed(states.choices):
        gain = by_level(value, choice)
        share = filled(gain, choice.table[choice.after] / choice.mass.unsqueeze(-1))
        share = torch.where(stays(choice).unsqueeze(-1), _one_hot(choice), share)
        value = (share * gain).sum(-1)
        decisions.append(share)
    return Relaxed(value.squeeze(0), tuple(reversed(decisions)))


def by_level(value: Tensor, choice: Choice) -> Tensor:
    """Values of combinations up to a node, (..., combinations·levels, m), with its levels last: (..., combinations, m, levels)."""
    return value.reshape(*value.shape[:-2], len(choice.after), -1, value.shape[-1]).transpose(-1, -2)


def stays(choice: Choice) -> Tensor:
    """Where no parent changed, so that the level does not either; shape (combinations, m)."""
    return choice.after == choice.before


def _one_hot(choice: Choice) -> Tensor:
    return torch.nn.functional.one_hot(choice.own, choice.table.shape[1]).to(torch.float64)


def attained(states: States, found: Relaxed, pairs: Pairs) -> Tensor:
    """For which groups one coupling per node makes all the decisions, so that the relaxed value is attained; shape (groups,)."""
    bad = torch.zeros(pairs.groups, dtype=torch.bool)
    for choice, decision in zip(states.choices, found.decisions, strict=True):
        entries = (~stays(choice))[:, pairs.row].nonzero(as_tuple=True)
        if len(entries[0]):
            _mark(choice, decision, pairs, entries, bad)
    return ~bad


def _mark(choice: Choice, decision: Tensor, pairs: Pairs, entries: tuple[Tensor, ...], bad: Tensor) -> None:
    """Mark the groups in which a node's decisions are no single coupling's.

    They are one's where decisions for the same level and pair of configurations agree, those for different levels fit into the margins
    together, and the pairs of configurations form no cycle: joint distributions along a tree always have a common one.
    """
    combination, pair = entries
    row, group = pairs.row[pair], pairs.group[pair]
    count, levels = choice.table.shape
    before, after = choice.before[row], choice.after[combination, row]
    directed, edge = torch.unique(before * count + after, return_inverse=True)
    ends = torch.stack([directed.div(count, rounding_mode="floor"), directed % count])
    held, edge = torch.unique(group * len(directed) + edge, return_inverse=True)
    owner, kind = held.div(len(directed), rounding_mode="floor"), held % len(directed)
    cells, cell = torch.unique(edge * levels + choice.own[row], return_inverse=True)
    made = decision[combination, row]
    most = _by_cell(made, cell, len(cells), "amax")
    apart = (most - _by_cell(made, cell, len(cells), "amin")).amax(-1) > SAME
    cell_edge = cells.div(levels, rounding_mode="floor")
    mass = choice.table[ends[0][kind[cell_edge]], cells % levels].unsqueeze(-1) * most
    used = torch.zeros(len(held), levels, dtype=torch.float64).index_add(0, cell_edge, mass)
    over = (used - choice.table[ends[1][kind]] > SAME).any(-1)
    bad[owner[cell_edge[apart]]] = True
    bad[owner[over]] = True
    bad[_cyclic(owner, ends[:, kind])] = True


def _by_cell(values: Tensor, cell: Tensor, cells: int, how: str) -> Tensor:
    start = torch.zeros(cells, values.shape[-1], dtype=torch.float64)
    return start.scatter_reduce(0, cell.unsqueeze(-1).expand_as(values), values, how, include_self=False)


def _cyclic(owner: Tensor, ends: Tensor) -> Tensor:
    """The groups in which the edges, (2, edges), between configurations form a cycle, or one is walked both ways."""
    corners, place = torch.unique(owner * (int(ends.max()) + 1) + ends, return_inverse=True)
    graph = coo_array((torch.ones(len(owner)).numpy(), (place[0].numpy(), place[1].numpy())), shape=(len(corners), len(corners)))
    count, found = connected_components(graph, directed=False)
    component = torch.from_numpy(found).long()
    edges = torch.bincount(component[place[0]], minlength=count)
    return owner[(edges >= torch.bincount(component, minlength=count))[component[place[0]]]]
