"""Outcomes with several levels: each level against all others, and the mean over levels."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cfair.constraints.base import Cells, Constraint
from cfair.constraints.bootstrap import REPLICATES, resampled
from cfair.constraints.definition import OURS, Definition
from cfair.constraints.pairwise import Range
from cfair.constraints.simultaneous import largest_of
from cfair.constraints.tallies import Tally
from cfair.constraints.violation import Extent, Violation, violation

__all__ = ["count_classes", "levels_of", "macro_rate", "macro_violation", "one_vs_rest"]


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
    others = [k for k in range(counts.shape[-1]) if k != level]
    rest, false = counts[..., others, :][..., others].sum((-2, -1)), counts[..., others, level].sum(-1)
    missed, hit = counts[..., level, others].sum(-1), counts[..., level, level]
    return torch.stack([torch.stack([rest, false], -1), torch.stack([missed, hit], -1)], -2)


def levels_of(cells: Cells) -> Iterator[Cells]:
    """The cells (groups, 2, 2) of each level against all others."""
    for level in range(cells.weight.shape[-1]):
        yield Cells(*(one_vs_rest(each, level) for each in (cells.people, cells.weight, cells.square)))


def macro_rate(rate: Tally, cells: Cells, *, level: float = 0.95, replicates: int = REPLICATES, seed: int = 0) -> Range:
    """The mean over levels of each group's one-vs-rest rate, shape (groups,), all levels alike, as macro recall and precision are.

    NaN where there is nobody to whom that of a level applies. Normal intervals, cut to [0, 1], with the variance of resampled counts, half
    a person added to each cell of the table so that none is without.
    """

    def mean(counts: Tensor) -> Tensor:
        each = [rate(one_vs_rest(counts, k)) for k in range(counts.shape[-1])]
        return torch.stack([successes / trials for successes, trials in each]).mean(0)

    drawn = resampled(_with_more(cells), replicates=replicates, seed=seed)
    scatter = mean(drawn)
    error = (scatter - scatter.nanmean(0)).square().nanmean(0).sqrt()  # over the tables in which every level applies to somebody
    value, margin = mean(cells.weight), largest_of(1, level) * error
    return Range(value, (value - margin).clamp(min=0), (value + margin).clamp(max=1))


def macro_violation(
    constraint: Constraint,
    cells: Cells,
    groups: Sequence[str],
    levels: Sequence[str],
    *,
    level: float = 0.95,
    seed: int = 0,
    definition: Definition = OURS,
) -> Violation:
    """The mean over levels of each one's difference between groups, against all others, and of its ratio; all levels alike.

    A difference of mean rates would not do: every group's selection rates add up to 1. Both ends are the means of the levels' ends, each
    at 1 − α/K (Bonferroni).

    Args:
        constraint: of decisions.
        cells: of shape (groups, K, K).
        groups: the groups' names.
        levels: the outcome's, K of them.
        level: what the intervals should cover.
        seed: of the draws behind simultaneous intervals.
        definition: what is meant by the difference of several groups.
    """
    each = 1 - (1 - level) / len(levels)
    found = [violation(constraint, own, groups, each, seed=seed, definition=definition) for own in levels_of(cells)]
    differences, ratios = [own.difference for own in found], [own.ratio for own in found]
    return Violation(_mean(differences, levels), _mean(ratios, levels), int(cells.people.sum()))


def _mean(extents: Sequence[Extent], levels: Sequence[str]) -> Extent:
    """The mean of values and of ends; undefined where one of them is."""
    for extent, level in zip(extents, levels, strict=True):
        if extent.reason:
            return Extent(None, reason=f"of level '{level}' against all others, {extent.reason}")
    return Extent.of(*torch.tensor([(each.value, each.low, each.high) for each in extents], dtype=torch.float64).mean(0))


def _with_more(cells: Cells) -> Cells:
    """The cells with half a person of each group's mean weight added to each."""
    total = cells.weight.sum((-2, -1), keepdim=True)
    unit = cells.square.sum((-2, -1), keepdim=True) / total.where(total > 0, 1)
    more = torch.where(cells.people.sum((-2, -1), keepdim=True) > 0, 0.5, 0.0)
    return Cells(cells.people + more, cells.weight + more * unit, cells.square + more * unit.square())
