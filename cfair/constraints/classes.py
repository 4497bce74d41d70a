"""Outcomes with several levels: each level against all others, and the mean over levels."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cfair.constraints.base import Cells, Constraint
from cfair.constraints.bootstrap import REPLICATES, resampled
from cfair.constraints.definition import OURS, Definition, pairs_of
from cfair.constraints.pairwise import Pairs, Range
from cfair.constraints.simultaneous import largest_of, max_t
from cfair.constraints.tallies import Tally

__all__ = ["count_classes", "levels_of", "macro_pairs", "macro_rate", "macro_rates", "one_vs_rest"]


def count_classes(y: Tensor, decision: Tensor, group: Tensor, groups: int, classes: int, weights: Tensor | None = None) -> Cells:
    """The cells, of shape (groups, K, K) and indexed [group, y, decision], of people whose outcome and decision are positions of levels.

    Args:
        y: position of the outcome's level, shape (n,).
        decision: position of the level decided for, shape (n,).
        group: index of each person's group, shape (n,).
        groups: how many there are.
        classes: K, how many levels the outcome has.
        weights: not negative, shape (n,); all 1 if None.
    """
    cell = ((group * classes + y) * classes + decision).long()

    def total(each: Tensor | None) -> Tensor:
        return torch.bincount(cell, weights=each, minlength=groups * classes**2).reshape(groups, classes, classes).double()

    if weights is None:
        return Cells.of(total(None))
    return Cells(total((weights > 0).double()), total(weights), total(weights.square()))


def one_vs_rest(counts: Tensor, level: int) -> Tensor:
    """Counts (..., groups, 2, 2) of one level against all others, of counts (..., groups, K, K): 1 is that level."""
    hit = counts[..., level, level]
    missed, false = counts[..., level, :].sum(-1) - hit, counts[..., :, level].sum(-1) - hit
    rest = counts.sum((-2, -1)) - hit - missed - false
    return torch.stack([torch.stack([rest, false], -1), torch.stack([missed, hit], -1)], -2).clamp(min=0)  # rounding of weights


def levels_of(cells: Cells) -> Iterator[Cells]:
    """The cells (groups, 2, 2) of each level against all others."""
    for level in range(cells.weight.shape[-1]):
        yield Cells(*(one_vs_rest(each, level) for each in (cells.people, cells.weight, cells.square)))


def macro_rates(constraint: Constraint, counts: Tensor, definition: Definition = OURS) -> Tensor:
    """The mean over levels of a constraint's one-vs-rest rates, (..., strata, groups), all levels alike; NaN where a level's is."""
    levels = range(counts.shape[-1])
    return torch.stack([constraint.rates(one_vs_rest(counts, level), definition) for level in levels]).mean(0)


def macro_rate(rate: Tally, cells: Cells, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0) -> Range:
    """The mean over levels of each group's one-vs-rest rate, shape (groups,), with normal intervals from resampled counts."""

    def mean(counts: Tensor) -> Tensor:
        each = [rate(one_vs_rest(counts, k)) for k in range(counts.shape[-1])]
        return torch.stack([successes / trials for successes, trials in each]).mean(0)

    value = mean(cells.weight)
    margin = largest_of(1, level) * mean(_smoothed(cells, replicates, seed)).std(0)
    return Range(value, value - margin, value + margin)


def macro_pairs(
    constraint: Constraint,
    cells: Cells,
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
    definition: Definition = OURS,
) -> Pairs:
    """The pairs of groups' macro rates, with normal intervals that hold for all pairs and strata at once; ratios on the log scale.

    Variances are those of resampled counts, which hold what levels share. Groups are independent.

    Args:
        constraint: of decisions.
        cells: of shape (groups, K, K); no group lacks anybody to whom a rate applies.
        level: what all intervals together should cover.
        replicates: resampled tables.
        seed: of the draws.
        definition: which way round odds are.
    """
    drawn = macro_rates(constraint, _smoothed(cells, replicates, seed), definition)
    rate, variance = macro_rates(constraint, cells.weight, definition), drawn.var(0)
    critical = max_t(list(variance), level, seed=seed)
    g, h = pairs_of(rate.shape[-1])
    margin = critical * (variance[:, g] + variance[:, h]).sqrt()
    apart = rate[:, h] - rate[:, g]
    relative = variance / rate.square()
    factor = (critical * (relative[:, g] + relative[:, h]).sqrt()).exp()
    ratio, inverse = rate[:, h] / rate[:, g], rate[:, g] / rate[:, h]
    around = (Range(each, each / factor, each * factor) for each in (ratio, inverse))
    return Pairs(g, h, Range(apart, apart - margin, apart + margin), *around)


def undefined_macro(constraint: Constraint, cells: Cells, names: Sequence[str], levels: Sequence[str]) -> str | None:
    """Why the mean over levels of one of these groups is undefined, if it is: a level to which the rate applies in nobody."""
    if len(names) < 2:
        return "fewer than two groups have people"
    rates = torch.stack([constraint.rates(own.weight) for own in levels_of(cells)])  # (levels, strata, groups)
    if not rates.isnan().any():
        return None
    level, stratum, group = rates.isnan().nonzero()[0].tolist()
    return f"group '{names[group]}' has no {list(constraint.strata)[stratum]}, of level '{levels[level]}' against all others"


def _smoothed(cells: Cells, replicates: int, seed: int) -> Tensor:
    """Resampled counts with half a person added to each cell of the table, so that an empty one has some spread."""
    unit = (cells.square.sum((-2, -1), keepdim=True) / cells.weight.sum((-2, -1), keepdim=True)).nan_to_num(nan=0.0) / 2
    more = unit.expand_as(cells.weight)
    added = Cells(cells.people + more, cells.weight + more, cells.square + more * unit * 2)
    return resampled(added, replicates=replicates, seed=seed).clamp(min=0) + 0.0
