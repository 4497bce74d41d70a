"""All rows at once, whatever batches and order they came in: for heads that cannot be learned walk by walk."""

import numpy as np
import torch
from torch import Tensor

from cfair.heads.base import Batch, Batches, Standard

__all__ = ["CLOSE", "STEPS", "centred", "signs_of", "sorted_rows"]

STEPS, CLOSE = 100, 1e-13  # of Newton's method for the intercept, and how near to the mean outcome it ends


def sorted_rows(batches: Batches, standard: Standard, signs: Tensor) -> Batch:
    """All rows of weight above 0 in an order of their own: by features, then outcome, then weight, whatever order they came in.

    Features are as they are, and sorted by as they are learned from. Weights have mean 1, rounded so that their unit leaves no trace.
    """
    whole = [(*rows, *(() if len(rows) == 3 else (torch.ones_like(rows[1]),))) for rows in batches]
    x, y, weights = (torch.cat([part[i] for part in whole]) for i in range(3))
    counts = weights > 0
    x, y, weights = x[counts], y[counts], (weights[counts] * (standard.n / standard.total)).float().double()
    order = torch.from_numpy(np.lexsort((weights.numpy(), y.numpy(), *(x * signs).T.numpy())))
    return Batch(x[order], y[order], weights[order])


def signs_of(batches: Batches, standard: Standard) -> Tensor:
    """-1 for each feature that falls as the outcome rises, else 1, shape (k,)."""
    together = torch.zeros(len(standard.mean) - 1, dtype=torch.float64)
    for features, outcome, weights in standard.apply(batches):
        together = together + (weights * (outcome - standard.mean[-1])) @ features
    return torch.where(together < 0, -1.0, 1.0).double()


def centred(score: Tensor, y: Tensor, weights: Tensor, start: Tensor, *, levels: bool) -> Tensor:
    """The intercept, shape (), under which predictions average to the mean outcome, weighted: Newton's method on the mean."""
    intercept, trees, total = start.clone(), score - start, weights.sum()
    for _ in range(STEPS):
        predicted = (trees + intercept).sigmoid() if levels else trees + intercept
        slope = weights @ (predicted * (1 - predicted)) / total if levels else torch.ones_like(intercept)
        step = weights @ (y - predicted) / total / slope
        intercept = intercept + step
        if step.abs() <= CLOSE * (1 + intercept.abs()):
            break
    return intercept
