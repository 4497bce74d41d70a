"""The shape of the latents' posterior: where it is highest, how it bends there, and where it is how far below."""

from collections.abc import Callable

import torch
from torch import Tensor

from cfair.inference.landscape import Landscape
from cfair.inference.rule import times
from cfair.inference.summit import Summit

__all__ = ["equal_steps", "panels", "summit"]

NEWTON = 200  # steps at most; of any two in a row one halves the bracket, or the step
CLOSE = 1e-6  # step, in sds, after which Newton's method has squared the error away
HALVINGS = 40  # of one of Newton's steps in several dimensions
SCAN = 61  # points of the prior at which a density that is not known to be concave is looked at first
FAR = 9.0  # prior sds up to which it is looked at
SECANT = 100  # steps at most, of a method that converges in ten
STEEP = 8.0  # times the level sought: at an end so far above it no line is to be trusted, and the bracket is halved
LARGE = 1e3  # sd of a direction, and its inverse, from which on it is measured by that sd, lest rounding swallow it
DROP = 36.0  # nats below the mode at which a density counts as 0: e⁻³⁶ is the rounding of a sum of 1


def summit(land: Landscape, start: Tensor | None = None, *, close: float = CLOSE) -> Summit:
    """Each person's argmax_u log p(u, evidence), with the curvature there. No person's answer depends on the others.

    Args:
        land: of d latents and n people.
        start: where to begin, shape (d, n); the prior mean if None, or where it is not finite.
        close: step, in sds, after which no other is taken.
    """
    if not land.d:
        return Summit(torch.zeros(0, land.n, dtype=torch.float64), torch.zeros(0, 0, land.n, dtype=torch.float64))
    center, _ = land.prior()
    u = center if start is None else torch.where(start.isfinite(), start, center)
    if land.normal:
        first, second = land.derivatives(u)
        root = _root(second)
        return Summit(u + _ascent(root, first), root)
    if land.concave and land.d == 1:
        top, curvature = _bracketed(land, u[0], close)
        return Summit(top.unsqueeze(0), curvature.neg().rsqrt().reshape(1, 1, -1))
    return _climbed(land, u if land.concave else _scanned(land, u), close)


def _root(second: Tensor) -> Tensor:
    """S with S·Sᵀ = (−H)⁻¹, (d, d, n), from the curvature H; of a direction that bends upwards the size of the curvature counts."""
    if len(second) == 1:
        return second.abs().clamp(min=1e-300).rsqrt()
    precision = -second.movedim(2, 0)
    size = precision.diagonal(dim1=1, dim2=2).abs().clamp(min=1e-300).rsqrt()
    unit = torch.where((size > 1 / LARGE) & (size < LARGE), 1.0, size)  # of what is counted in millions; a latent keeps its own
    units = unit.unsqueeze(-1) * unit.unsqueeze(-2)
    values, vectors = torch.linalg.eigh(precision * units)
    covariance = (vectors / values.abs().clamp(min=1e-12).unsqueeze(-2)) @ vectors.mT * units
    factor: Tensor = torch.linalg.cholesky(covariance)
    return factor.movedim(0, 2)


def _ascent(root: Tensor, first: Tensor) -> Tensor:
    """Newton's step S·Sᵀ·slope, shape (d, n)."""
    return times(root, times(root.transpose(0, 1), first))


def _bracketed(land: Landscape, start: Tensor, close: float) -> tuple[Tensor, Tensor]:
    """The mode of one latent's log-concave posterior, and the curvature there, each of shape (n,).

    Newton's method inside a bracket: the log joint is at least as concave as the latent's prior, so that the mode lies
    between any point k and k + sd²·slope(k). A step that leaves the bracket, or is more than half the step before, gives
    way to the middle of the bracket. Rows stop one by one.
    """
    center, spread = (each[0] for each in land.prior())
    k = start.clone()
    rise, curvature = _slopes(land, k)
    reach = k + spread.square() * rise.nan_to_num(nan=0.0, posinf=1e300, neginf=-1e300)
    low, high = torch.minimum(k, reach), torch.maximum(k, reach)
    last = 2 * (high - low)
    bend = curvature.clone()
    moving = torch.arange(land.n)
    for _ in range(NEWTON):
        at, below, above = k[moving], low[moving], high[moving]
        guess = at + rise / -curvature
        quick = (guess >= below) & (guess <= above) & ((guess - at).abs() <= last[moving] / 2)  # False for nan
        if not quick.all():
            guess = torch.where(quick, guess, _middle(below, above, center[moving], spread[moving]))
        k[moving], last[moving] = guess, (guess - at).abs()
        moving = moving[last[moving] > close * (-curvature).rsqrt().nan_to_num(nan=0.0, posinf=0.0)]
        if not len(moving):
            break
        rise, curvature = _slopes(land if len(moving) == land.n else land.take(moving), k[moving])
        bend[moving] = curvature
        low[moving] = torch.where(rise > 0, k[moving], low[moving])
        high[moving] = torch.where(rise > 0, high[moving], k[moving])
    return k, bend if close > CLOSE else _slopes(land, k)[1]


def _slopes(land: Landscape, k: Tensor) -> tuple[Tensor, Tensor]:
    first, second = land.derivatives(k.unsqueeze(0))
    return first[0], second[0, 0]


def _middle(low: Tensor, high: Tensor, center: Tensor, spread: Tensor) -> Tensor:
    """Half way in asinh((k − center)/spread): a bracket of any size is down to one prior sd within ten halvings."""
    half = (torch.asinh((low - center) / spread) + torch.asinh((high - center) / spread)) / 2
    return torch.clamp(center + spread * half.sinh(), low, high)


def _scanned(land: Landscape, start: Tensor) -> Tensor:
    """Of ``start`` and equal steps along each latent's prior in turn, the highest point of each person, shape (d, n)."""
    center, spread = land.prior()
    steps = torch.linspace(-FAR, FAR, SCAN, dtype=torch.float64).unsqueeze(-1)
    best = start
    for j in range(land.d):
        tried = best.unsqueeze(1).repeat(1, SCAN + 1, 1)
        tried[j, 1:] = center[j] + spread[j] * steps
        highest = land(tried).nan_to_num(nan=-torch.inf).argmax(0)
        best = tried.gather(1, highest.expand(land.d, 1, -1)).squeeze(1)
    return best


def _climbed(land: Landscape, start: Tensor, close: float) -> Summit:
    """The mode by Newton's method, each step halved until it leads upwards. Rows stop one by one."""
    u = start.clone()
    roots = torch.empty(land.d, land.d, land.n, dtype=torch.float64)
    moving, part = torch.arange(land.n), land
    height = part(u)
    for _ in range(NEWTON):
        at = u[:, moving]
        first, second = part.derivatives(at)
        root = _root(second)
        roots[:, :, moving] = root
        step = _ascent(root, first)
        gain = (first * step).sum(0)  # twice what the step promises: the squared length of the step in sds
        going = gain.sqrt() > close
        if not going.any():
            break
        moving, step, part = moving[going], step[:, going], part if going.all() else part.take(going.nonzero().squeeze(-1))
        height = height[going]
        u[:, moving], height = _halved(part, u[:, moving], step, height, gain[going])
    return Summit(u, roots)


def _halved(land: Landscape, at: Tensor, step: Tensor, height: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """The point after a step, and its height: the step is halved while it does not lead up by a ten-thousandth of what it promises."""
    share = torch.ones_like(height)
    for _ in range(HALVINGS):
        reached = land(at + share * step)
        low = ~(reached >= height + 1e-4 * share * gain - 1e-12 * height.abs())
        if not low.any():
            break
        share = torch.where(low, share / 2, share)
    return at + share * step, land(at + share * step) if low.any() else reached


def equal_steps(count: int) -> Tensor:
    """``count`` equal steps in r up to √(2·DROP), below which nothing is left: shape (count,)."""
    return float((2 * DROP) ** 0.5) * torch.arange(1, count + 1, dtype=torch.float64) / count


def panels(density: Callable[[Tensor], Tensor], center: Tensor, sd: Tensor, far: Tensor, r: Tensor) -> Tensor:
    """Increasing points that cut one latent's posterior into panels over which it changes little: shape (2·len(r) + 1, n).

    The j-th point to either side of the mode is where the log density is about r_j²/2 lower. For a normal density equal steps in
    r are equal steps in k; for one with a cliff the points crowd where it falls.

    Args:
        density: its log, of points (..., n), log-concave.
        center: the mode, shape (n,).
        sd: of the normal approximation there, shape (n,): a first guess of the width.
        far: the prior's sd, shape (n,): by its own concavity no level is farther.
        r: increasing, above 0, its steps nowhere larger than its last.
    """
    top, side = density(center), torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    r = r.view(-1, 1, 1)

    def root(distance: Tensor) -> Tensor:
        drop = top - density(center + side * distance)
        return (2 * drop.nan_to_num(nan=torch.inf, posinf=torch.inf).clamp(min=0)).sqrt()

    limit = (r * far).expand(-1, 2, -1)
    left, right = (center + side * _distance(root, r, torch.minimum(r * sd, limit), limit)).unbind(1)
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
