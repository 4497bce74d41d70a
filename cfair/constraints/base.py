"""What the constraints share: confusion counts, the rates read from them, and how far rates lie apart.

Counts have the shape (..., groups, 2, 2), indexed [group, y, decision]; leading dimensions are free, so that the same functions serve the
table itself, a thousand bootstrap replicates, or every threshold. Weighted counts need not be whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = [
    "Constraint",
    "Tally",
    "base_rate",
    "count",
    "false_positive_rate",
    "positive_predictive_value",
    "selection_rate",
    "true_positive_rate",
]

Tally: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]  # counts (..., 2, 2) -> successes and trials, each (...)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A group constraint: a rate to be equal across groups, within each stratum of people.

    Args:
        name: as in a report.
        strata: each stratum in words -> the rate to be equal within it.
    """

    name: str
    strata: dict[str, Tally]

    def tally(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Successes and trials behind each rate, both of shape (..., strata, groups)."""
        pairs = [stratum(counts) for stratum in self.strata.values()]
        return torch.stack([successes for successes, _ in pairs], -2), torch.stack([trials for _, trials in pairs], -2)

    def rates(self, counts: Tensor) -> Tensor:
        """The rate of each group in each stratum, shape (..., strata, groups); NaN marks a stratum in which a group has nobody."""
        successes, trials = self.tally(counts)
        return successes / trials

    def difference(self, counts: Tensor) -> Tensor:
        """max_s (max_g r_sg − min_g r_sg), shape (...): 0 when all groups are equal, at most 1; NaN marks a group without anybody."""
        rates = self.rates(counts)
        return (rates.amax(-1) - rates.amin(-1)).amax(-1)

    def ratio(self, counts: Tensor) -> Tensor:
        """min_s (min_g r_sg / max_g r_sg), shape (...): 1 when all groups are equal; NaN marks 0/0 or a group without anybody."""
        rates = self.rates(counts)
        return (rates.amin(-1) / rates.amax(-1)).amin(-1)


def count(y: Tensor, decision: Tensor, group: Tensor, groups: int) -> Tensor:
    """Confusion counts, shape (groups, 2, 2), of people with outcome y, decision and group index, each of shape (n,)."""
    cell = (group * 4 + y * 2 + decision).long()
    return torch.bincount(cell, minlength=groups * 4).reshape(groups, 2, 2).double()


def selection_rate(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(ŷ = 1)."""
    return counts[..., 1].sum(-1), counts.sum((-2, -1))


def base_rate(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(y = 1)."""
    return counts[..., 1, :].sum(-1), counts.sum((-2, -1))


def true_positive_rate(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(ŷ = 1 | y = 1)."""
    return counts[..., 1, 1], counts[..., 1, :].sum(-1)


def false_positive_rate(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(ŷ = 1 | y = 0)."""
    return counts[..., 0, 1], counts[..., 0, :].sum(-1)


def positive_predictive_value(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(y = 1 | ŷ = 1)."""
    return counts[..., 1, 1], counts[..., 1].sum(-1)
