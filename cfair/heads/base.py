"""What the heads share: coefficients in the features' own units, and features standardised while learning."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Self, TypeAlias

import torch
from torch import Tensor, nn

from cfair.errors import FitError, QueryError
from cfair.families import Kind

__all__ = ["Batches", "LinearHead", "Standard", "standard_of"]

Batches: TypeAlias = Iterable[tuple[Tensor, Tensor]]  # features (m, k) and outcomes (m,), walked as often as needed

CONSTANT = 1e-12  # range over size of a column that is constant but for rounding: scaled up, rounding would pass for a feature


class LinearHead(nn.Module, ABC):
    """s = b + Σ_j w_j·x_j: what a linear head knows is ``intercept`` b, shape (), and ``coefficients`` w, shape (k,), in raw units.

    Args:
        inputs: number of features k; 0 is allowed, and then everyone gets the same prediction.
    """

    kinds: ClassVar[frozenset[Kind]]  # of outcome
    intercept: Tensor
    coefficients: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("intercept", torch.tensor(torch.nan, dtype=torch.float64))  # until it is fitted
        self.register_buffer("coefficients", torch.zeros(inputs, dtype=torch.float64))

    @abstractmethod
    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k) and outcomes (m,)."""

    @abstractmethod
    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to predictions (...)."""

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
        n: rows.
        mean: shape (k + 1,).
        scale: standard deviations, infinite where a column is constant, so that it becomes 0 to the last bit; shape (k + 1,).
    """

    n: int
    mean: Tensor
    scale: Tensor

    def apply(self, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch that has rows: features standardised, shape (m, k), and the outcome as it is, shape (m,)."""
        return (((features - self.mean[:-1]) / self.scale[:-1], outcome) for features, outcome in batches if len(outcome))


def standard_of(batches: Batches, where: str) -> Standard:
    """Means and standard deviations over all batches, merged batch by batch: exact where a sum of squares would cancel.

    Raises:
        FitError: there are no rows, a value is infinite or NaN, or the batches can be walked once only; ``where`` says for whom.

    Source: Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, the merging of two samples.
    """
    if iter(batches) is batches:
        raise FitError(where, "the batches can be walked once only", "give a list, or an object that starts again")
    n, mean, square, low, high = 0, torch.zeros(()), torch.zeros(()), torch.tensor(torch.inf), torch.tensor(-torch.inf)
    for features, outcome in batches:
        if m := len(outcome):
            rows = torch.cat([features, outcome[:, None]], -1)
            apart = rows.mean(0) - mean
            square = square + (rows - rows.mean(0)).square().sum(0) + apart.square() * (n * m / (n + m))
            mean = mean + apart * (m / (n + m))
            low, high, n = torch.minimum(low, rows.amin(0)), torch.maximum(high, rows.amax(0)), n + m
    if not n:
        raise FitError(where, "there are no rows to learn from", "give at least one row")
    if not square.isfinite().all():
        raise FitError(where, "a feature or the outcome is infinite or not a number", "look at what the predictor sees")
    constant = high - low <= CONSTANT * torch.maximum(high.abs(), low.abs())
    return Standard(n, mean, torch.where(constant, torch.inf, (square / n).sqrt()))
