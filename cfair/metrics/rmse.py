"""Root mean squared error."""

import torch
from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average

__all__ = ["rmse"]


def rmse(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """How far predictions typically lie from a real outcome, in its unit; large errors weigh more; 0 when every one is right.

    RMSE = √MSE with MSE = mean(e²), e = y − ŷ; by the delta method the influence is (e² − MSE) / (2·RMSE).

    Args:
        y: outcomes, shape (n,).
        y_hat: predictions, shape (n,).
        weights: of the people, shape (n,); all the same if None.
    """
    mse = average((y - y_hat).square(), weights)
    root = mse.value**0.5
    if root == 0:  # every e is 0, and so is every influence: 0/0 otherwise
        return Measured(0.0, torch.zeros_like(mse.influence), mse.people)
    return Measured(root, mse.influence / (2 * root), mse.people)
