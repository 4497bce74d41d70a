"""Share of the outcome's variance that predictions account for."""

from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average, need_variation

__all__ = ["r2"]


def r2(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """How much better than the mean of these very people: 1 when every prediction is right, 0 for that mean, negative if worse.

    R² = 1 − MSE / V with MSE = mean(y − ŷ)², V = mean(y − ȳ)²; by the delta method the influence is
    −[(e² − MSE) − (1 − R²)·((y − ȳ)² − V)] / V.

    Args:
        y: outcomes, shape (n,).
        y_hat: predictions, shape (n,).
        weights: of the people, shape (n,); all the same if None.

    Raises:
        QueryError: every outcome is the same.
    """
    need_variation("r2", y, weights)
    center = average(y, weights).value
    mse, variance = average((y - y_hat).square(), weights), average((y - center).square(), weights)
    unexplained = mse.value / variance.value
    return Measured(1 - unexplained, -(mse.influence - unexplained * variance.influence) / variance.value, mse.people)
