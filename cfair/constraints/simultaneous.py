"""Critical values of many differences at once."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import torch
from torch import Tensor

from cfair.constraints.definition import pairs_of

__all__ = ["largest_of", "max_t"]

DIRECTIONS = 1_000  # of the errors of all groups; their length is integrated out
STEPS, CLOSE = 20, 1e-6  # of Newton's method towards the level
AT_ONCE = 1_000_000  # numbers held


def max_t(variances: Sequence[Tensor], level: float = 0.95, *, seed: int = 0) -> float:
    """The critical value c with P(max_s max_g<h |X_sg − X_sh| / √(v_sg + v_sh) ≤ c) = level, for independent X_sg ~ Normal(0, v_sg).

    Every pairwise interval (r_g − r_h) ± c·√(v_g + v_h) then covers at once. This is the quantile of the largest studentised difference
    in the limit of the multinomial bootstrap, whose replicates of rates are such X: shares of 0 or 1 and few people do not make it
    collapse, as they do the bootstrap's own. X = length · direction, and the largest difference T is that of the direction times the
    length, whose square is χ² with as many degrees of freedom as there are groups: P = E F_χ²(c²/T(direction)²). One pair has c = z; no c
    is above that of independent pairs.

    Args:
        variances: per stratum, v of each group's estimate, shape (groups,); strata and groups are independent of one another.
        level: what all intervals together should cover.
        seed: of the directions; the order of groups and of strata changes nothing.

    Source: Hothorn, Bretz & Westfall (2008), Simultaneous inference in general parametric models, section 3; Šidák (1967), Rectangular
    confidence regions for the means of multivariate normal distributions, for the bound.
    """
    strata = sorted((v.sort().values for v in variances if len(v) > 1), key=lambda v: (len(v), *v.tolist()))
    comparisons = sum(len(v) * (len(v) - 1) // 2 for v in strata)
    most = largest_of(comparisons, level)
    if comparisons < 2:
        return most
    largest, dimensions = _largest(strata, seed), sum(map(len, strata))
    if not largest.any():  # nothing varies, and every interval is a point
        return largest_of(1, level)
    return min(_quantile(largest, dimensions, level, start=most), most)


def largest_of(comparisons: int, level: float = 0.95) -> float:
    """The critical value of so many independent normal variables at once; for dependent ones it need be no larger."""
    return NormalDist().inv_cdf((1 + level ** (1 / max(comparisons, 1))) / 2)


def _largest(strata: Sequence[Tensor], seed: int) -> Tensor:
    """The largest studentised difference in each of some random directions, shape (directions,)."""
    drawn = torch.randn(DIRECTIONS, sum(map(len, strata)), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn /= drawn.norm(dim=-1, keepdim=True)
    largest = drawn.new_zeros(DIRECTIONS)
    for variance, own in zip(strata, drawn.split([len(v) for v in strata], -1), strict=True):
        earlier, later = pairs_of(len(variance))
        scale = (variance[earlier] + variance[later]).clamp(min=torch.finfo(torch.float64).tiny).rsqrt()  # no spread: no difference
        errors = own * variance.sqrt()
        for part in torch.arange(DIRECTIONS).split(max(AT_ONCE // len(scale), 1)):
            apart = (errors[part][:, later] - errors[part][:, earlier]).abs_().mul_(scale).amax(-1)
            largest[part] = torch.maximum(largest[part], apart)
    return largest


def _quantile(largest: Tensor, dimensions: int, level: float, *, start: float) -> float:
    """The c with mean F_χ²((c/T)²) = level, by Newton's method."""
    half, c = torch.tensor(dimensions / 2, dtype=torch.float64), start
    largest = largest.clamp(min=torch.finfo(torch.float64).eps)
    norm = math.log(2) - dimensions / 2 * math.log(2) - math.lgamma(dimensions / 2)
    for _ in range(STEPS):
        length = c / largest
        excess = torch.special.gammainc(half, length.square() / 2).mean().item() - level
        slope = ((norm + (dimensions - 1) * length.log() - length.square() / 2).exp() / largest).mean().item()  # the density of χ
        c = max(c - excess / slope, c / 2)
        if abs(excess) < CLOSE:
            break
    return c
