"""How deployed predictions move: across the threshold, as a distribution, along a response curve, and of whom most."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from cfair.auditing.crossing import Crossing
from cfair.auditing.kept import Kept
from cfair.auditing.pairs import readings
from cfair.auditing.records import Json
from cfair.comparing import Row, clipped
from cfair.constraints import wilson
from cfair.interfaces import Measured
from cfair.metrics import average, decide, interval, wasserstein
from cfair.weights import effective_size

__all__ = ["moved_most", "moves_rows", "response_rows"]


def moves_rows(kept: Kept, crossing: Crossing, *, decided: Collection[str]) -> Iterator[Row]:
    """Of each ordered pair: the share of people whose decision flips, and the distance between the distributions of predictions.

    A decision is that of the deployed prediction, which in the other world is averaged over draws. The distance is Wasserstein's first,
    between predictions of the same people before and after.

    Args:
        kept: the people.
        crossing: of the protected attributes.
        decided: predictors whose predictions are probabilities of the outcome, and so decide.
    """
    for reading in readings(crossing):
        for name in kept.deployed:
            for pair in reading.moved():
                before, after, weights = kept.moved(name, pair)
                if len(before):
                    row = Row(predictor=name, measure="", attribute=reading.attribute, group=pair.group, world=pair.world, value=None)
                    yield _with_interval(replace(row, measure="wasserstein"), wasserstein(before, after, weights))
                    if name in decided:
                        yield _share(replace(row, measure="flip_rate"), (decide(before) != decide(after)).double(), weights)


def response_rows(kept: Kept, crossing: Crossing) -> Iterator[Row]:
    """Of each attribute that is a number: the mean prediction with everyone at each point, its slope there, and its span.

    A slope is that of each person's curve, by central differences, one-sided at the ends, averaged; a span the largest minus the smallest
    prediction of a person over the points, averaged (``response_span``), and that of the mean curve (``response_span_of_mean``).
    """
    for response in crossing.responses():
        at = torch.tensor(response.points, dtype=torch.float64)
        for name, deployed in kept.deployed.items():
            curves = deployed + kept.shifts[name][response.places]  # (points, m)
            row = Row(predictor=name, measure="response", attribute=response.attribute, value=None)
            for world, level in zip(response.worlds, curves, strict=True):
                yield _with_interval(replace(row, world=world), average(level, kept.weights))
            if len(at) > 1:
                for world, slope in zip(response.worlds, torch.gradient(curves, spacing=(at,), dim=0)[0], strict=True):
                    yield _with_interval(replace(row, measure="response_slope", world=world), average(slope, kept.weights))
            yield _with_interval(replace(row, measure="response_span"), average(curves.amax(0) - curves.amin(0), kept.weights))
            means = torch.stack([(kept.weights * level).sum() for level in curves]) / kept.weights.sum()
            yield replace(row, measure="response_span_of_mean", value=float(means.max() - means.min()), n=len(deployed))


def moved_most(kept: Kept, crossing: Crossing, count: int) -> dict[str, Json]:
    """Predictor -> the people whose deployed prediction changes most in any world: their row in the table, that world, and the change."""
    labels = crossing.labels()
    found: dict[str, Json] = {}
    for name, shifts in kept.shifts.items():
        size, world = shifts.abs().max(0)
        order = size.argsort(descending=True, stable=True)[:count]
        found[name] = [
            {"row": int(kept.rows[i]), "world": labels[int(world[i])], "change": float(shifts[int(world[i]), i])} for i in order.tolist()
        ]
    return found


def _with_interval(row: Row, measured: Measured) -> Row:
    low, high = interval(measured)
    return clipped(replace(row, value=measured.value, low=low, high=high, n=measured.people))


def _share(row: Row, event: Tensor, weights: Tensor) -> Row:
    """The weighted share of people to whom something happens, with Wilson's interval for the effective number of them."""
    share, people = (weights * event).sum() / weights.sum(), torch.tensor(effective_size(weights), dtype=torch.float64)
    low, high = wilson(share * people, people)
    return replace(row, value=float(share), low=float(low), high=float(high), n=len(event))
