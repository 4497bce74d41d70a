"""The mean of a number over weighted draws of the parameters, and how far the draws spread."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Spread", "spread"]

LEVEL = 0.95  # of an interval


class Spread(NamedTuple):
    """A number's posterior over draws: its mean, its standard deviation (the parameter error), and an equal-tailed 95 % interval."""

    mean: float
    sd: float
    low: float
    high: float


def spread(values: Tensor, weights: Tensor) -> Spread:
    """What weighted draws say of a number.

    mean x̄ = Σ v·x;  sd² = Σ v·(x − x̄)² / (1 − Σ v²);  the ends are weighted quantiles, linear between the draws. In order of size,
    draw k stands at (C_k − v_k/2)·m/(m + 1) + 1/(2·(m + 1)), C_k = v_1 + ... + v_k and m = 1 / Σ v², which is k/(S + 1) for S draws of
    equal weight: an interval from one draw to another then covers as much as it says on average. It reaches no further than the draws.

    Args:
        values: x of each draw, shape (S,).
        weights: v of each draw, shape (S,), summing to 1.

    Returns:
        With a standard deviation of 0 for a single draw.

    Source: Wilks (1941), Determination of sample sizes for setting tolerance limits; Kish (1965) for m.
    """
    mean = (weights * values).sum()
    rest = 1 - weights.square().sum()
    sd = ((weights * (values - mean).square()).sum() / rest).sqrt() if rest > 0 else torch.zeros_like(mean)
    order = values.argsort()
    x, v = values[order], weights[order]
    m = 1 / v.square().sum()
    place = (v.cumsum(0) - v / 2) * m / (m + 1) + 1 / (2 * (m + 1))
    low, high = (_interpolated(place, x, share) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Spread(float(mean), float(sd), low, high)


def _interpolated(place: Tensor, x: Tensor, share: float) -> float:
    """The value of ``x`` at ``share``, linear between its places and level beyond them; all of shape (S,)."""
    right = int(torch.searchsorted(place, share))
    if right in (0, len(x)):
        return float(x[min(right, len(x) - 1)])
    part = (share - place[right - 1]) / (place[right] - place[right - 1])
    return float(x[right - 1] + part * (x[right] - x[right - 1]))
