"""How far a constraint is from holding, with intervals that hold for all pairs of groups at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.constraints.base import Cells, Constraint, effective
from cfair.constraints.wilson import wilson

__all__ = ["Extent", "Violation", "violation"]


@dataclass(frozen=True, slots=True)
class Extent:
    """A difference or a ratio with its interval; all None, with the reason, where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """The largest difference and the smallest ratio between groups, and the people behind them."""

    difference: Extent
    ratio: Extent
    n: int


def violation(constraint: Constraint, cells: Cells, groups: Sequence[str], level: float = 0.95) -> Violation:
    """How far ``constraint`` is from holding among the groups that have anybody at all.

    A percentile interval of the max-min gap is not offered: the gap is never negative and its bootstrap replicates are almost all above
    it, so that it never covers 0 when the groups are equal. Here every pairwise interval covers at once (Bonferroni over pairs and
    strata), so that the largest difference lies between the largest lower end and the largest upper end: conservative, and 0 is covered
    whenever no pair can be told apart.

    Args:
        constraint: one of ``CONSTRAINTS``.
        cells: of shape (groups, 2, 2), indexed [group, y, decision]; intervals go by the effective number of people.
        groups: the groups' names, for the reason where something is undefined.
        level: what the intervals should cover.
    """
    present = cells.people.sum((-2, -1)) > 0
    names = [name for name, people in zip(groups, present.tolist(), strict=True) if people]
    some = cells[present]
    successes, trials = effective(some, constraint.tally)
    n = int(constraint.tally(some.people)[1].sum())
    reason = _undefined(constraint, trials, names)
    if reason:
        return Violation(Extent(None, reason=reason), Extent(None, reason=reason), n)
    return Violation(_difference(successes, trials, level), _ratio(constraint, successes, trials, level), n)


def _undefined(constraint: Constraint, trials: Tensor, names: Sequence[str]) -> str | None:
    """Why rates with these trials, shape (strata, groups), cannot be compared, if they cannot."""
    if len(names) < 2:
        return "fewer than two groups have people"
    for stratum, row in zip(constraint.strata, trials.tolist(), strict=True):
        if 0 in row:
            return f"group '{names[row.index(0)]}' has no {stratum}"
    return None


def _difference(successes: Tensor, trials: Tensor, level: float) -> Extent:
    """The largest |r_sg − r_sh|: hybrid score intervals of every pair (g, h) in every stratum s, each at 1 − α/(number of them).

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions, method 10.
    """
    g, h = torch.triu_indices(trials.shape[-1], trials.shape[-1], offset=1)
    rate = successes / trials
    low, high = wilson(successes, trials, 1 - (1 - level) / (len(g) * len(trials)))
    below, above = rate - low, high - rate
    apart = rate[:, g] - rate[:, h]
    least = apart - torch.hypot(below[:, g], above[:, h])
    most = apart + torch.hypot(above[:, g], below[:, h])
    largest_low = torch.maximum(least, -most).clamp(min=0).max()  # 0 where the interval of the signed difference covers 0
    return Extent(apart.abs().max().item(), largest_low.item(), torch.maximum(most, -least).max().item())


def _ratio(constraint: Constraint, successes: Tensor, trials: Tensor, level: float) -> Extent:
    """The smallest min_g r_sg / max_g r_sg: its range while every rate stays in its Wilson interval at 1 − α/(groups · strata)."""
    rate = successes / trials
    largest = rate.amax(-1)
    if (largest == 0).any():
        stratum = list(constraint.strata)[largest.tolist().index(0)]
        return Extent(None, reason=f"no group has a positive decision among {stratum}")
    low, high = wilson(successes, trials, 1 - (1 - level) / trials.numel())
    least = low.amin(-1) / high.amax(-1)
    most = (high.amin(-1) / low.amax(-1)).clamp(max=1)
    return Extent((rate.amin(-1) / largest).min().item(), least.min().item(), most.min().item())
