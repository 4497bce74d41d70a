"""Who fares worst, and how errors are spread within each group."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from cfair.comparing.people import Division, People
from cfair.comparing.ranges import clipped
from cfair.comparing.rows import Row, Said
from cfair.constraints import wilson
from cfair.metrics import METRICS, defined, interval
from cfair.weights import effective_size

__all__ = ["loss_rows"]

QUANTILES = (0.5, 0.9)
ROUNDING = 1e-9  # of a share of the weight


def loss_rows(people: People, divisions: Iterable[Division], loss: str, *, min_group_size: int) -> Iterator[Said]:
    """The loss of the group of ``min_group_size`` or more where it is largest, and quantiles of the absolute error |y − ŷ| of each group.

    ``<loss>_worst_group`` has an interval that holds for all groups at once: between their largest lower end and their largest upper end.
    ``absolute_error_q50`` and ``_q90`` have those of order statistics.

    Args:
        people: their outcomes and predictions in the same unit.
        divisions: of these people.
        loss: a name in METRICS, of which less is better.
        min_group_size: people below which a group is not the worst.
    """
    for division in divisions:
        for predictor in people.predictions:
            counted = torch.ones_like(division.member, dtype=torch.bool) if people.weights is None else people.weights > 0
            each = {name: people.take(counted & (division.member == g)) for g, name in enumerate(division.names)}
            large = [own for own in each.values() if len(own.y) >= max(min_group_size, 2)]
            yield _worst(Row(predictor=predictor, measure=f"{loss}_worst_group", attribute=division.attribute, value=None), large, loss)
            for name, own in each.items():
                if len(own.y):
                    row = Row(predictor=predictor, measure="absolute_error", attribute=division.attribute, group=name, value=None)
                    yield from ((found, None) for found in _spread(replace(row, n=len(own.y)), own))


def _worst(row: Row, groups: list[People], loss: str) -> Said:
    known = [own for own in groups if defined(loss, own.y, own.weights)]
    if not known:
        return row, "no group has people enough"
    found = [METRICS[loss](own.y, own.predictions[row.predictor], own.weights) for own in known]
    ends = [interval(each, 0.95 ** (1 / len(found))) for each in found]
    low, high = (max(end for end in side if end is not None) for side in zip(*ends, strict=True))
    worst = max(found, key=lambda each: each.value)
    return clipped(replace(row, value=worst.value, low=low, high=high, n=worst.people)), None


def _spread(row: Row, people: People) -> Iterator[Row]:
    """Quantiles of the absolute error with the interval of order statistics, their ranks by Wilson."""
    errors, order = (people.y - people.predictions[row.predictor]).abs().sort()
    weights = torch.ones_like(errors) if people.weights is None else people.weights[order]
    size = torch.tensor(effective_size(weights), dtype=torch.float64)
    for share in QUANTILES:
        low, high = wilson(size * share, size)
        ends = (_quantile(errors, weights, float(each)) for each in (share, low, high))
        value, below, above = ends
        yield replace(row, measure=f"{row.measure}_q{share * 100:.0f}", value=value, low=below, high=above)


def _quantile(ordered: Tensor, weights: Tensor, share: float) -> float:
    """The smallest value up to which a share of the weight lies."""
    reached = weights.cumsum(0) / weights.sum()
    return float(ordered[int(torch.searchsorted(reached, share - ROUNDING).clamp(max=len(ordered) - 1))])
