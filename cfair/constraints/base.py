"""What the constraints share: confusion counts, the rates read from them, and how far rates lie apart.

Counts have the shape (..., groups, 2, 2), indexed [group, y, decision]; leading dimensions are free, so that the same functions serve the
table itself, a thousand bootstrap replicates, or every threshold. Weighted counts need not be whole: rates are read from the sums of
weights, their intervals from the sums of squared weights beside them, and how large a group is from the people.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = [
    "Cells",
    "Constraint",
    "Tally",
    "base_rate",
    "count",
    "effective",
    "false_positive_rate",
    "positive_predictive_value",
    "selection_rate",
    "true_positive_rate",
]

Tally: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]  # counts (..., 2, 2) -> successes and trials, each (...)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Who is in each cell [group, y, decision]; each of shape (..., groups, 2, 2).

    Args:
        people: how many people of weight above 0.
        weight: Σ w; what rates, differences and ratios are read from.
        square: Σ w².
    """

    people: Tensor
    weight: Tensor
    square: Tensor

    @classmethod
    def of(cls, counts: Tensor) -> "Cells":
        """The cells of people of weight 1, given how many are in each."""
        return cls(counts, counts, counts)

    def __getitem__(self, groups: int | Tensor) -> "Cells":
        """One group's cells, or those of several, by position or by a mask of shape (groups,), where there are no leading dimensions."""
        return Cells(self.people[groups], self.weight[groups], self.square[groups])


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


def count(y: Tensor, decision: Tensor, group: Tensor, groups: int, weights: Tensor | None = None) -> Cells:
    """The cells, of shape (groups, 2, 2), of people with outcome y, decision, group index and weight, each of shape (n,); None: 1 each."""
    cell = (group * 4 + y * 2 + decision).long()

    def total(each: Tensor | None) -> Tensor:
        return torch.bincount(cell, weights=each, minlength=groups * 4).reshape(groups, 2, 2).double()

    if weights is None:
        return Cells.of(total(None))
    return Cells(total((weights > 0).double()), total(weights), total(weights.square()))


def effective(cells: Cells, tally: Tally) -> tuple[Tensor, Tensor]:
    """Successes and trials of as many people of equal weight as tell as much: (Σw)²/Σw² trials, the weighted share of them successes.

    Source: Kish (1965), Survey Sampling: the loss of precision from unequal weights.
    """
    successes, trials = tally(cells.weight)
    _, squares = tally(cells.square)
    people_per_weight = trials / squares.where(squares > 0, 1)  # of nobody 0, not 0/0
    return successes * people_per_weight, trials * people_per_weight


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
