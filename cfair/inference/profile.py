"""How far the log posterior falls along one parameter, all others at their top: where its curvature misleads."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from cfair.inference.log_posterior import LogPosterior
from cfair.inference.straight import Straight, straight
from cfair.inference.tops import Place, climbed, place_at

__all__ = ["CLOSE", "Sides", "moved", "shallow", "sides_of"]

CHECKED = 3  # posterior sds out to which the fall is compared with the quadratic's
SHALLOW = 0.5  # share of the quadratic's fall below which a direction is wider than its curvature says
CLOSE = 0.05  # rise, in nats, that is not worth a step


def shallow(density: LogPosterior, loadings: dict[int, str]) -> bool:
    """Whether at three sds along one of these loadings, place -> node, the log posterior falls by less than half of what a normal does."""
    bent, curvature = replace(straight(density, loadings), volume=0.0), -density.hessian(density.start)
    return any(sides_of(bent, bent.to_phi(density.start), j, curvature) is not None for j in loadings)


class Sides(NamedTuple):
    """A parameter that is held less than it should be.

    Args:
        held: which it is, (p,), bool.
        first: the top.
        top: the log density there.
        step: one sd.
        falls: of the profile at CHECKED sds to either side.
    """

    held: Tensor
    first: Place
    top: float
    step: float
    falls: tuple[float, float]


def sides_of(bent: Straight, phi: Tensor, j: int, curvature: Tensor) -> Sides | None:
    """Of the parameter in place j; None where it is held as its curvature, that of θ, (p, p), says."""
    held, jacobian = torch.zeros(len(phi), dtype=torch.bool), bent.jacobian(phi)
    held[j] = True
    value, _ = bent.value_and_slope(phi)
    first = place_at(phi, held, jacobian.T @ curvature @ jacobian, value)  # at the peak no slope bends the coordinates
    if (climb := climbed(bent, phi, held, first, close=CLOSE)) is None:
        return None
    first, top = replace(first, phi=climb[0]), climb[1]
    step = float(first.precision) ** -0.5
    falls = _fall(bent, first, held, -step, top), _fall(bent, first, held, step, top)
    return Sides(held, first, top, step, falls) if min(falls) < SHALLOW * CHECKED**2 / 2 else None


def _fall(bent: Straight, first: Place, held: Tensor, sd: float, top: float) -> float:
    """By how much the profile falls to CHECKED sds on one side; ∞ where its top is lost on the way."""
    phi, value = first.phi, top
    for _ in range(CHECKED):
        if (found := climbed(bent, moved(phi, first, held, sd), held, first, close=CLOSE)) is None:
            return math.inf
        phi, value = found
    return top - value


def moved(phi: Tensor, near: Place, held: Tensor, step: float) -> Tensor:
    """φ after a step in what is held, the others following along."""
    to = phi.clone()
    to[held] += step
    to[~held] += near.follow.squeeze(1) * step
    return to
