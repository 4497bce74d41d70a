"""What the constraints share: confusion counts, and the rates that are to be equal.

Counts have the shape (..., groups, 2, 2), indexed [group, y, decision]; leading dimensions are free, so that the same functions serve the
table itself, a thousand bootstrap replicates, or every threshold. Weighted counts need not be whole: rates are read from the sums of
weights, their intervals from the sums of squared weights beside them, and how large a group is from the people.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cfair.constraints.definition import OURS, Definition
from cfair.constraints.tallies import Tally

__all__ = ["Cells", "Constraint", "count", "effective"]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Who is in each cell [group, y, decision]; each of shape (..., groups, 2, 2), or with a cell per class, (..., groups, K, K).

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
        strata: each stratum in words -> the rate to be equal within it; people are in one of them at most. Empty for a constraint of
            scores, which has functions of its own (``cfair.constraints.scores``).
        labels: each stratum in short, as in the name of a measure; none where there is but one.
        event: what the rate is of, in words.
        scale: "share": the rate s/n itself; "odds": s/(n − s), successes per failure.
        of: what it is measured on: "decisions", as counts [group, y, decision], or "scores".
    """

    name: str
    strata: dict[str, Tally]
    labels: tuple[str, ...] = ()
    event: str = "a positive decision"
    scale: Literal["share", "odds"] = "share"
    of: Literal["decisions", "scores"] = "decisions"

    def tally(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Successes and trials behind each rate, both of shape (..., strata, groups)."""
        pairs = [stratum(counts) for stratum in self.strata.values()]
        return torch.stack([successes for successes, _ in pairs], -2), torch.stack([trials for _, trials in pairs], -2)

    def rates(self, counts: Tensor, definition: Definition = OURS) -> Tensor:
        """The rate of each group in each stratum, shape (..., strata, groups); NaN marks a stratum in which a group has nobody, and
        odds of successes without failures.
        """
        return self.scaled(*self.tally(counts), definition)

    def scaled(self, successes: Tensor, trials: Tensor, definition: Definition = OURS) -> Tensor:
        """The rate of successes and trials of any one shape, on the constraint's scale."""
        if self.scale == "share":
            return successes / trials
        failures = trials - successes
        rates = successes / failures if definition.errors == "FN/FP" else failures / successes
        return rates.where(rates.isfinite(), torch.nan)

    def difference(self, counts: Tensor, definition: Definition = OURS) -> Tensor:
        """max_s (max_g r_sg − min_g r_sg), shape (...), unless ``definition`` says otherwise: 0 when all groups are equal; NaN marks a
        rate that is undefined.
        """
        return definition.difference(self.rates(counts, definition))

    def ratio(self, counts: Tensor, definition: Definition = OURS) -> Tensor:
        """min_s (min_g r_sg / max_g r_sg), shape (...), unless ``definition`` says otherwise: 1 when all groups are equal; NaN marks 0/0,
        or a rate that is undefined.
        """
        return definition.ratio(self.rates(counts, definition))


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
