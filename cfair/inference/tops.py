"""The top of a log density over some of its entries while others are held, and how it bends there."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cfair.errors import FitError

__all__ = ["Place", "Smooth", "climbed", "place_at", "top_given"]

NEWTON, CLOSE = 25, 5e-3  # steps at most to a top; the rise, in nats, that is not worth one
CHORDS = 5  # of Newton's steps that the curvature of a neighbour may serve
FAR = 300.0  # of any entry, in units in which posteriors have sds below 10: beyond, exponentials overflow
LONGEST = 5.0  # of a step in any entry: where the density bends upwards, Newton's method knows no scale
UP = 1e-4  # share of the promised rise that a step must keep


class Smooth(Protocol):
    """A log density with derivatives."""

    def value_and_slope(self, phi: Tensor, /) -> tuple[float, Tensor]:
        """At φ, (p,), and the gradient (p,)."""
        ...

    def hessian(self, phi: Tensor, slope: Tensor, /) -> Tensor:
        """Second derivatives (p, p), where the gradient is ``slope``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A place on a ridge of log p(ψ, χ), at the top χ̂ of the others given ψ.

    Args:
        phi: ψ and χ̂ in their order, shape (p,).
        root: L with L·Lᵀ = (−∂²log p/∂χ²)⁻¹, lower triangular, (p − k, p − k).
        follow: ∂χ̂/∂ψ, (p − k, k).
        precision: of ψ alone, were all normal, (k, k).
        height: log p(ψ, χ̂) + log|L|: but for a constant the log density of ψ alone, were χ normal (Tierney & Kadane 1986).
    """

    phi: Tensor
    root: Tensor
    follow: Tensor
    precision: Tensor
    height: float


def top_given(density: Smooth, phi: Tensor, held: Tensor, *, near: Place | None = None, close: float = CLOSE) -> Place:
    """The top of all entries of φ, (p,), but those ``held``, (p,), bool: by Newton's method from where they are.

    Args:
        density: of φ.
        phi: where to begin.
        held: what stands still.
        near: a place where they bend much alike: its curvature serves for the first steps.
        close: rise, in nats, that is not worth a step.

    Raises:
        FitError: there is none.
    """
    phi = _led(density, phi, held, near, close)[0] if near else phi
    value, slope = _height(density, phi)
    for _ in range(NEWTON if math.isfinite(value) else 0):
        bent = -density.hessian(phi, slope)
        values, vectors = torch.linalg.eigh(bent[~held][:, ~held].nan_to_num(nan=0.0, posinf=0.0, neginf=0.0))
        step = vectors @ ((vectors.T @ slope[~held]) / values.abs().clamp(min=1e-12))
        step = step * min(1.0, LONGEST / float(step.abs().max().clamp(min=1e-300)))
        promised = float(slope[~held] @ step)
        if promised <= close and values[0] > 0:
            return place_at(phi, held, bent, value)
        if (found := _risen(density, phi, held, step, value, promised)) is None:
            break
        phi, value, slope = found
    raise FitError("the ridge", "no top of the other parameters was found at some place of it", "give priors, or fix a loading")


def climbed(density: Smooth, phi: Tensor, held: Tensor, near: Place, *, close: float = CLOSE) -> tuple[Tensor, float] | None:
    """The top of all entries but those held, and how high it is, without its curvature wherever that of ``near`` leads there; or None."""
    reached, value, left = _led(density, phi, held, near, close)
    if left <= close:
        return reached, value
    try:
        top = top_given(density, reached, held, close=close).phi
    except FitError:
        return None
    return top, _height(density, top)[0]


def _led(density: Smooth, phi: Tensor, held: Tensor, near: Place, close: float) -> tuple[Tensor, float, float]:
    """Where a few of Newton's steps with the curvature of ``near`` lead, the density there, and what one more would promise."""
    value, slope = _height(density, phi)
    for k in range(CHORDS + 1):
        step = near.root @ (near.root.T @ slope[~held])
        promised = float(slope[~held] @ step)
        if promised <= close or k == CHORDS or (found := _risen(density, phi, held, step, value, promised)) is None:
            break
        phi, value, slope = found
    return phi, value, promised if math.isfinite(promised) and math.isfinite(value) else math.inf


def _risen(density: Smooth, phi: Tensor, held: Tensor, step: Tensor, value: float, promised: float) -> tuple[Tensor, float, Tensor] | None:
    """A step that rises, halved until it does: where it leads, the density there and its gradient; None if it never does."""
    for share in (0.5**k for k in range(20)):
        tried = phi.clone()
        tried[~held] += share * step
        reached, slope = _height(density, tried)
        if math.isfinite(reached) and slope.isfinite().all() and reached >= value + UP * share * promised - 1e-9 * abs(value):
            return tried, reached, slope
    return None


def _height(density: Smooth, phi: Tensor) -> tuple[float, Tensor]:
    """The log density and its gradient; −∞ so far out that a row's own equations have no solution in numbers of 64 bits."""
    if not phi.abs().max() <= FAR:  # nor where it is no number
        return -math.inf, torch.zeros_like(phi)
    try:
        return density.value_and_slope(phi)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return -math.inf, torch.zeros_like(phi)


def place_at(phi: Tensor, held: Tensor, bent: Tensor, value: float) -> Place:
    """The place at a top φ, (p,), with −∂²/∂φ² there, (p, p), and the log density."""
    inner, cross = bent[~held][:, ~held], bent[~held][:, held]
    root = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(inner)))
    follow = -root @ (root.T @ cross)
    return Place(phi, root, follow, bent[held][:, held] + cross.T @ follow, value + float(root.diagonal().log().sum()))
