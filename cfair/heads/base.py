"""What the heads share: coefficients in the features' own units, and features standardised while learning."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import ClassVar, NamedTuple, Self, TypeAlias

import torch
from torch import Tensor, nn

from cfair.errors import FitError, QueryError
from cfair.families import Kind

__all__ = ["Batch", "Batches", "Head", "LinearHead", "Standard", "counted", "standard_of"]

# features (m, k), outcomes (m,) and, where rows do not all weigh the same, their weights (m,); walked as often as needed
Batches: TypeAlias = Iterable[tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]]

CONSTANT = 1e-12  # range over size of a column that is constant but for rounding: scaled up, rounding would pass for a feature


class Batch(NamedTuple):
    """Rows that count: features (m, k), outcomes (m,) and weights above 0, (m,)."""

    features: Tensor
    outcome: Tensor
    weights: Tensor


class Head(nn.Module, ABC):
    """From features to predictions: all that was learned is in its buffers.

    Args:
        inputs: number of features k; 0 is allowed, and then everyone gets the same prediction.
        levels: of the outcome; a head of numbers does not ask.
    """

    kinds: ClassVar[frozenset[Kind]]  # of outcome
    monotone: ClassVar[bool] = False  # whether a prediction moves one way only as one feature grows

    def __init__(self, inputs: int, levels: int = 2) -> None:
        super().__init__()
        self.inputs, self.levels = inputs, levels

    @property
    def span(self) -> tuple[float, float]:
        """Two numbers between which every prediction lies."""
        return -inf, inf

    @abstractmethod
    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k), outcomes (m,) and, if they have any, weights (m,), of which only the ratios count."""

    @abstractmethod
    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to predictions (...), or (..., levels) of an outcome that is a category or ordinal."""

    @abstractmethod
    def score(self, features: Tensor) -> Tensor:
        """Features (..., k) to what predictions are made of, of their shape: a person's is the same bits in any batch."""


class LinearHead(Head):
    """s = b + Σ_j w_j·x_j: what a linear head knows is ``intercept`` b, shape (), and ``coefficients`` w, shape (k,), in raw units.

    Args:
        inputs: number of features k; 0 is allowed, and then everyone gets the same prediction.
        levels: as of ``Head``.
    """

    monotone: ClassVar[bool] = True
    intercept: Tensor
    coefficients: Tensor

    def __init__(self, inputs: int, levels: int = 2) -> None:
        super().__init__(inputs, levels)
        self.register_buffer("intercept", torch.tensor(torch.nan, dtype=torch.float64))  # until it is fitted
        self.register_buffer("coefficients", torch.zeros(inputs, dtype=torch.float64))

    def score(self, features: Tensor) -> Tensor:
        """The s of features (..., k), shape (...); added up feature by feature, so that a person's is the same bits in any batch."""
        if self.intercept.isnan():
            raise QueryError("head", "it has not been fitted", "call fit first")
        score = self.intercept.expand(features.shape[:-1]).clone()
        for feature, coefficient in zip(features.unbind(-1), self.coefficients, strict=True):
            score += feature * coefficient
        return score

    def hold(self, intercept: Tensor, coefficients: Tensor, standard: "Standard") -> Self:
        """Keep what was learned on standardised features, in the features' own units."""
        raw = coefficients / standard.scale[:-1]
        self.coefficients.copy_(raw)
        self.intercept.copy_(intercept - (raw * standard.mean[:-1]).sum())
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """Location and scale of the features and, last, of the outcome.

    Args:
        n: rows of weight above 0.
        total: their weight.
        mean: shape (k + 1,).
        scale: standard deviations, infinite where a column is constant, so that it becomes 0 to the last bit; shape (k + 1,).
    """

    n: int
    total: float
    mean: Tensor
    scale: Tensor

    def apply(self, batches: Batches) -> Iterator[Batch]:
        """Each batch that has rows: features standardised, the outcome as it is, weights of mean 1 over all batches."""
        unit = self.n / self.total
        return (Batch((x - self.mean[:-1]) / self.scale[:-1], y, weights * unit) for x, y, weights in map(counted, batches) if len(y))


def standard_of(batches: Batches, where: str) -> Standard:
    """Weighted means and standard deviations over all batches, merged batch by batch: exact where a sum of squares would cancel.

    Raises:
        FitError: there are no rows of weight above 0, a value is infinite or NaN, or the batches can be walked once only; ``where`` says
            for whom.

    Source: Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, the merging of two samples.
    """
    if iter(batches) is batches:
        raise FitError(where, "the batches can be walked once only", "give a list, or an object that starts again")
    n, total, mean, square, low, high = 0, 0.0, torch.zeros(()), torch.zeros(()), torch.tensor(torch.inf), torch.tensor(-torch.inf)
    for features, outcome, weights in map(counted, batches):
        if m := len(outcome):
            rows, own = torch.cat([features, outcome[:, None]], -1), weights.sum().item()
            center = weights @ rows / own
            apart = center - mean
            square = square + weights @ (rows - center).square() + apart.square() * (total * own / (total + own))
            mean = mean + apart * (own / (total + own))
            low, high = torch.minimum(low, rows.amin(0)), torch.maximum(high, rows.amax(0))
            n, total = n + m, total + own
    if not n:
        raise FitError(where, "there are no rows to learn from", "give at least one row")
    if not square.isfinite().all():
        raise FitError(where, "a feature or the outcome is infinite or not a number", "look at what the predictor sees")
    constant = high - low <= CONSTANT * torch.maximum(high.abs(), low.abs())
    return Standard(n, total, mean, torch.where(constant, torch.inf, (square / total).sqrt()))


def counted(batch: tuple[Tensor, ...]) -> Batch:
    """The rows of weight above 0 of a batch, each of weight 1 where none are given."""
    features, outcome, *given = batch
    if not given:
        return Batch(features, outcome, torch.ones_like(outcome))
    (weights,) = given
    counts = weights > 0
    return Batch(features, outcome, weights) if counts.all() else Batch(features[counts], outcome[counts], weights[counts])
