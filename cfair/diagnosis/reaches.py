"""How far the data let a latent's loadings go, and what goes with them: beyond the curvature at the estimate, along the ridge."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cfair.diagnosis.movement import Density, Parameter
from cfair.diagnosis.records import Reach
from cfair.errors import FitError
from cfair.inference.profile import CLOSE, Sides, moved, sides_of
from cfair.inference.straight import Straight
from cfair.inference.tops import top_given
from cfair.spec import ModelSpec

__all__ = ["reaches"]

FALL = 1.92  # nats: half of the 95 % point of χ² with one degree of freedom
FARTHEST = 12.0  # posterior sds out to which a ridge is followed
FOLLOWED = 3  # parameters of a part of the model, the least held first
FASTER = 1.3  # each step outwards over the one before
WIDER = 1.1  # times what the curvature says, up to which a range is as wide as that
TIED = 0.5  # share of a parameter's variance that the loadings' own carries, from which on it goes with them


def reaches(spec: ModelSpec, density: Density, curvature: Tensor, parameters: Sequence[Parameter]) -> tuple[Reach, ...]:
    """The parameters that the data hold less than the curvature at the estimate says, the least held first.

    ℓ(t) is the log posterior at its top over all other parameters given θ_j = θ̂_j + t. Near θ̂ it falls by t²/2s², with s the sd of
    the normal approximation. Where at three s to either side it falls by less than half of that, θ_j is followed until ℓ has fallen
    by 1.92: between these ends, were ℓ normal in some scale, θ_j would lie with 95 % probability. It is left out where they are not WIDER
    apart than the normal approximation's. A loading is followed in the scale
    in which its ridge is straight (see ``Straight``). Looked at are the loadings of the latents, and all whose variance is half theirs.

    Args:
        spec: the declared model.
        density: whose peak is its ``start``.
        curvature: there, −∂²/∂θ², (p, p).
        parameters: p of them, in its order.

    Source: Venzon & Moolgavkar (1988), A method for computing profile-likelihood-based confidence intervals.
    """
    values, vectors = torch.linalg.eigh((curvature + curvature.T) / 2)
    loadings = [j for j, each in enumerate(parameters) if set(each.parents) & set(spec.latents)]
    if not loadings or values[0] <= 0:
        return ()
    covariance = (vectors / values) @ vectors.T
    bent = _straight(density, parameters, loadings)
    sides = {j: found for j in _tied(covariance, loadings) if (found := sides_of(bent, bent.to_phi(density.start), j, curvature))}
    worst = sorted(sides, key=lambda j: min(sides[j].falls))[:FOLLOWED]
    followed = [_reach(bent, sides[j], parameters[j], float(covariance[j, j].sqrt())) for j in worst]
    return tuple(sorted((each for each in followed if _wider(each)), key=lambda each: -each.ratio))


def _straight(density: Density, parameters: Sequence[Parameter], loadings: Sequence[int]) -> Straight:
    """The log posterior in coordinates in which the loadings' ridge is straight."""
    scales = {each.node: j for j, each in enumerate(parameters) if each.name == "log_scale"}
    bent = {j: scales[parameters[j].node] for j in loadings if parameters[j].node in scales}
    return Straight(density, torch.tensor([*bent], dtype=torch.int64), torch.tensor([*bent.values()], dtype=torch.int64), volume=0.0)


def _tied(covariance: Tensor, loadings: Sequence[int]) -> list[int]:
    """The places of the loadings, and of what is mostly as uncertain as it is because of them."""
    own = covariance[loadings][:, loadings]
    carried = (covariance[:, loadings] * torch.linalg.solve(own, covariance[loadings]).T).sum(1)
    return [j for j in range(len(covariance)) if j in loadings or carried[j] >= TIED * covariance[j, j]]


def _wider(each: Reach) -> bool:
    """Whether a range is wider than the curvature says: where one end is farther than that, the other may be nearer."""
    return each.low is None or each.high is None or each.ratio > WIDER


def _reach(bent: Straight, sides: Sides, parameter: Parameter, sd: float) -> Reach:
    """The record of a parameter that is followed to its ends."""
    low, high = (_end(bent, sides, side * sides.step) for side in (-1.0, 1.0))
    return Reach(
        node=parameter.node,
        parameter=parameter.name,
        estimate=parameter.estimate,
        sd=sd,
        low=None if low.open else low.at,
        high=None if high.open else high.at,
        fall_low=sides.falls[0],
        fall_high=sides.falls[1],
        ratio=(high.at - low.at) / (2 * sd * (2 * FALL) ** 0.5),
    )


class _End(NamedTuple):
    """A value of a parameter, and whether the profile goes on beyond it."""

    at: float
    open: bool


def _end(bent: Straight, sides: Sides, sd: float) -> _End:
    """Where on one side the profile has fallen by FALL, on a straight line between two steps; or the farthest place that was reached."""
    held, here, step, fallen = sides.held, sides.first, sd, 0.0
    while abs(float((here.phi - sides.first.phi)[held])) < FARTHEST * abs(sd):
        before, at = fallen, float(bent.to_theta(here.phi)[held])
        try:
            here = top_given(bent, moved(here.phi, here, held, step), held, near=here, close=CLOSE)
        except FitError:
            return _End(at, open=True)
        fallen = sides.top - bent.value_and_slope(here.phi)[0]
        if fallen >= FALL:
            return _End(at + (FALL - before) / (fallen - before) * (float(bent.to_theta(here.phi)[held]) - at), open=False)
        step *= FASTER
    return _End(float(bent.to_theta(here.phi)[held]), open=True)
