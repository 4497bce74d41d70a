"""A protected attribute that is a number: as it is, without bins, or in the user's."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from cfair.comparing.people import Division, People
from cfair.comparing.rows import Row, Said
from cfair.errors import QueryError
from cfair.metrics.distance_correlation import REPLICATES, Correlated, distance_correlation, distance_correlation_p

__all__ = ["binned", "continuous_rows"]

BINS = 10  # of an outcome that is a number, within which predictions and attribute are compared
FEW = 10  # values up to which an outcome is compared within each


def continuous_rows(
    people: People, attribute: str, values: Tensor, *, given_outcome: bool = True, replicates: int = REPLICATES, seed: int = 0
) -> Iterator[Said]:
    """Whether predictions depend on the attribute in any way, and whether they do given the outcome, with permutation p-values.

    ``distance_correlation_squared`` is to demographic parity, and ``distance_correlation_within_outcome_squared`` to equalized odds, what
    they are to an attribute without levels: 0 where the constraint holds. Given an outcome that takes many values, people are compared
    within ten bins of it; given one of few, also within each of its values, as ``distance_correlation_squared[y=1]``.

    Args:
        people: their outcomes and predictions.
        attribute: its name.
        values: of the attribute, shape (n,).
        given_outcome: whether to ask that, too.
        replicates: permutations.
        seed: of them.
    """
    stratum, labels = _strata(people.y)
    for predictor, y_hat in people.predictions.items():
        row = Row(predictor=predictor, measure="distance_correlation", attribute=attribute, value=None, n=len(values))
        if people.weights is not None and bool((people.weights != people.weights[0]).any()):
            yield replace(row, measure=f"{row.measure}_squared"), "people have unequal weights, for which there is no unbiased estimate"
            continue
        p = partial(distance_correlation_p, replicates=replicates, seed=seed)
        yield from _both(row, "", distance_correlation(y_hat, values), p(y_hat, values))
        if not given_outcome:
            continue
        within = distance_correlation(y_hat, values, stratum), p(y_hat, values, stratum)
        yield from _both(replace(row, measure=f"{row.measure}_within_outcome"), "", *within)
        for k, label in enumerate(labels):
            some = y_hat[stratum == k], values[stratum == k]
            yield from _both(replace(row, n=len(some[0])), f"[y={label}]", distance_correlation(*some), p(*some))


def binned(attribute: str, values: Tensor, edges: Sequence[float]) -> Division:
    """People divided by the bin of a number: below the first edge, from each edge to below the next one, and from the last one on.

    Args:
        attribute: its name.
        values: shape (n,).
        edges: ascending.

    Raises:
        QueryError: there is no edge, or they do not ascend, or a value is not a number.
    """
    if not edges or not all(map(math.isfinite, edges)) or any(b <= a for a, b in pairwise(edges)):
        raise QueryError("bins", f"the edges of '{attribute}' are not ascending finite numbers", "give for instance [30, 50]")
    if values.isnan().any():
        raise QueryError("bins", f"'{attribute}' has values that are not numbers", "leave such people out")
    names = (f"below {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges)), f"{edges[-1]:g} and more")
    return Division(attribute, names, torch.searchsorted(torch.tensor(edges, dtype=values.dtype), values, right=True))


def _both(row: Row, label: str, found: Correlated, p: float | None) -> Iterator[Said]:
    """The squared correlation and its p-value."""
    reason = "predictions or the attribute do not vary, or there are too few people" if found.value is None else None
    value = replace(row, measure=f"{row.measure}_squared{label}", value=found.value, low=found.low, high=found.high)
    yield value, reason
    yield replace(row, measure=f"{row.measure}_p{label}", value=p), reason


def _strata(y: Tensor) -> tuple[Tensor, list[str]]:
    """Each person's value of the outcome, or its bin of equal count, (n,), and the values in words where they are few."""
    values, place = y.unique(return_inverse=True)
    if len(values) <= FEW:
        return place, [f"{value:g}" for value in values.tolist()]
    ordered = torch.from_numpy(np.sort(y.numpy()))
    middle = torch.searchsorted(ordered, y) + torch.searchsorted(ordered, y, right=True)
    return middle * BINS // (2 * len(y)), []
