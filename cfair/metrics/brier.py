"""Mean squared error of a probability."""

from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average

__all__ = ["brier"]


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
