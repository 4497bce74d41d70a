"""How deployed predictions move: across the threshold, as a distribution, along a response curve, and of whom most."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfair.auditing.crossing import Crossing, Grouping, Response
from cfair.auditing.kept import Kept
from cfair.auditing.pairs import readings
from cfair.auditing.records import Json
from cfair.comparing import Row, clipped
from cfair.constraints import wilson
from cfair.interfaces import Measured
from cfair.metrics import average, decide, decide_level, interval, wasserstein
from cfair.weights import effective_size

__all__ = ["moved_most", "moves_rows", "response_rows"]


def moves_rows(kept: Kept, crossing: Crossing, *, decided: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    """Of each ordered pair: the share of people whose decision flips, and the distance between the distributions of predictions.

    A decision is that of the deployed prediction, which in the other world is averaged over draws. The distance is Wasserstein's first,
    between predictions of the same people before and after.

    Args:
        kept: the people.
        crossing: of the protected attributes.
        decided: predictor whose predictions are probabilities of the outcome, and so decide -> under which names these are kept: its
            own, or that of each class, the likeliest of which is the decision.
    """
    for reading in readings(crossing):
        for name in kept.deployed:
            for pair in reading.moved():
                before, after, weights = kept.moved(name, pair)
                if len(before):
                    row = Row(
                        predictor=name, measure="wasserstein", attribute=reading.attribute, group=pair.group, world=pair.world, value=None
                    )
                    yield _with_interval(row, wasserstein(before, after, weights))
        for name, series in decided.items():
            yield from _flips(kept, reading, name, series)


def _flips(kept: Kept, reading: Grouping | Response, name: str, series: Sequence[str]) -> Iterator[Row]:
    """Of one predictor, the share of people whose decision flips, for each pair."""
    for pair in reading.moved():
        found = [kept.moved(each, pair) for each in series]
        before, after = (_decisions([each[place] for each in found]) for place in (0, 1))
        if len(before):
            row = Row(predictor=name, measure="flip_rate", attribute=reading.attribute, group=pair.group, world=pair.world, value=None)
            yield _share(row, (before != after).double(), found[0][2])


def _decisions(predictions: Sequence[Tensor]) -> Tensor:
    """What is decided for each person, (k,), by the probability of one level, (k,), or by those of all of several."""
    return decide(predictions[0]) if len(predictions) == 1 else decide_level(torch.stack(list(predictions), -1))


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


def moved_most(kept: Kept, crossing: Crossing, count: int, *, series: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    """Predictor -> the people whose deployed prediction changes most in any world: their row in the table, that world, and the change.

    Args:
        kept: the people.
        crossing: of the protected attributes.
        count: how many people.
        series: predictor -> under which names its predictions are kept; of several classes the change is the total variation distance.
    """
    labels = crossing.labels()
    found: dict[str, Json] = {}
    for name, own in series.items():
        shifts = torch.stack([kept.shifts[each] for each in own], -1)  # (worlds, m, classes)
        changes = shifts.squeeze(-1) if len(own) == 1 else shifts.abs().sum(-1) / 2
        size, world = changes.abs().max(0)
        order = size.argsort(descending=True, stable=True)[:count]
        found[name] = [
            {"row": int(kept.rows[i]), "world": labels[int(world[i])], "change": float(changes[int(world[i]), i])} for i in order.tolist()
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
