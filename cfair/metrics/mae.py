"""Mean absolute error."""

from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average

__all__ = ["mae"]


def mae(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """How far predictions lie from a real outcome on average, in its unit; 0 when every one is right.

    MAE = mean |y − ŷ|.

    Args:
        y: outcomes, shape (n,).
        y_hat: predictions, shape (n,).
        weights: of the people, shape (n,); all the same if None.
    """
    return average((y - y_hat).abs(), weights)
