"""Mean squared error of probabilities."""

from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average, indicators

__all__ = ["brier", "brier_of_levels"]


def brier(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """How far the predicted probabilities lie from the outcomes, squared; 0 when each was foretold with certainty, 0.25 at ŷ = 0.5.

    mean (y − ŷ)².

    Args:
        y: binary outcomes, 0 or 1, shape (n,).
        y_hat: probabilities of the second level, shape (n,).
        weights: of the people, shape (n,); all the same if None.

    Source: Brier (1950), Verification of forecasts expressed in terms of probability, for two classes and halved.
    """
    return average((y - y_hat).square(), weights)


def brier_of_levels(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """How far the predicted probabilities of all levels lie from what came, squared; 0 when each was foretold with certainty, 2 at worst.

    mean Σ_c (1{y = c} − ŷ_c)²: the sum over levels, so that of two levels it is twice the binary one.

    Args:
        y: positions of levels, shape (n,).
        y_hat: probabilities of the levels, shape (n, levels).
        weights: of the people, shape (n,); all the same if None.

    Source: Brier (1950), Verification of forecasts expressed in terms of probability, equation 2.
    """
    return average((indicators(y, y_hat.shape[-1]) - y_hat).square().sum(-1), weights)
