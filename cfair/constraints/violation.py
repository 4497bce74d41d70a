"""How far a constraint is from holding, with intervals that hold for all pairs of groups at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.constraints.base import Cells, Constraint
from cfair.constraints.definition import OURS, Definition, farthest
from cfair.constraints.pairwise import Pairs, Range, pairwise
from cfair.errors import QueryError

__all__ = ["Extent", "Violation", "difference_of", "ratio_of", "undefined", "violation", "violation_of"]


@dataclass(frozen=True, slots=True)
class Extent:
    """A difference or a ratio with its interval; all None, with the reason, where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    @classmethod
    def of(cls, value: Tensor, low: Tensor, high: Tensor) -> "Extent":
        """A value with its interval, each of shape ()."""
        return cls(float(value), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Violation:
    """The largest difference and the smallest ratio between groups, and the people behind them."""

    difference: Extent
    ratio: Extent
    n: int


def violation(
    constraint: Constraint, cells: Cells, groups: Sequence[str], level: float = 0.95, *, seed: int = 0, definition: Definition = OURS
) -> Violation:
    """How far ``constraint`` is from holding among the groups that have anybody at all.

    A percentile interval of the max-min gap is not offered: the gap is never negative and its bootstrap replicates are almost all above
    it, so that it never covers 0 when the groups are equal (``descriptive_interval`` gives it by that name). Here every pairwise interval
    covers at once (``pairwise``), so that the largest difference lies between the largest lower end and the largest upper end:
    conservative, and 0 is covered whenever no pair can be told apart.

    Args:
        constraint: one of ``CONSTRAINTS``, of decisions.
        cells: of shape (groups, 2, 2), indexed [group, y, decision]; intervals go by the effective number of people.
        groups: the groups' names, for the reason where something is undefined.
        level: what the intervals should cover.
        seed: of the draws behind the simultaneous intervals.
        definition: what is meant by the difference and the ratio of several groups.

    Raises:
        QueryError: the constraint is one of scores, which counts of decisions do not tell.
    """
    if constraint.of != "decisions":
        raise QueryError("constraint", f"{constraint.name} is measured on scores, not on decisions", "use cfair.constraints.scores")
    present = cells.people.sum((-2, -1)) > 0
    names = [name for name, people in zip(groups, present.tolist(), strict=True) if people]
    some = cells[present]
    n = int(constraint.tally(some.people)[1].sum())
    if reason := undefined(constraint, some, names, definition):
        return Violation(Extent(None, reason=reason), Extent(None, reason=reason), n)
    return violation_of(constraint, some, pairwise(constraint, some, level=level, seed=seed, definition=definition), definition)


def violation_of(constraint: Constraint, cells: Cells, pairs: Pairs, definition: Definition = OURS) -> Violation:
    """The same, of groups none of which lacks anybody, from the pairs that they form."""
    n = int(constraint.tally(cells.people)[1].sum())
    return Violation(
        difference_of(pairs.difference, definition), ratio_of(constraint, constraint.rates(cells.weight, definition), pairs, definition), n
    )


def undefined(constraint: Constraint, cells: Cells, names: Sequence[str], definition: Definition = OURS) -> str | None:
    """Why the rates of these groups cannot be compared, if they cannot."""
    if len(names) < 2:
        return "fewer than two groups have people"
    successes, trials = constraint.tally(cells.weight)
    for stratum, row in zip(constraint.strata, trials.tolist(), strict=True):
        if 0 in row:
            return f"group '{names[row.index(0)]}' has no {stratum}"
    if constraint.scale == "share":
        return None
    below, lacking = (trials - successes, "positives") if definition.errors == "FN/FP" else (successes, "negatives")
    row = below.min(0).values.tolist()
    return f"group '{names[row.index(0)]}' has no false {lacking} to divide by" if 0 in row else None


def difference_of(pairs: Range, definition: Definition) -> Extent:
    """One difference of all pairs (strata, pairs): no farther from 0 than the farthest end says, and no nearer than the nearest."""
    value, low, high = pairs
    if definition.gap == "signed":
        place = farthest(value).unsqueeze(-1)
        value, low, high = (each.gather(-1, place).squeeze(-1) for each in pairs)
        if definition.strata == "max":
            stratum = int(farthest(value))
            return Extent.of(value[stratum], low[stratum], high[stratum])
        return Extent.of(value.mean(), low.mean(), high.mean())
    sizes = Range(value.abs(), torch.maximum(low, -high).clamp(min=0), torch.maximum(high, -low))
    value, low, high = (each.mean(-1) if definition.gap == "mean pairwise" else each.amax(-1) for each in sizes)
    return Extent.of(definition.over_strata(value), definition.over_strata(low), definition.over_strata(high))


def ratio_of(constraint: Constraint, rates: Tensor, pairs: Pairs, definition: Definition) -> Extent:
    """One ratio of all pairs of groups with such rates, (strata, groups): the smaller of r_h / r_g and its inverse, unless signed."""
    largest = rates.amax(-1)
    if (largest == 0).any():
        stratum = list(constraint.strata)[largest.tolist().index(0)]
        return Extent(None, reason=f"no group has {constraint.event} among {stratum}")
    if definition.gap == "signed":
        return _signed_ratio(pairs, definition)
    value, low, high = (torch.minimum(*both).clamp(max=1) for both in zip(pairs.ratio, pairs.inverse, strict=True))
    if definition.gap == "mean pairwise":
        if value.isnan().any():
            return Extent(None, reason=f"two groups lack {constraint.event}")
        value, low, high = value.mean(-1), low.mean(-1), high.mean(-1)
    else:
        known = ~value.isnan()  # 0/0: two groups, neither of them the largest
        value, low, high = (each.where(known, 1).amin(-1) for each in (value, low, high))
    return Extent.of(*(definition.over_strata(each, smallest=True) for each in (value, low, high)))


def _signed_ratio(pairs: Pairs, definition: Definition) -> Extent:
    """The later group's rate per the earlier one's, in the pair that lies farthest apart."""
    place = farthest(pairs.difference.value).unsqueeze(-1)
    value, low, high = (each.gather(-1, place).squeeze(-1) for each in pairs.ratio)
    stratum = farthest(pairs.difference.value.gather(-1, place).squeeze(-1))
    ends = [each.mean() if definition.strata == "mean" else each[stratum] for each in (value, low, high)]
    if not torch.stack(ends).isfinite().all():
        return Extent(None, reason="of the two groups farthest apart, the earlier one's rate may be 0")
    return Extent.of(*ends)
