"""Means and parts of effects with all that is uncertain about them, in one vector each, so that differences are taken once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

from cfair.effects.contrast import Key
from cfair.effects.monte_carlo import Tally, measured
from cfair.effects.records import Estimate
from cfair.effects.shared import Shared, standard_error

__all__ = ["QUANTILE", "Readings", "exact_readings", "tallied_readings"]

QUANTILE = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Values, people's influences on them, and values at other draws of the parameters.

    Args:
        rows: key -> (1 + n + S,): the value, n influences of mean 0, S values under drawn parameters; n or S may be 0.
        people: of weight above 0 among the n; 0 where nothing was sampled.
        weights: of the drawn parameters, shape (S,), summing to 1.
        certain: whether a value without influences and draws is exact, its parameters being known.
        shared: what the people have in common with the draws, if the parameters were learned from them.
    """

    rows: Mapping[Key, Tensor]
    people: int
    weights: Tensor
    certain: bool
    shared: Shared | None = None

    def estimate(self, row: Tensor) -> Estimate:
        """The value of a row, or of a difference of rows, with its 95 % interval, value ± 1.96 standard errors.

        The error is that over people, with the Monte Carlo error of each person's own draws in it, and that over parameters, combined as
        ``standard_error`` says. Where nothing is sampled and the parameters are known, both ends are the value; where they were learned
        and no draws are at hand, there are no ends.
        """
        influence, value = self.influence(row), float(row[0])
        if not (len(influence) or len(self.weights) or self.certain):
            return Estimate(value)
        error = standard_error(influence, self.people, drawn=self.drawn(row), weights=self.weights, shared=self.shared)
        return Estimate(value, value - QUANTILE * error, value + QUANTILE * error)

    def drawn(self, row: Tensor) -> Tensor:
        """The values under drawn parameters in a row, shape (S,)."""
        return row[len(row) - len(self.weights) :]

    def influence(self, row: Tensor) -> Tensor:
        """The influences in a row, shape (n,)."""
        return row[1 : len(row) - len(self.weights)]


def exact_readings(value: Mapping[Key, float], drawn: Sequence[Mapping[Key, float]], weights: Tensor, *, certain: bool) -> Readings:
    """Exact values, and those under drawn parameters.

    Args:
        value: of each key.
        drawn: the same under each draw.
        weights: of the draws, shape (S,).
        certain: whether the parameters are known.
    """
    rows = {key: torch.tensor([own, *(each[key] for each in drawn)], dtype=torch.float64) for key, own in value.items()}
    return Readings(rows, 0, weights, certain)


def tallied_readings(
    found: Tally,
    people: Tensor | None,
    drawn: Sequence[tuple[Tally, Tensor | None]],
    weights: Tensor,
    *,
    shared: Shared | None = None,
) -> Readings:
    """Means over people, and those over some of them under drawn parameters.

    Args:
        found: what each of n people adds.
        people: their weights, (n,); None: one each.
        drawn: of each draw, what some people add, and their weights.
        weights: of the draws, shape (S,).
        shared: what the people have in common with the draws.
    """
    rows, counted = {}, 0
    for key in found.added:
        own = measured(found, key, people)
        others = torch.tensor([measured(tally, key, some).value for tally, some in drawn], dtype=torch.float64)
        rows[key], counted = torch.cat([torch.tensor([own.value], dtype=torch.float64), own.influence, others]), own.people
    return Readings(rows, counted, weights, certain=True, shared=shared)
