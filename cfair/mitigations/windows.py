"""One rate to be equal: of all thresholds of all groups the most accurate under which it is, exactly, for any number of groups.

That the rates of several groups are within τ of one another says that some window [r, r + τ] holds them all. Within a window each group
is free to take its most accurate threshold, whatever the others take: so all windows are tried, and every combination of thresholds
with them, without going through the combinations.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.ladders import Ladder

__all__ = ["best_in_windows", "best_near_targets"]

ROUNDING = 1e-12  # of a rate


class _Rates:
    """The rate of a group at each of its thresholds, in order of the rate, and the most accurate of those within a window.

    Args:
        ladder: of the group.
        constraint: of one stratum.
    """

    def __init__(self, ladder: Ladder, constraint: Constraint) -> None:
        rate = constraint.rates(ladder.counts)[..., 0, 0]
        known = torch.nonzero(rate.isfinite()).flatten()
        order = rate[known].argsort(stable=True)
        self.rate, self._place = rate[known][order], known[order]
        best = [torch.arange(len(order))]  # level l: the most accurate of 2^l neighbours, by position among the rates
        self._correct = ladder.correct[self._place]
        while (step := 2 ** (len(best) - 1)) * 2 <= len(order):
            first, second = best[-1][:-step], best[-1][step:]
            best.append(torch.where(self._correct[second] > self._correct[first], second, first))
        self._best = torch.stack([torch.cat([each, each.new_zeros(len(order) - len(each))]) for each in best])

    def above(self, rate: Tensor) -> Tensor:
        """The least rate that is not below each of some, (q,); ∞ where there is none."""
        place = torch.searchsorted(self.rate, rate - ROUNDING)
        return torch.where(place < len(self.rate), self.rate[place.clamp(max=len(self.rate) - 1)], torch.inf)

    def nearest(self, rate: Tensor) -> Tensor:
        """The rate nearest to each of some, (q,)."""
        above = torch.searchsorted(self.rate, rate).clamp(1, len(self.rate) - 1)
        low, high = self.rate[above - 1], self.rate[above]
        return torch.where(rate - low <= high - rate, low, high)

    def within(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The most accurate threshold within each window, and the weight it decides on rightly, both (q,); −∞ in an empty window."""
        first = torch.searchsorted(self.rate, low - ROUNDING)
        size = torch.searchsorted(self.rate, high + ROUNDING, right=True) - first
        some, first = size > 0, first.clamp(max=len(self.rate) - 1)
        level = size.clamp(min=1).double().log2().floor().long()
        last = (first + size.clamp(min=1) - 2**level).clamp(max=len(self.rate) - 1)
        one, other = self._best[level, first], self._best[level, last]
        chosen = torch.where(self._correct[other] > self._correct[one], other, one)
        return self._place[chosen], self._correct[chosen].where(some, -torch.inf)


def best_in_windows(found: Sequence[Ladder], constraint: Constraint, tolerance: float) -> Tensor:
    """The place of each group's threshold, (groups,): of all combinations whose rates differ by the tolerance at most the most accurate.

    Where there is none the tolerance is the least that some combination keeps.

    Args:
        found: of groups that have the rate at some threshold.
        constraint: of one stratum.
        tolerance: above 0.
    """
    groups = [_Rates(ladder, constraint) for ladder in found]
    low = torch.cat([each.rate for each in groups]).unique()
    reached = torch.stack([each.above(low) for each in groups]).amax(0)
    high = low + max(tolerance, float((reached - low).min()))
    return _best([each.within(low, high) for each in groups])


def best_near_targets(found: Sequence[Ladder], constraint: Constraint, tolerance: float) -> Tensor:
    """The place of each group's threshold, (groups,), the most accurate over all windows [r, r + tolerance], of a rate that only rises as
    a threshold falls.

    A group with no rate within a window takes the rate nearest to its middle: no further off than half of what one step changes, and a
    step is one person, or several of one score.
    """
    groups = [_Rates(ladder, constraint) for ladder in found]
    middles = torch.cat([(each.rate[1:] + each.rate[:-1]) / 2 - tolerance / 2 for each in groups]).unique()
    low = torch.cat([*(each.rate for each in groups), (middles[1:] + middles[:-1]) / 2]).unique()
    chosen = []
    for each in groups:
        place, correct = each.within(low, low + tolerance)
        near = each.nearest(low + tolerance / 2)
        near_place, near_correct = each.within(near, near)
        empty = correct == -torch.inf
        chosen.append((torch.where(empty, near_place, place), torch.where(empty, near_correct, correct)))
    return _best(chosen)


def _best(chosen: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The places, (groups,), in the window in which most are decided on rightly, of places and weights of each group, (q,)."""
    best = torch.stack([correct for _, correct in chosen]).sum(0).argmax()
    return torch.stack([place[best] for place, _ in chosen])
