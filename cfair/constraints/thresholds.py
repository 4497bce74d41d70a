"""Who is in each cell at every threshold, from one sort, and the thresholds of each group that can be read off."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.constraints.base import Cells
from cfair.constraints.tallies import Tally
from cfair.errors import QueryError

__all__ = ["Thresholds", "at_thresholds", "nearest_thresholds"]


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """The cells at each of several thresholds: a decision is 1 from the threshold on.

    ``Constraint.rates``, ``difference`` and ``ratio`` of ``cells.weight`` then have a leading dimension of thresholds.

    Args:
        values: ascending, shape (thresholds,).
        cells: each of shape (thresholds, groups, 2, 2).
    """

    values: Tensor
    cells: Cells


def at_thresholds(
    y: Tensor, score: Tensor, group: Tensor, groups: int, *, thresholds: Tensor | None = None, weights: Tensor | None = None
) -> Thresholds:
    """The cells of people with outcome y at each threshold of their score, each of shape (n,), in one pass.

    Args:
        y: outcomes, 0 or 1.
        score: any numbers; the higher, the more for a decision of 1.
        group: index of each person's group.
        groups: how many there are.
        thresholds: any number of them; by default every score that occurs, at which alone decisions change, and infinity, at which nobody
            is selected. Memory is that of thresholds x groups.
        weights: not negative; all 1 if None.

    Raises:
        QueryError: a score or threshold is not a number.
    """
    values = torch.cat([score.unique(), score.new_tensor([torch.inf])]) if thresholds is None else thresholds.to(score.dtype).unique()
    if score.isnan().any() or values.isnan().any():
        raise QueryError("thresholds", "a score or threshold is not a number", "leave such people out")
    below = torch.searchsorted(values, score, right=True)  # how many thresholds a person reaches
    place = ((below * groups + group) * 2 + y).long()

    def cells(each: Tensor | None) -> Tensor:
        size = (len(values) + 1) * groups * 2
        reached = torch.bincount(place, weights=each, minlength=size).double().reshape(-1, groups, 2)
        selected = reached.flip(0).cumsum(0).flip(0)[1:]  # who reaches so many thresholds or more
        return torch.stack([reached.cumsum(0)[:-1], selected], -1)

    if weights is None:
        return Thresholds(values, Cells.of(cells(None)))
    return Thresholds(values, Cells(cells((weights > 0).double()), cells(weights), cells(weights.square())))


def nearest_thresholds(found: Thresholds, rate: Tally, target: float) -> tuple[Tensor, Tensor]:
    """The threshold at which each group's rate is nearest to ``target``, and that rate, both of shape (groups,); the higher of two as near.

    NaN where the group has nobody to whom the rate applies, at any threshold.

    Args:
        found: of ``at_thresholds``.
        rate: a rate of counts, one of ``GROUP_RATES``.
        target: what the groups' rates should be.
    """
    successes, trials = rate(found.cells.weight)
    rates = successes / trials
    apart = (rates - target).abs().nan_to_num(nan=torch.inf).flip(0)
    place = len(found.values) - 1 - apart.argmin(0)
    at = rates.gather(0, place.unsqueeze(0)).squeeze(0)
    return found.values[place].where(~at.isnan(), torch.nan), at
