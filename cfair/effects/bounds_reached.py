"""Which configurations a coupled node's parents can be in, and how far the node then reaches."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from cfair.effects.bounds_boxes import Box, known_between
from cfair.effects.bounds_states import TAIL
from cfair.interfaces import Values
from cfair.scm import SCM

__all__ = ["Node", "Reached", "reached"]

LONG = 100_000  # levels up to which a count's probabilities are computed
GRID = 100_000  # configurations tried for the largest count


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A coupled node of m rows.

    Args:
        name: of the node.
        own: its factual values, shape (m,).
        before: its parents' factual values, each (m,).
        after: between which its parents lie in the new world, each (*cells, m), the dimensions of this node and of all after it being 1.
        place: of the node among the coupled ones.
    """

    name: str
    own: Tensor
    before: Values
    after: Mapping[str, Box]
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """The parents' configurations that rows meet in the new world.

    Args:
        configurations: parent -> its values in each distinct one that is known.
        place: which of them each row has, (*cells, m).
        sure: whether the row's is known, and leaves fewer than LONG levels; of the same shape.
        same: whether it is the factual one.
        levels: that the node has where ``sure``, or has in fact.
        beyond: the largest level anywhere; infinite where it cannot be told.
    """

    configurations: Values
    place: Tensor
    sure: Tensor
    same: Tensor
    levels: int
    beyond: float


def reached(scm: SCM, node: Node) -> Reached:
    """The configurations of a coupled node's parents in the new world."""
    shape = torch.broadcast_shapes(node.own.shape, *(box.low.shape for box in node.after.values()))
    thin, same = torch.ones(shape, dtype=torch.bool), torch.ones(shape, dtype=torch.bool)
    for parent, box in node.after.items():
        thin &= box.thin
        same &= box.thin & (box.low == node.before[parent])
    seen = {p: torch.where(thin, box.low, node.before[p].expand(shape)).reshape(-1) for p, box in node.after.items()}
    distinct, place = torch.unique(torch.stack(list(seen.values()), -1), dim=0, return_inverse=True)
    configurations, place = dict(zip(seen, distinct.T, strict=True)), place.reshape(shape)
    if levels := len(scm.spec.nodes[node.name].levels):
        return Reached(configurations, place, thin, same, levels, levels - 1)
    largest, own = _largest(scm, node.name, configurations), float(node.own.max())
    beyond = max(float(largest.max()), own, 0.0 if bool(thin.all()) else _beyond(scm, node))
    short = largest < LONG
    levels = int(max(float(largest[short].max()) if bool(short.any()) else 0.0, own)) + 1
    return Reached(configurations, place, thin & short[place], same, levels, beyond)


def _largest(scm: SCM, name: str, configurations: Values) -> Tensor:
    """The count above which none is but for TAIL, of each configuration, shape (configurations,)."""
    mechanism = scm.mechanisms[name]
    with torch.no_grad():
        return mechanism.value(mechanism.noise(torch.tensor(1 - TAIL, dtype=torch.float64)), configurations)


def _beyond(scm: SCM, node: Node) -> float:
    """The largest count where parents lie between two values, levels crossed with both ends of numbers; infinite where not known."""
    ends = []
    for parent, box in node.after.items():
        levels, low, high = scm.spec.nodes[parent].levels, box.low.min(), box.high.max()
        if not levels and not (known_between(scm, node.name) and (low + high).isfinite()):
            return torch.inf
        ends.append(torch.arange(len(levels)).double() if levels else torch.stack([low, high]))
    if prod(map(len, ends)) > GRID:
        return torch.inf
    grid = torch.cartesian_prod(*ends).reshape(-1, len(ends))
    return float(_largest(scm, node.name, dict(zip(node.after, grid.T, strict=True))).max())
