"""All thresholds of a group at which decisions differ, and what each of them decides."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.constraints.thresholds import at_thresholds
from cfair.mitigations.base import Rows

__all__ = ["Ladder", "ladders", "pooled_ladder", "rungs"]

CLOSE = 1e-12  # scores nearer to one another, relative to their size, differ by rounding alone: no threshold parts them
BEYOND = 1.0  # log-odds from the outermost score to the threshold that selects nobody, or everybody


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Thresholds halfway between neighbouring scores, and one beyond either end.

    Args:
        values: ascending, shape (m,).
        counts: weight in each cell [group, y, decision], shape (m, groups, 2, 2).
    """

    values: Tensor
    counts: Tensor

    @property
    def correct(self) -> Tensor:
        """The weight of those decided on rightly, shape (m,)."""
        return (self.counts[..., 0, 0] + self.counts[..., 1, 1]).sum(-1)

    @property
    def best(self) -> int:
        """Where most are decided on rightly."""
        return int(self.correct.argmax())


def ladders(rows: Rows, score: Tensor, part: Tensor) -> list[Ladder]:
    """One of each group that takes part, by log-odds (n,); its counts are of that group alone."""
    found = []
    for group in torch.nonzero(part).flatten():
        own = (rows.group == group) & (rows.weights > 0)
        values = _values(score[own])
        nobody_else = torch.zeros(int(own.sum()), dtype=torch.int64)
        reached = at_thresholds(rows.outcome[own], score[own], nobody_else, 1, thresholds=values, weights=rows.weights[own])
        found.append(Ladder(reached.values, reached.cells.weight))
    return found


def pooled_ladder(rows: Rows, score: Tensor) -> Ladder:
    """One for everybody at once, by log-odds (n,); its counts are of every group."""
    some = rows.weights > 0
    values = _values(score[some])
    reached = at_thresholds(rows.outcome[some], score[some], rows.group[some], rows.groups, thresholds=values, weights=rows.weights[some])
    return Ladder(reached.values, reached.cells.weight)


def rungs(ladder: Ladder, most: int) -> Tensor:
    """At most so many places spread evenly over a ladder, both ends among them."""
    return torch.linspace(0, len(ladder.values) - 1, min(most, len(ladder.values)), dtype=torch.float64).round().long()


def _values(score: Tensor) -> Tensor:
    ordered = score.sort().values
    low, high = ordered[:-1], ordered[1:]
    apart = high - low > CLOSE * (1 + high.abs())
    return torch.cat([ordered[:1] - BEYOND, ((low + high) / 2)[apart], ordered[-1:] + BEYOND])
