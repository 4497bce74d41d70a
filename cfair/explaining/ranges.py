"""A number over draws."""

import torch
from torch import Tensor

from cfair.explaining.records import Range

__all__ = ["over_draws"]

ENDS = torch.tensor([0.025, 0.975], dtype=torch.float64)


def over_draws(values: Tensor) -> Range:
    """The mean of draws, shape (draws,), and their equal-tailed 95 % interval; rounding puts no mean beyond the draws."""
    low, high = torch.quantile(values, ENDS).tolist()
    return Range(float(values.mean().clamp(values.min(), values.max())), low, high)
