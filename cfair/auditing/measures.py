"""Accuracy of predictions, overall and by group, and group constraints beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from cfair.auditing.crossing import Crossing, Grouping
from cfair.auditing.ranges import clipped
from cfair.auditing.records import Row
from cfair.constraints import CONSTRAINTS, GROUP_RATES, count, group_rate, violation
from cfair.families import Kind
from cfair.interfaces import Measured
from cfair.metrics import METRICS, decide, defined, difference, interval
from cfair.metrics.base import average

__all__ = ["constraint_rows", "group_metrics", "group_rows", "overall_rows"]

YARDSTICKS = ("full", "constant")  # predictors to which every other is compared, person by person


def overall_rows(y: Tensor, predictions: Mapping[str, Tensor], metrics: Sequence[str]) -> Iterator[Row]:
    """Each metric of each predictor on all people, and its paired difference to the yardsticks."""
    for metric in metrics:
        if not defined(metric, y):
            yield from (Row(predictor=name, measure=metric, value=None, n=len(y)) for name in predictions)
            continue
        measured = {name: METRICS[metric](y, y_hat) for name, y_hat in predictions.items()}
        for name, own in measured.items():
            yield _row(name, metric, own)
            for yardstick in YARDSTICKS:
                if yardstick in measured and yardstick != name:
                    yield _row(name, f"{metric}_minus_{yardstick}", difference(own, measured[yardstick]))


def group_rows(y: Tensor, predictions: Mapping[str, Tensor], group: Tensor, crossing: Crossing, metrics: Sequence[str]) -> Iterator[Row]:
    """Mean prediction, mean residual y − ŷ, and metrics of each group that has anybody."""
    for reading in crossing.readings():
        member = reading.member[group]
        for g, name in enumerate(reading.names):
            people = member == g
            if people.any():
                for predictor, y_hat in predictions.items():
                    mine, theirs = y[people], y_hat[people]
                    measured = {"mean_prediction": average(theirs), "mean_residual": average(mine - theirs)}
                    measured |= {metric: METRICS[metric](mine, theirs) for metric in metrics if defined(metric, mine)}
                    yield from (_row(predictor, measure, value, reading.attribute, name) for measure, value in measured.items())


def constraint_rows(
    y: Tensor, predictions: Mapping[str, Tensor], group: Tensor, crossing: Crossing, *, constraints: Sequence[str], min_group_size: int
) -> Iterator[tuple[Row, str | None]]:
    """For a binary outcome: each group's rates, and each constraint's difference and ratio among groups of ``min_group_size`` or more.

    Each row comes with the reason why it is undefined, if it is. Nothing where no constraint is named.
    """
    for reading in crossing.readings() if constraints else ():
        member = reading.member[group]
        for predictor, y_hat in predictions.items():
            counts = count(y, decide(y_hat), member, len(reading.names))
            yield from ((row, None) for row in _rate_rows(predictor, reading, counts))
            large = counts.sum((-2, -1)) >= min_group_size
            names = [name for name, kept in zip(reading.names, large.tolist(), strict=True) if kept]
            for constraint in constraints:
                found = violation(CONSTRAINTS[constraint], counts[large], names)
                for form, extent in (("difference", found.difference), ("ratio", found.ratio)):
                    row = Row(predictor=predictor, measure=f"{constraint}_{form}", attribute=reading.attribute, value=extent.value)
                    yield replace(row, low=extent.low, high=extent.high, n=found.n), extent.reason


def group_metrics(kind: Kind) -> tuple[str, ...]:
    """The metrics reported by group."""
    return ("accuracy", "brier") if kind == "binary" else ("rmse",)


def _rate_rows(predictor: str, reading: Grouping, counts: Tensor) -> Iterator[Row]:
    for g, name in enumerate(reading.names):
        if counts[g].sum() > 0:
            for measure in GROUP_RATES:
                rate = group_rate(measure, counts[g])
                row = Row(predictor=predictor, measure=measure, attribute=reading.attribute, group=name, value=rate.value)
                yield replace(row, low=rate.low, high=rate.high, n=rate.n)


def _row(predictor: str, measure: str, measured: Measured, attribute: str | None = None, group: str | None = None) -> Row:
    low, high = interval(measured)
    row = Row(predictor=predictor, measure=measure, attribute=attribute, group=group, value=measured.value)
    return clipped(replace(row, low=low, high=high, n=len(measured.influence)))
