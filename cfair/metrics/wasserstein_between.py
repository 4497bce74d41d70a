"""The distance between the distributions of predictions of two groups of people."""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Between", "Noise", "noise_of", "wasserstein_between"]

GRID = 256  # steps of a distribution function whose sampling error is drawn
DRAWS = 400  # of it
ROUNDING = 1e-9  # of a distribution function: below it two agree


class Noise(NamedTuple):
    """Mean and variance of W(F̂, F), the distance of a group's predictions from those of the people it was drawn from."""

    mean: float
    variance: float


class Between(NamedTuple):
    """Wasserstein's distance of two groups with its interval, in the unit of predictions."""

    value: float
    low: float
    high: float


def wasserstein_between(
    x: Tensor, y: Tensor, noise: tuple[Noise, Noise], *, critical: float, weights: tuple[Tensor, Tensor] | None = None
) -> Between:
    """Wasserstein's first distance W = ∫ |F(t) − G(t)| dt between the predictions x of one group and y of another.

    Never 0 by chance alone; the interval holds for any distance, 0 included. W is at most W(F̂, F) + W(Ĝ, G) above the true one, by the
    triangle inequality; and with h the witness of that one, of slope 1 at most, W ≥ mean h(x) − mean h(y), which is normal around it.

    Args:
        x: shape (n,).
        y: shape (m,).
        noise: of x and of y.
        critical: the value that a normal variable exceeds, in size, with the probability that the interval may miss.
        weights: of x and y, both above 0; None: all weigh the same.

    Source: Villani (2003), Topics in Optimal Transportation, theorem 1.14 (Kantorovich and Rubinstein) and section 2.2.
    """
    wx, wy = weights or (torch.ones_like(x), torch.ones_like(y))
    wx, wy = wx / wx.sum(), wy / wy.sum()
    points, order = torch.cat([x, y]).sort()
    signed = torch.cat([wx, -wy])[order].cumsum(0)[:-1]
    step = points.diff()
    value = float((signed.abs() * step).sum())
    slope = torch.where(signed.abs() > ROUNDING, signed.sign(), 0.0) * step
    witness = torch.empty_like(points).scatter(0, order, torch.cat([slope.new_zeros(1), slope.cumsum(0)]))
    variance = _variance(witness[: len(x)], wx) + _variance(witness[len(x) :], wy)
    above = noise[0].mean + noise[1].mean + critical * (noise[0].variance + noise[1].variance) ** 0.5
    return Between(value, max(value - above, 0.0), value + critical * variance**0.5)


def noise_of(x: Tensor, weights: Tensor | None = None, *, seed: int = 0) -> Noise:
    """How far a group's distribution of predictions is, by sampling alone, from the one that it was drawn from: ∫ |B(F(t))| dt / √n.

    B is the Brownian bridge, drawn on a grid of F.

    Args:
        x: shape (n,).
        weights: above 0, shape (n,); n is then the effective number of people.
        seed: of the draws.

    Source: del Barrio, Giné & Matrán (1999), Central limit theorems for the Wasserstein distance between the empirical and the true
    distributions, theorem 2.1.
    """
    w = torch.ones_like(x) if weights is None else weights
    values, order = x.sort()
    share = w[order].cumsum(0) / w.sum()
    last = torch.searchsorted(share, torch.arange(1, GRID, dtype=x.dtype) / GRID - ROUNDING).clamp(max=len(x) - 1)
    at = torch.cat([values[:1], values[last], values[-1:]])  # quantiles
    length = (at[2:] - at[:-2]) / 2  # of the predictions that each inner grid point of F stands for
    steps = torch.randn(DRAWS, GRID, generator=torch.Generator().manual_seed(seed), dtype=x.dtype) / GRID**0.5
    bridge = (steps - steps.mean(-1, keepdim=True)).cumsum(-1)[:, :-1]
    drawn = bridge.abs() @ length * float(w.square().sum() ** 0.5 / w.sum())
    return Noise(float(drawn.mean()), float(drawn.var()))


def _variance(values: Tensor, shares: Tensor) -> float:
    """Of the weighted mean of values, (n,): Σ w²·(h − h̄)², weights summing to 1."""
    return float((shares.square() * (values - (shares * values).sum()).square()).sum())
