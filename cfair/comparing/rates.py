"""Group constraints: each group's rates, and how far the groups lie apart."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cfair.comparing.people import Division, People
from cfair.comparing.rows import Row
from cfair.constraints import CONSTRAINTS, GROUP_RATES, Cells, count, group_rate, violation
from cfair.metrics import decide

__all__ = ["constraint_rows"]


def constraint_rows(
    people: People, divisions: Iterable[Division], *, constraints: Sequence[str], min_group_size: int
) -> Iterator[tuple[Row, str | None]]:
    """For a binary outcome: each group's rates, and each constraint's difference and ratio among groups of ``min_group_size`` or more.

    Each row comes with the reason why it is undefined, if it is. Nothing where no constraint is named.
    """
    for division in divisions if constraints else ():
        for predictor, y_hat in people.predictions.items():
            cells = count(people.y, decide(y_hat), division.member, len(division.names), people.weights)
            yield from ((row, None) for row in _rate_rows(predictor, division, cells))
            large = cells.people.sum((-2, -1)) >= min_group_size
            names = [name for name, kept in zip(division.names, large.tolist(), strict=True) if kept]
            for constraint in constraints:
                found = violation(CONSTRAINTS[constraint], cells[large], names)
                for form, extent in (("difference", found.difference), ("ratio", found.ratio)):
                    row = Row(predictor=predictor, measure=f"{constraint}_{form}", attribute=division.attribute, value=extent.value)
                    yield replace(row, low=extent.low, high=extent.high, n=found.n), extent.reason


def _rate_rows(predictor: str, division: Division, cells: Cells) -> Iterator[Row]:
    for g, name in enumerate(division.names):
        if cells[g].people.sum() > 0:
            for measure in GROUP_RATES:
                rate = group_rate(measure, cells[g])
                row = Row(predictor=predictor, measure=measure, attribute=division.attribute, group=name, value=rate.value)
                yield replace(row, low=rate.low, high=rate.high, n=rate.n)
