"""Who is followed through many worlds: a random part of large groups, and equal rows once."""

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from cfair.auditing.crossing import Crossing
from cfair.auditing.gaps import weights_of
from cfair.inference.distinct import distinct
from cfair.interfaces import Columns

__all__ = ["distinct_people", "followed"]


def followed(columns: Columns, crossing: Crossing, *, most: int, seed: int) -> Columns:
    """At most so many people of each crossed group, drawn at random; those who stay weigh as much together as their group did.

    Args:
        columns: n people of weight above 0.
        crossing: of the protected attributes.
        most: people of one crossed group.
        seed: of the choice.
    """
    group, weights = crossing.group(columns), weights_of(columns)
    shuffled = torch.randperm(columns.n, generator=torch.Generator().manual_seed(seed))
    chosen = torch.cat([shuffled[group[shuffled] == g][:most] for g in range(crossing.size)]).sort().values
    if len(chosen) == columns.n:
        return columns
    total, kept = (torch.bincount(group[who], weights[who], minlength=crossing.size) for who in (shuffled, chosen))
    return replace(columns.take(chosen), weights=(weights * (total / kept)[group])[chosen])


def distinct_people(columns: Columns, nodes: Collection[str], weights: Tensor) -> tuple[Columns, Tensor]:
    """One person for all whose ``nodes`` are equal, (m,), and the weight of them together, (m,)."""
    first, place = distinct({node: columns[node] for node in nodes}, columns.n)
    return columns.take(first), torch.zeros(len(first), dtype=torch.float64).index_add(0, place, weights)
