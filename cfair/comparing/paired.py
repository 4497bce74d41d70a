"""Whether one predictor is farther from a constraint than another, on the same people."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfair.comparing.accuracy import YARDSTICKS
from cfair.comparing.comparison import Comparison
from cfair.comparing.people import Division, People
from cfair.comparing.rows import Row, Said
from cfair.constraints import CONSTRAINTS, Cells, Constraint
from cfair.constraints.bootstrap import resampled
from cfair.constraints.simultaneous import largest_of
from cfair.metrics import THRESHOLD

__all__ = ["MOST_PREDICTORS", "paired_rows"]

MOST_PREDICTORS = 40  # 2^40 patterns of decisions are still told apart by a whole number
LEAST_SHARE = 0.9  # of resampled tables in which both differences are defined: with fewer there is no interval


def paired_rows(
    people: People,
    divisions: Iterable[Division],
    asked: Comparison,
    *,
    threshold: float = THRESHOLD,
    yardsticks: Sequence[str] = YARDSTICKS,
) -> Iterator[Said]:
    """Each predictor's difference between groups, under each constraint of decisions, less that of a yardstick, as
    ``<constraint>_difference_minus_full``.

    People are counted by group, outcome and the decisions of all predictors together, and these counts are drawn anew: what two predictors
    share leaves the interval. Intervals d ± c·sd hold for all pairs of predictors of one constraint and division at once, with c the
    quantile of the largest |d* − d|/sd over resampled tables (max-t), no smaller than that of one normal variable. Where both predictors'
    groups are equal each difference is at the edge of what it can be, and intervals are approximate.

    Args:
        people: their outcomes, 0 or 1, and each predictor's scores.
        divisions: of these people.
        asked: constraints, the least size of a group, and how many tables are drawn.
        threshold: of a score, from which the decision is 1.
        yardsticks: predictors to which every other is compared, those of them that there are.

    Source: Romano & Wolf (2005), Exact and approximate stepdown methods for multiple hypothesis testing, for the largest of dependent
    statistics.
    """
    names = list(people.predictions)[:MOST_PREDICTORS]
    decisions = torch.stack([people.predictions[name] >= threshold for name in names]).long() if names else torch.zeros(0, len(people.y))
    constraints = [CONSTRAINTS[name] for name in asked.constraints if CONSTRAINTS[name].of == "decisions"]
    if len(names) < 2 or not constraints:
        return
    for division in divisions:
        patterns, joint = _patterns(people, division, decisions, asked.min_group_size)
        if len(patterns) == 0:
            continue
        drawn = torch.cat([joint.weight.unsqueeze(0), resampled(joint, replicates=asked.replicates, seed=asked.seed)])
        cells = [_cells(drawn, patterns, k) for k in range(len(names))]
        for constraint in constraints:
            differences = torch.stack([constraint.difference(each, asked.definition) for each in cells])  # (predictors, 1 + replicates)
            pairs = [(names.index(yardstick), k) for yardstick in yardsticks if yardstick in names for k in range(len(names))]
            pairs = [(a, b) for a, b in pairs if a != b]
            yield from _rows(constraint, division.attribute, names, pairs, differences, int(joint.people.sum())) if pairs else ()


def _patterns(people: People, division: Division, decisions: Tensor, least: int) -> tuple[Tensor, Cells]:
    """The combinations of group, outcome and decisions that occur among groups of ``least`` people or more, (patterns, 2 + predictors), and
    who has each, (patterns,); groups are numbered anew.
    """
    weights = torch.ones(len(people.y), dtype=torch.float64) if people.weights is None else people.weights
    sizes = torch.bincount(division.member[weights > 0], minlength=len(division.names))
    kept = (sizes[division.member] >= max(least, 1)) & (weights > 0)
    if not kept.any():
        return torch.zeros(0, 2), Cells.of(torch.zeros(0))
    group = division.member[kept].unique(return_inverse=True)[1]
    key = group * 2 + people.y[kept].long()
    for decision in decisions:
        key = key * 2 + decision[kept]
    _, first, place = _unique(key)
    rows = torch.cat([group.unsqueeze(0), people.y[kept].long().unsqueeze(0), decisions[:, kept]]).T[first]
    own = weights[kept]
    sums = [torch.bincount(place, weights=each, minlength=len(rows)) for each in (torch.ones_like(own), own, own.square())]
    return rows, Cells(*sums)


def _unique(key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct keys, the position at which each one is found, and each key's place among them."""
    values, place = key.unique(return_inverse=True)
    return values, torch.empty(len(values), dtype=torch.int64).scatter_(0, place, torch.arange(len(key))), place


def _cells(drawn: Tensor, patterns: Tensor, predictor: int) -> Tensor:
    """One predictor's counts, (tables, groups, 2, 2), of the joint ones (tables, patterns)."""
    groups = int(patterns[:, 0].max()) + 1
    cell = patterns[:, 0] * 4 + patterns[:, 1] * 2 + patterns[:, 2 + predictor]
    return torch.zeros(len(drawn), groups * 4, dtype=drawn.dtype).index_add(1, cell, drawn).reshape(-1, groups, 2, 2)


def _rows(
    constraint: Constraint, attribute: str, names: Sequence[str], pairs: Sequence[tuple[int, int]], differences: Tensor, n: int
) -> Iterator[Said]:
    apart = torch.stack([differences[b] - differences[a] for a, b in pairs])  # (pairs, 1 + replicates)
    value, drawn = apart[:, 0], apart[:, 1:]
    known = drawn.isfinite().double().mean(-1) >= LEAST_SHARE
    centred = (drawn - value.unsqueeze(-1)).nan_to_num(nan=0.0)
    spread = (centred.square().sum(-1) / drawn.isfinite().sum(-1).clamp(min=1)).sqrt()
    moving = known & ~value.isnan() & (spread > 0)
    studentised = centred[moving].abs() / spread[moving].unsqueeze(-1)
    critical = max(largest_of(1), torch.quantile(studentised.amax(0), 0.95).item()) if moving.any() else 0.0
    for k, (a, b) in enumerate(pairs):
        less, margin = value[k].item(), critical * spread[k].item()
        row = Row(predictor=names[b], measure=f"{constraint.name}_difference_minus_{names[a]}", attribute=attribute, value=None, n=n)
        if known[k]:
            yield replace(row, value=less, low=less - margin, high=less + margin), None
        elif less == less:  # not NaN: too few to say how far it would scatter
            yield replace(row, value=less), None
        else:
            yield row, f"a group has no {' or no '.join(constraint.strata)} under one of the two"
