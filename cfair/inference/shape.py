"""The shape of a latent's posterior: where it is highest, and where it is how far below."""

from collections.abc import Callable

import torch
from torch import Tensor

from cfair.inference.neighbourhood import Neighbourhood

__all__ = ["equal_steps", "mode", "panels"]

NEWTON = 200  # steps at most; of any two in a row one halves the bracket, or the step
CLOSE = 1e-6  # step, in sds, after which Newton's method has squared the error away
SECANT = 100  # steps at most, of a method that converges in ten
STEEP = 8.0  # times the level sought: at an end so far above it no line is to be trusted, and the bracket is halved
DROP = 36.0  # nats below the mode at which a density counts as 0: e⁻³⁶ is the rounding of a sum of 1


def mode(area: Neighbourhood, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Each row's argmax_k log p(k, evidence) and the sd of its normal approximation there, each of shape (n,).

    Newton's method inside a bracket: the log joint is at least as concave as the latent's prior, so that the mode lies
    between any point k and k + sd²·slope(k). A step that leaves the bracket, or is more than half the step before, gives
    way to the middle of the bracket. Rows stop one by one: no row's answer depends on the others.

    Args:
        area: log-concave in k, as every family with a linear predictor is.
        start: where to begin, shape (n,); the prior mean if None, or where it is not finite.
    """
    center, spread = area.prior()
    k = center.clone() if start is None else torch.where(start.isfinite(), start, center)
    rise, curvature = _derivatives(area, k)
    reach = k + spread.square() * rise.nan_to_num(nan=0.0, posinf=1e300, neginf=-1e300)
    low, high = torch.minimum(k, reach), torch.maximum(k, reach)
    last = 2 * (high - low)
    moving = torch.arange(area.n)
    for _ in range(NEWTON):
        at, below, above = k[moving], low[moving], high[moving]
        guess = at + rise / -curvature
        quick = (guess >= below) & (guess <= above) & ((guess - at).abs() <= last[moving] / 2)  # False for nan
        guess = torch.where(quick, guess, _middle(below, above, center[moving], spread[moving]))
        k[moving], last[moving] = guess, (guess - at).abs()
        moving = moving[last[moving] > CLOSE * (-curvature).rsqrt().nan_to_num(nan=0.0, posinf=0.0)]
        if not len(moving):
            break
        rise, curvature = _derivatives(area.take(moving), k[moving])
        low[moving] = torch.where(rise > 0, k[moving], low[moving])
        high[moving] = torch.where(rise > 0, high[moving], k[moving])
    return k, _derivatives(area, k)[1].neg().rsqrt()


def _middle(low: Tensor, high: Tensor, center: Tensor, spread: Tensor) -> Tensor:
    """Half way in asinh((k − center)/spread): a bracket of any size is down to one prior sd within ten halvings."""
    half = (torch.asinh((low - center) / spread) + torch.asinh((high - center) / spread)) / 2
    return torch.clamp(center + spread * half.sinh(), low, high)


def _derivatives(area: Neighbourhood, k: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and curvature of the log joint in k, each of shape (n,)."""
    with torch.enable_grad():
        k = k.detach().requires_grad_()
        (first,) = torch.autograd.grad(area.log_joint(k).sum(), k, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), k)
    return first.detach(), second


def equal_steps(count: int) -> Tensor:
    """``count`` equal steps in r up to √(2·DROP), below which nothing is left: shape (count,)."""
    return float((2 * DROP) ** 0.5) * torch.arange(1, count + 1, dtype=torch.float64) / count


def panels(area: Neighbourhood, center: Tensor, sd: Tensor, r: Tensor) -> Tensor:
    """Increasing points that cut a posterior into panels over which it changes little: shape (2·len(r) + 1, n).

    The j-th point to either side of the mode is where the log joint is about r_j²/2 lower. For a normal density equal steps in
    r are equal steps in k; for one with a cliff the points crowd where it falls.

    Args:
        area: the latent and its evidence.
        center: the mode, shape (n,).
        sd: of the normal approximation there, shape (n,): a first guess of the width.
        r: increasing, above 0, its steps nowhere larger than its last.
    """
    top, side = area.log_joint(center), torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    r = r.view(-1, 1, 1)

    def root(distance: Tensor) -> Tensor:
        drop = top - area.log_joint(center + side * distance)
        return (2 * drop.nan_to_num(nan=torch.inf, posinf=torch.inf).clamp(min=0)).sqrt()

    far = (r * area.prior()[1]).expand(-1, 2, -1)  # by the prior's own concavity no level is farther
    left, right = (center + side * _distance(root, r, torch.minimum(r * sd, far), far)).unbind(1)
    return torch.cat([left.flip(0), center.unsqueeze(0), right])


def _distance(root: Callable[[Tensor], Tensor], r: Tensor, guess: Tensor, far: Tensor) -> Tensor:
    """Distances between 0 and ``far`` at which ``root``, 0 at 0 and increasing, is within a fifth of a step of ``r``.

    ``root`` is linear for a normal density, and its inverse is smooth for any log-concave one. By the Illinois variant of
    false position (Dowell & Jarratt 1971).
    """
    at, tolerance = guess, 0.2 * r.clamp(max=float(r[-1] - r[-2]))
    miss = root(at) - r
    if (miss.abs() <= tolerance).all():
        return at
    near, below, above = torch.zeros_like(far), -r, root(far) - r
    was_low = was_high = torch.zeros_like(far, dtype=torch.bool)
    for _ in range(SECANT):
        low = miss < 0
        below = torch.where(low, miss, torch.where(was_high, below / 2, below))
        above = torch.where(low, torch.where(was_low, above / 2, above), miss)
        near, far = torch.where(low, at, near), torch.where(low, far, at)
        was_low, was_high = low, ~low
        line = torch.where(above < STEEP * r, far - above * (far - near) / (above - below), (near + far) / 2)
        at = torch.where(miss.abs() <= tolerance, at, line)
        miss = root(at) - r
        if (miss.abs() <= tolerance).all():
            break
    return at
