"""Group constraints: each group's rates, and how far the groups lie apart."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfair.comparing.apart import apart_rows
from cfair.comparing.calibrations import calibration_rows
from cfair.comparing.comparison import Comparison
from cfair.comparing.macro import macro_rows
from cfair.comparing.people import Division, People
from cfair.comparing.rows import Row, Said
from cfair.constraints import CONSTRAINTS, GROUP_RATES, Cells, GroupRate, count, group_rate
from cfair.constraints.base import effective
from cfair.constraints.classes import count_classes, levels_of
from cfair.constraints.definition import OURS, Definition
from cfair.constraints.permutation import REPLICATES
from cfair.constraints.rates import APPLIES_TO, error_odds
from cfair.constraints.shrinkage import shrunken
from cfair.metrics import THRESHOLD

__all__ = ["constraint_rows"]

TOO_FEW = "fewer than two groups have people enough"


def constraint_rows(
    people: People,
    divisions: Iterable[Division],
    *,
    constraints: Sequence[str],
    min_group_size: int,
    levels: Sequence[str] = (),
    threshold: float = THRESHOLD,
    definition: Definition = OURS,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Iterator[Said]:
    """For an outcome with levels: each group's rates, raw and shrunken, and how far the groups of ``min_group_size`` or more lie apart.

    Of each constraint: the largest difference and the smallest ratio, each two groups' difference, all with intervals that hold at once,
    and a permutation p-value. Each row comes with the reason why it is undefined, if it is. Nothing where no constraint is named.

    Args:
        people: their predictions are scores, from ``threshold`` on a decision of 1; with several levels, their positions, shape (n,), or
            a probability of each, (n, K), of which the largest decides.
        divisions: of these people.
        constraints: names in ``CONSTRAINTS``.
        min_group_size: people below which a group takes part in no difference.
        levels: of the outcome, where there are more than two: every measure is then given of each level against all others, as
            ``measure[Level]``, and averaged over them, as ``measure[macro]``.
        threshold: of a score.
        definition: what is meant by the difference of several groups.
        replicates: permutations, and tables that are drawn anew.
        seed: of them.
    """
    asked = Comparison(
        constraints=tuple(constraints), min_group_size=min_group_size, definition=definition, replicates=replicates, seed=seed
    )
    for division in divisions if constraints else ():
        for predictor, y_hat in people.predictions.items():
            if len(levels) > 2:
                rows = _class_rows(division, people, y_hat, levels, asked)
            else:
                rows = _rows(division, people, y_hat, threshold, asked)
            yield from ((replace(row, predictor=predictor), reason) for row, reason in rows)


def _rows(division: Division, people: People, y_hat: Tensor, threshold: float, asked: Comparison) -> Iterator[Said]:
    """Of two levels, without the predictor's name."""
    decision = (y_hat >= threshold).double()
    cells = count(people.y, decision, division.member, len(division.names), people.weights)
    yield from _compared(division, cells, asked)
    if "calibration" in asked.constraints:
        yield from calibration_rows(division, people, y_hat, asked)


def _class_rows(division: Division, people: People, y_hat: Tensor, levels: Sequence[str], asked: Comparison) -> Iterator[Said]:
    """Of several levels: each against all others, and their mean."""
    decision = y_hat.argmax(-1) if y_hat.ndim == 2 else y_hat
    cells = count_classes(people.y, decision, division.member, len(division.names), len(levels), people.weights)
    found: list[Said] = []
    for k, (level, own) in enumerate(zip(levels, levels_of(cells), strict=True)):
        rows = list(_compared(division, own, asked))
        if "calibration" in asked.constraints and y_hat.ndim == 2:
            against = People((people.y == k).double(), {}, people.weights)
            rows += calibration_rows(division, against, y_hat[:, k], asked)
        one = f"; outcome 1 is {level}, 0 any other level"
        found += ((replace(row, measure=f"{row.measure}[{level}]"), reason and f"{reason}{one}") for row, reason in rows)
    yield from found
    yield from macro_rows(division, cells, levels, asked, [row for row, _ in found])


def _compared(division: Division, cells: Cells, asked: Comparison) -> Iterator[Said]:
    """The rates of each group, and how far they lie apart under each constraint of decisions."""
    yield from _rate_rows(division, cells)
    yield from ((row, None) for row in _shrunken_rows(division, cells))
    sizes = cells.people.sum((-2, -1))
    large = sizes >= max(asked.min_group_size, 1)
    too_few = large.sum() < 2 <= (sizes > 0).sum()
    names = [name for name, kept in zip(division.names, large.tolist(), strict=True) if kept]
    for name in asked.constraints:
        if CONSTRAINTS[name].of == "decisions":
            rows = apart_rows(CONSTRAINTS[name], cells[large], asked, attribute=division.attribute, names=names)
            yield from ((row, TOO_FEW if too_few else reason) for row, reason in rows)


def _rate_rows(division: Division, cells: Cells) -> Iterator[Said]:
    """Each group's rates; of a group without anybody one row says so."""
    for group, own in zip(division.names, map(cells.__getitem__, range(len(division.names))), strict=True):
        if own.people.sum() == 0:
            row = Row(predictor="", measure="selection_rate", attribute=division.attribute, group=group, value=None, n=0)
            yield row, f"group '{group}' has nobody of weight above 0"
            continue
        for measure in GROUP_RATES:
            rate = group_rate(measure, own)
            yield _rate_row(measure, division, group, rate), f"group '{group}' has no {APPLIES_TO[measure]}" if rate.value is None else None
        odds = error_odds(own)
        reason = f"group '{group}' has no false positives to divide by" if odds.value is None else None
        yield _rate_row("false_negatives_per_false_positive", division, group, odds), reason


def _rate_row(measure: str, division: Division, group: str, rate: GroupRate) -> Row:
    row = Row(predictor="", measure=measure, attribute=division.attribute, group=group, value=rate.value)
    return replace(row, low=rate.low, high=rate.high, n=rate.n)


def _shrunken_rows(division: Division, cells: Cells) -> Iterator[Row]:
    """Each rate of each group that has anybody, drawn towards the others'; nothing of a single group, or where it applies to nobody."""
    present = cells.people.sum((-2, -1)) > 0
    some = cells[present]
    names = [name for name, kept in zip(division.names, present.tolist(), strict=True) if kept]
    counted = {measure: effective(some, tally) for measure, tally in GROUP_RATES.items()}
    measures = [measure for measure, (_, trials) in counted.items() if trials.sum() > 0]
    if len(names) < 2 or not measures:
        return
    successes, trials = (torch.stack([counted[measure][k] for measure in measures]) for k in (0, 1))
    value, low, high = (each.tolist() for each in shrunken(successes, trials))
    for m, measure in enumerate(measures):
        people = GROUP_RATES[measure](some.people)[1].tolist()
        for g, group in enumerate(names):
            rate = GroupRate(value[m][g], low[m][g], high[m][g], int(people[g]))
            yield _rate_row(f"{measure}_shrunken", division, group, rate)
