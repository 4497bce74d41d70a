"""Share of right decisions."""

from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average, decide, decide_level

__all__ = ["accuracy", "accuracy_of_levels"]


def accuracy(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """The share of people whose decision, ŷ ≥ 0.5, is their outcome; 1 when every one is right.

    Args:
        y: binary outcomes, 0 or 1, shape (n,).
        y_hat: probabilities of the second level, shape (n,).
        weights: of the people, shape (n,); all the same if None.
    """
    return average((decide(y_hat) == y).to(y_hat.dtype), weights)


def accuracy_of_levels(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """The share of people whose likeliest level is their outcome; 1 when every one is right.

    Args:
        y: positions of levels, shape (n,).
        y_hat: probabilities of the levels, shape (n, levels).
        weights: of the people, shape (n,); all the same if None.
    """
    return average((decide_level(y_hat) == y).to(y_hat.dtype), weights)
