"""The linear fit from which a network begins."""

import torch
from torch import Tensor

__all__ = ["least_squares"]

RIDGE = 1e-6  # of the features' mean square, so that collinear features have an answer


def least_squares(z: Tensor, y: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes (k,), intercept () and residual sd () of y ≈ z·slopes + intercept, by weighted least squares.

    Args:
        z: features, shape (m, k).
        y: shape (m,).
        weights: of the rows, shape (m,).
    """
    share = weights / weights.sum()
    center, level = share @ z, share @ y
    moved = z - center
    gram = moved.T @ (share.unsqueeze(-1) * moved)
    ridge = RIDGE * torch.eye(len(gram), dtype=z.dtype)
    slopes: Tensor = torch.linalg.solve(gram + ridge, moved.T @ (share * (y - level)))
    residual = y - level - moved @ slopes
    return slopes, level - center @ slopes, (share @ residual.square()).sqrt()
