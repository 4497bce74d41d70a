"""A latent integrated out: adaptive Gauss-Hermite quadrature centred on each row's own mode, checked by doubling its nodes.

Sources: Naylor & Smith (1982) and Liu & Pierce (1994) for the rule; Trefethen & Weideman (2014) for the trapezoid that takes
over where the integrand is too sharp for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.neighbourhood import Neighbourhood

__all__ = ["Rule", "gauss_hermite", "integrate", "mode", "support"]

NEWTON = 80  # steps at most: a bisection where Newton's step leaves the bracket, so 80 reach the last digit
SETTLED = 1e-8  # how far mean and sd may move when nodes double, in posterior sds
FINEST = 4097  # nodes of the last trapezoid
DROP = 36.0  # nats below the mode at which the density counts as 0: e⁻³⁶ is the rounding of a sum of 1


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """∫ f(k) dk ≈ Σ_q exp(log_weights)·f(points), each of shape (Q, n)."""

    points: Tensor
    log_weights: Tensor


def mode(area: Neighbourhood, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Each row's argmax_k log p(k, evidence) and the sd of its normal approximation there, each of shape (n,).

    Newton's method inside a bracket: the log joint is at least as concave as the latent's prior, so that the mode lies
    between any point k and k + sd²·slope(k). Rows stop one by one: no row's answer depends on the others.

    Args:
        area: log-concave in k, as every family with a linear predictor is.
        start: where to begin, shape (n,); the prior mean if None.
    """
    center, spread = area.prior()
    k = center.clone() if start is None else start.clone()
    slope, curvature = _derivatives(area, k)
    reach = k + spread.square() * slope.nan_to_num(nan=0.0, posinf=1e300, neginf=-1e300)
    low, high = torch.minimum(k, reach), torch.maximum(k, reach)
    moving = torch.arange(area.n)
    for _ in range(NEWTON):
        step = slope / -curvature
        guess = k[moving] + step
        inside = (guess >= low[moving]) & (guess <= high[moving])  # False for nan
        guess = torch.where(inside, guess, (low[moving] + high[moving]) / 2)
        moved = (guess - k[moving]).abs()
        k[moving] = guess
        keep = moved > 1e-9 * (1 / (-curvature).sqrt()).nan_to_num(nan=0.0, posinf=0.0)
        moving = moving[keep]
        if not len(moving):
            break
        slope, curvature = _derivatives(area.take(moving), k[moving])
        low[moving] = torch.where(slope > 0, k[moving], low[moving])
        high[moving] = torch.where(slope > 0, high[moving], k[moving])
    return k, _derivatives(area, k)[1].neg().rsqrt()


def _derivatives(area: Neighbourhood, k: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and curvature of the log joint in k, each of shape (n,)."""
    with torch.enable_grad():
        k = k.detach().requires_grad_()
        (slope,) = torch.autograd.grad(area.log_joint(k).sum(), k, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), k)
    return slope.detach(), curvature


def gauss_hermite(center: Tensor, sd: Tensor, nodes: int) -> Rule:
    """The rule that is exact for a normal density times a polynomial of degree 2·nodes − 1; ``center`` and ``sd`` of shape (n,)."""
    t, log_weights = _hermite(nodes)
    scale = 2**0.5 * sd
    return Rule(center + scale * t, log_weights + scale.log())


@cache
def _hermite(nodes: int) -> tuple[Tensor, Tensor]:
    points, weights = np.polynomial.hermite.hermgauss(nodes)
    return torch.from_numpy(points).unsqueeze(-1), torch.from_numpy(np.log(weights) + points**2).unsqueeze(-1)


def support(area: Neighbourhood, center: Tensor) -> tuple[Tensor, Tensor]:
    """The ends, each (n,), between which each row's density is above e^-DROP of its mode ``center``; by bisection.

    By the prior's own concavity both lie within √(2·DROP) prior sds of the mode.
    """
    top = area.log_joint(center)
    reach = (2 * DROP) ** 0.5 * area.prior()[1]
    ends = []
    for sign in (-1.0, 1.0):
        near, far = torch.zeros_like(reach), reach
        for _ in range(12):
            middle = (near + far) / 2
            above = top - area.log_joint(center + sign * middle) < DROP
            near, far = torch.where(above, middle, near), torch.where(above, far, middle)
        ends.append(center + sign * far)
    return ends[0], ends[1]


def trapezoid(low: Tensor, high: Tensor, nodes: int) -> Rule:
    """Equal steps from ``low`` to ``high``, each of shape (n,): converges geometrically for a density that has died out at both ends."""
    fractions = torch.linspace(0, 1, nodes, dtype=torch.float64).unsqueeze(-1)
    width = high - low
    return Rule(low + width * fractions, (width / (nodes - 1)).log().expand(nodes, -1))


def integrate(area: Neighbourhood, nodes: int, function: Callable[[Tensor, Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Posterior mean and sd of the latent, and E[function(k)], each of shape (n,), to SETTLED posterior sds.

    Nodes double, row by row, until mean and sd stand still: Gauss-Hermite to four doublings, then the trapezoid.

    Args:
        area: the latent and its evidence.
        nodes: to begin with.
        function: of points (Q, m) and of the positions (m,) of the rows they belong to, to (Q, m); the identity if None.

    Raises:
        FitError: some row's moments still move at the finest rule.
    """
    center, sd = mode(area)
    answer = _moments(area, gauss_hermite(center, sd, nodes), torch.arange(area.n), function)
    open_rows = torch.arange(area.n)
    ladder = [*((gauss_hermite, nodes * 2**i) for i in range(1, 5)), *((trapezoid, 2**i + 1) for i in range(8, 13))]
    ends: tuple[Tensor, Tensor] | None = None
    for rule, size in ladder:
        part = area.take(open_rows)
        if rule is trapezoid and ends is None:
            ends = support(area, center)
        first, second = (ends if ends is not None else (center, sd))
        finer = _moments(part, rule(first[open_rows], second[open_rows], size), open_rows, function)
        coarse = answer[:, open_rows]
        still = (finer[:2] - coarse[:2]).abs().amax(0) > SETTLED * finer[1]
        answer[:, open_rows] = finer
        open_rows = open_rows[still]
        if not len(open_rows):
            mean, spread, expected = answer
            return mean, spread, expected
    raise FitError(
        f"posterior of '{area.latent}'", f"{len(open_rows)} rows do not settle with {FINEST} nodes", "check the loadings: one is extreme"
    )


def _moments(area: Neighbourhood, rule: Rule, rows: Tensor, function: Callable[[Tensor, Tensor], Tensor] | None) -> Tensor:
    """Mean, sd and E[function], stacked, shape (3, n)."""
    weights = (area.log_joint(rule.points) + rule.log_weights).softmax(0)
    mean = (weights * rule.points).sum(0)
    sd = (weights * (rule.points - mean).square()).sum(0).sqrt()
    expected = mean if function is None else (weights * function(rule.points, rows)).sum(0)
    return torch.stack([mean, sd, expected])
