"""Accuracy of predictions, overall and by group."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfair.comparing.people import Division, People
from cfair.comparing.ranges import clipped
from cfair.comparing.rows import Row
from cfair.constraints import wilson
from cfair.families import DISCRETE, Kind
from cfair.interfaces import Measured
from cfair.metrics import defined, difference, interval, measure
from cfair.metrics.base import average
from cfair.weights import effective_size

__all__ = ["group_metrics", "group_rows", "overall_rows"]

SHARES = ("accuracy",)  # metrics that are the share of people of whom something holds
YARDSTICKS = ("full", "constant")  # predictors to which every other is compared, person by person


def overall_rows(people: People, metrics: Sequence[str], *, yardsticks: Sequence[str] = YARDSTICKS) -> Iterator[Row]:
    """Each metric of each predictor on all people, and its paired difference to the yardsticks, those of them that there are."""
    y, weights = people.y, people.weights
    for metric in metrics:
        if not defined(metric, y, weights):
            yield from (Row(predictor=name, measure=metric, value=None, n=len(y)) for name in people.predictions)
            continue
        measured = {name: measure(metric, y, y_hat, weights) for name, y_hat in people.predictions.items()}
        for name, own in measured.items():
            yield _row(Row(predictor=name, measure=metric, value=own.value), own, weights)
            for yardstick in yardsticks:
                if yardstick in measured and yardstick != name:
                    apart = difference(own, measured[yardstick])
                    yield _row(Row(predictor=name, measure=f"{metric}_minus_{yardstick}", value=apart.value), apart, weights)


def group_rows(people: People, divisions: Iterable[Division], metrics: Sequence[str], *, residuals: bool = True) -> Iterator[Row]:
    """Mean prediction, mean residual y − ŷ unless predictions have another unit, and metrics of each group that has anybody.

    Of probabilities of several levels, metrics only: means are those of each level against the rest.
    """
    for division in divisions:
        for g, name in enumerate(division.names):
            if (division.member == g).any():
                own = people.take(division.member == g)
                for predictor, name_of, measured in _measured(own, metrics, residuals=residuals):
                    row = Row(predictor=predictor, measure=name_of, attribute=division.attribute, group=name, value=measured.value)
                    yield _row(row, measured, own.weights)


def _measured(people: People, metrics: Sequence[str], *, residuals: bool) -> Iterator[tuple[str, str, Measured]]:
    """What is said of each predictor in a group: predictor, measure, and its value with its influence."""
    y, weights = people.y, people.weights
    for predictor, y_hat in people.predictions.items():
        if y_hat.ndim == 1:
            yield predictor, "mean_prediction", average(y_hat, weights)
        if residuals and y_hat.ndim == 1:
            yield predictor, "mean_residual", average(y - y_hat, weights)
        yield from ((predictor, metric, measure(metric, y, y_hat, weights)) for metric in metrics if defined(metric, y, weights))


def group_metrics(kind: Kind) -> tuple[str, ...]:
    """The metrics reported by group."""
    return ("accuracy", "brier") if kind in DISCRETE else ("rmse",)


def _row(row: Row, measured: Measured, weights: Tensor | None) -> Row:
    """The row with its interval: a share's is Wilson's, with the effective number of people."""
    low, high = _share_interval(measured, weights) if row.measure in SHARES else interval(measured)
    return clipped(replace(row, low=low, high=high, n=measured.people))


def _share_interval(measured: Measured, weights: Tensor | None) -> tuple[float, float]:
    count = torch.tensor(float(measured.people) if weights is None else effective_size(weights), dtype=torch.float64)
    low, high = wilson(measured.value * count, count)
    return low.item(), high.item()
