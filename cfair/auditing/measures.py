"""Accuracy of predictions, overall and by group, and group constraints beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cfair.auditing.crossing import Crossing, Grouping
from cfair.auditing.ranges import clipped
from cfair.auditing.records import Row
from cfair.constraints import CONSTRAINTS, GROUP_RATES, Cells, count, group_rate, violation, wilson
from cfair.families import Kind
from cfair.interfaces import Measured
from cfair.metrics import METRICS, decide, defined, difference, interval
from cfair.metrics.base import average
from cfair.weights import effective_size

__all__ = ["Audited", "constraint_rows", "group_metrics", "group_rows", "overall_rows"]

SHARES = ("accuracy",)  # metrics that are the share of people of whom something holds
YARDSTICKS = ("full", "constant")  # predictors to which every other is compared, person by person


@dataclass(frozen=True, slots=True, eq=False)
class Audited:
    """The people of an audit and what is predicted of them.

    Args:
        y: their outcomes, shape (n,).
        predictions: predictor -> its deployed predictions, (n,).
        group: each one's crossed group, shape (n,), int64.
        weights: above 0, shape (n,); None: all weigh the same.
    """

    y: Tensor
    predictions: Mapping[str, Tensor]
    group: Tensor
    weights: Tensor | None = None

    def take(self, people: Tensor) -> "Audited":
        """Some people only, shape (n,), bool."""
        predictions = {name: y_hat[people] for name, y_hat in self.predictions.items()}
        weights = None if self.weights is None else self.weights[people]
        return Audited(self.y[people], predictions, self.group[people], weights)


def overall_rows(audited: Audited, metrics: Sequence[str]) -> Iterator[Row]:
    """Each metric of each predictor on all people, and its paired difference to the yardsticks."""
    y, weights = audited.y, audited.weights
    for metric in metrics:
        if not defined(metric, y, weights):
            yield from (Row(predictor=name, measure=metric, value=None, n=len(y)) for name in audited.predictions)
            continue
        measured = {name: METRICS[metric](y, y_hat, weights) for name, y_hat in audited.predictions.items()}
        for name, own in measured.items():
            yield _row(Row(predictor=name, measure=metric, value=own.value), own, weights)
            for yardstick in YARDSTICKS:
                if yardstick in measured and yardstick != name:
                    apart = difference(own, measured[yardstick])
                    yield _row(Row(predictor=name, measure=f"{metric}_minus_{yardstick}", value=apart.value), apart, weights)


def group_rows(audited: Audited, crossing: Crossing, metrics: Sequence[str], *, residuals: bool = True) -> Iterator[Row]:
    """Mean prediction, mean residual y − ŷ unless predictions have another unit, and metrics of each group that has anybody."""
    for reading in crossing.readings():
        member = reading.member[audited.group]
        for g, name in enumerate(reading.names):
            if (member == g).any():
                own = audited.take(member == g)
                for predictor, measure, measured in _measured(own, metrics, residuals=residuals):
                    row = Row(predictor=predictor, measure=measure, attribute=reading.attribute, group=name, value=measured.value)
                    yield _row(row, measured, own.weights)


def _measured(audited: Audited, metrics: Sequence[str], *, residuals: bool) -> Iterator[tuple[str, str, Measured]]:
    """What is said of each predictor in a group: predictor, measure, and its value with its influence."""
    y, weights = audited.y, audited.weights
    for predictor, y_hat in audited.predictions.items():
        yield predictor, "mean_prediction", average(y_hat, weights)
        if residuals:
            yield predictor, "mean_residual", average(y - y_hat, weights)
        yield from ((predictor, metric, METRICS[metric](y, y_hat, weights)) for metric in metrics if defined(metric, y, weights))


def constraint_rows(
    audited: Audited, crossing: Crossing, *, constraints: Sequence[str], min_group_size: int
) -> Iterator[tuple[Row, str | None]]:
    """For a binary outcome: each group's rates, and each constraint's difference and ratio among groups of ``min_group_size`` or more.

    Each row comes with the reason why it is undefined, if it is. Nothing where no constraint is named.
    """
    for reading in crossing.readings() if constraints else ():
        member = reading.member[audited.group]
        for predictor, y_hat in audited.predictions.items():
            cells = count(audited.y, decide(y_hat), member, len(reading.names), audited.weights)
            yield from ((row, None) for row in _rate_rows(predictor, reading, cells))
            large = cells.people.sum((-2, -1)) >= min_group_size
            names = [name for name, kept in zip(reading.names, large.tolist(), strict=True) if kept]
            for constraint in constraints:
                found = violation(CONSTRAINTS[constraint], cells[large], names)
                for form, extent in (("difference", found.difference), ("ratio", found.ratio)):
                    row = Row(predictor=predictor, measure=f"{constraint}_{form}", attribute=reading.attribute, value=extent.value)
                    yield replace(row, low=extent.low, high=extent.high, n=found.n), extent.reason


def group_metrics(kind: Kind) -> tuple[str, ...]:
    """The metrics reported by group."""
    return ("accuracy", "brier") if kind == "binary" else ("rmse",)


def _rate_rows(predictor: str, reading: Grouping, cells: Cells) -> Iterator[Row]:
    for g, name in enumerate(reading.names):
        if cells[g].people.sum() > 0:
            for measure in GROUP_RATES:
                rate = group_rate(measure, cells[g])
                row = Row(predictor=predictor, measure=measure, attribute=reading.attribute, group=name, value=rate.value)
                yield replace(row, low=rate.low, high=rate.high, n=rate.n)


def _row(row: Row, measured: Measured, weights: Tensor | None) -> Row:
    """The row with its interval: a share's is Wilson's, with the effective number of people."""
    low, high = _share_interval(measured, weights) if row.measure in SHARES else interval(measured)
    return clipped(replace(row, low=low, high=high, n=measured.people))


def _share_interval(measured: Measured, weights: Tensor | None) -> tuple[float, float]:
    people = torch.tensor(float(measured.people) if weights is None else effective_size(weights), dtype=torch.float64)
    low, high = wilson(measured.value * people, people)
    return low.item(), high.item()
