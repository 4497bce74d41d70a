"""A coupled node's levels in a few cells: how likely it can be, at most, to be in each, and between which values it is there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.effects.bounds_boxes import Box
from cfair.effects.bounds_reached import Node, Reached, reached
from cfair.effects.bounds_states import TAIL, check_possible, probabilities
from cfair.interfaces import Values
from cfair.scm import SCM

__all__ = ["Divided", "divided"]

TABLE = 50_000_000  # probabilities that are computed of a node's levels at most
AT_ONCE = 5_000_000  # numbers of these held at a time
TYPICAL = 64  # configurations whose quantiles part a count's levels


@dataclass(frozen=True, slots=True, eq=False)
class Divided:
    """The node's levels in cells.

    Args:
        capacity: at most how likely each cell is, given what the person is, shape (*cells of the nodes before, m, cells).
        box: between which levels the node is in each cell, shape (*cells, m).
    """

    capacity: Tensor
    box: Box


def divided(scm: SCM, node: Node, cells: int) -> Divided:
    """At most so many cells beside one for what the person is; each level its own where they are no more; without cells all is one.

    P(cell | own level v) ≤ q(cell)/p(v), Fréchet's bound with p the factual and q the new probabilities. It is 1 where the new parents
    are not known, or a count can be large, and decided where the parents are the factual ones.

    Raises:
        QueryError: a row has a level that the model says is impossible.
    """
    met, mass = reached(scm, node), _mass(scm, node)
    if not cells:
        whole = torch.tensor([0.0, met.beyond], dtype=torch.float64).reshape(2, *([1] * met.place.ndim))
        return Divided(torch.ones(*([1] * node.place), 1, 1, dtype=torch.float64), Box(*whole))
    first, last = _cells(scm, node.name, met, cells)
    single = len(first) == met.levels > met.beyond
    likely = _likely(scm, node, met, (first, last), single=single) / mass.unsqueeze(-1)
    stays = torch.nn.functional.one_hot(node.own.long() if single else torch.full_like(node.own, len(first)).long(), likely.shape[-1])
    capacity = torch.where(met.same.unsqueeze(-1), stays.double(), torch.where(met.sure.unsqueeze(-1), likely, 1.0))
    ends = first.double(), torch.cat([last[:-1].double(), torch.tensor([met.beyond], dtype=torch.float64)])
    return Divided(capacity.reshape(*capacity.shape[: node.place], *capacity.shape[-2:]), _box(node, ends, met.place.ndim, single=single))


def _likely(scm: SCM, node: Node, met: Reached, ends: tuple[Tensor, Tensor], *, single: bool) -> Tensor:
    """q(cell) in the new world, shape (*place, cells), and last, unless each level is a cell, that of the own level, left out of others.

    Args:
        scm: the model.
        node: the node.
        met: its parents' configurations.
        ends: the cells' first and last levels.
        single: whether each level is a cell.
    """
    (first, last), levels, place, configurations = ends, met.levels, met.place, met.configurations
    count = len(next(iter(configurations.values())))
    if count * levels > TABLE:
        return torch.ones(*place.shape, len(first) + (not single), dtype=torch.float64)
    rows, own = torch.arange(count).split(max(1, AT_ONCE // levels)), node.own.long().clamp(max=levels - 1)
    if single:
        table = torch.cat([_table(scm, node.name, configurations, some, levels) for some in rows])
        return table[place]
    held, at, distinct = [], [], own.unique()
    for some in rows:
        table = _table(scm, node.name, configurations, some, levels)
        upto = torch.cat([torch.zeros(len(table), 1, dtype=torch.float64), table.cumsum(1)], 1)
        held.append(upto[:, last + 1] - upto[:, first])
        at.append(table[:, distinct])
    found, alone = torch.cat(held)[place], torch.cat(at)[place, torch.searchsorted(distinct, own)]
    inside = (own.unsqueeze(-1) >= first) & (own.unsqueeze(-1) <= last)
    return torch.cat([(found - inside * alone.unsqueeze(-1)).clamp(min=0.0), alone.unsqueeze(-1)], -1)


def _table(scm: SCM, name: str, configurations: Values, some: Tensor, levels: int) -> Tensor:
    """P(level) of some configurations, (some, levels), without a count's tail."""
    found = probabilities(scm.mechanisms[name], {parent: values[some] for parent, values in configurations.items()}, levels)
    return found / found.sum(-1, keepdim=True)


def _mass(scm: SCM, node: Node) -> Tensor:
    """P(own level) in the factual world, shape (m,)."""
    with torch.no_grad():
        mass: Tensor = scm.mechanisms[node.name].distribution(dict(node.before)).log_prob(node.own).exp()
    check_possible(mass, node.name)
    return mass


def _cells(scm: SCM, name: str, met: Reached, cells: int) -> tuple[Tensor, Tensor]:
    """First and last levels of the cells: each level's own, all in one, or a count's between quantiles, more at both ends."""
    levels = met.levels
    if levels <= cells:
        return torch.arange(levels), torch.arange(levels)
    if scm.spec.nodes[name].levels or cells <= 1:
        return torch.tensor([0]), torch.tensor([levels - 1])
    some = {parent: values[:TYPICAL].unsqueeze(0) for parent, values in met.configurations.items()}
    uniform = (1 - torch.linspace(0, torch.pi, max(cells, 3), dtype=torch.float64)[1:-1].cos()) / 2
    mechanism = scm.mechanisms[name]
    with torch.no_grad():
        found = mechanism.value(mechanism.noise(torch.cat([torch.tensor([TAIL]), uniform])).unsqueeze(1), some)
    cuts = torch.cat([found[:1].amin(1) - 1, found[1:].median(1).values]).long()
    last = torch.cat([cuts[cuts >= 0].clamp(max=levels - 2), torch.tensor([levels - 1])]).unique()
    return torch.cat([torch.zeros(1, dtype=torch.int64), last[:-1] + 1]), last


def _box(node: Node, ends: tuple[Tensor, Tensor], dimensions: int, *, single: bool) -> Box:
    """Each cell's least and largest level, the cells in the node's own dimension; the last is the own level's unless each has its own."""
    shape = [1] * dimensions
    shape[node.place] = len(ends[0])
    low, high = (end.double().reshape(shape) for end in ends)
    if single:
        return Box(low, high)
    shape[-1] = len(node.own)
    own = node.own.reshape([*([1] * (dimensions - 1)), -1])
    return Box(torch.cat([low.expand(shape), own], node.place), torch.cat([high.expand(shape), own], node.place))
