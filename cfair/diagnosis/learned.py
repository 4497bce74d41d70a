"""What the training rows say of the parameters: their curvature at the estimate, block by block of nodes."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from cfair.diagnosis.movement import Density, flat_directions, movements, parameters_of
from cfair.diagnosis.reaches import reaches
from cfair.diagnosis.records import EngineCheck, Flat, Movement, Reach
from cfair.diagnosis.streams import stream
from cfair.errors import FitError
from cfair.inference.log_posterior import LogPosterior, log_posteriors
from cfair.interfaces import Columns
from cfair.scm import SCM

__all__ = ["Learned", "learned", "of_densities"]

ROWS = 10_000  # from which the curvature is estimated
OFF = 0.1  # posterior sds that an estimate may lie from the peak of the normal approximation to its posterior


class Learned(NamedTuple):
    """Movement of the latents' loadings, flat directions among all parameters, ridges, and whether the estimate is a peak."""

    latents: tuple[Movement, ...] = ()
    flat: tuple[Flat, ...] = ()
    engine: tuple[EngineCheck, ...] = ()
    reaches: tuple[Reach, ...] = ()


def learned(scm: SCM, training: Columns | None, *, seed: int) -> Learned:
    """The same, of the rows that the parameters were learned from, of which ROWS at most give the curvature.

    Parameters that are learned in closed form have no curvature here: their mechanism states their posterior.
    """
    if training is None:
        return Learned(engine=_absent("the rows that the parameters were learned from are not given"))
    if training.missing:
        return Learned(engine=_absent("some of the rows that the parameters were learned from lack values"))
    try:
        densities = tuple(_FromSome(density, seed) for density in log_posteriors(scm, training))
    except FitError as error:
        return Learned(engine=tuple(replace(check, verdict="fails") for check in _absent(str(error))))
    return of_densities(scm, densities) if densities else Learned(engine=_absent("no parameter is learned by its density"))


def of_densities(scm: SCM, densities: tuple[Density, ...]) -> Learned:
    """The same, of the log posteriors of blocks of nodes that do not depend on one another."""
    latents, flat, off, wide = list[Movement](), list[Flat](), dict[str, float](), list[Reach]()
    for density in densities:
        parameters, curvature = parameters_of(scm, density.nodes), -density.hessian(density.start)
        latents += movements(scm.spec, curvature, parameters)
        flat += flat_directions(curvature, parameters)
        off[", ".join(density.nodes)] = _off(density, curvature)
        wide += reaches(scm.spec, density, curvature, parameters)
    return Learned(
        latents=tuple(sorted(latents, key=lambda movement: -movement.ratio)),
        flat=tuple(sorted(flat, key=lambda each: -each.ratio)),
        engine=(_peak(off), _count(flat, wide)),
        reaches=tuple(sorted(wide, key=lambda each: -each.ratio)),
    )


@dataclass(frozen=True, slots=True)
class _FromSome:
    """A log posterior of all rows, its curvature estimated from ROWS of them: the slope of some rows does not vanish at the peak of all."""

    whole: LogPosterior
    seed: int

    @property
    def nodes(self) -> tuple[str, ...]:
        """Whose parameters they are."""
        return self.whole.nodes

    @property
    def start(self) -> Tensor:
        """The estimate, shape (p,)."""
        return self.whole.start

    def value_and_slope(self, theta: Tensor) -> tuple[float, Tensor]:
        """Of all rows."""
        return self.whole.value_and_slope(theta)

    def hessian(self, theta: Tensor, people: Tensor | None = None) -> Tensor:
        """Of ``people``, or else of ROWS of the rows, each standing for several, shape (p, p)."""
        n = self.whole.log_likelihood.n
        if people is None and n > ROWS:
            people = torch.randperm(n, generator=stream(self.seed, "curvature"))[:ROWS]
        return self.whole.hessian(theta, people)


def _off(density: Density, curvature: Tensor) -> float:
    """√(gᵀH⁻¹g), g the slope at the estimate: how many posterior sds away Newton's method would step; ∞ where it is no peak."""
    slope = density.value_and_slope(density.start)[1]
    values, vectors = torch.linalg.eigh((curvature + curvature.T) / 2)
    if values.min() <= 0:
        return float("inf")
    return float(((vectors.T @ slope).square() / values).sum().sqrt())


def _peak(off: dict[str, float]) -> EngineCheck:
    worst = max(off, key=off.__getitem__)
    limit = f"at most {OFF:g} posterior sds"
    if off[worst] == float("inf"):
        return EngineCheck(check="distance from the peak", of=worst, limit=limit, verdict="fails", why="the estimate is no peak")
    return EngineCheck(
        check="distance from the peak", of=worst, value=off[worst], limit=limit, verdict="passes" if off[worst] <= OFF else "fails"
    )


def _count(flat: list[Flat], wide: list[Reach]) -> EngineCheck:
    """Directions that are flat at the estimate, and parameters along which the log posterior is flat farther out."""
    count, why = float(len(flat) + len(wide)), f"{wide[0].node}.{wide[0].parameter} goes along a ridge" if wide else None
    return EngineCheck(check="flat directions", value=count, limit="none", verdict="untestable" if count else "passes", why=why)


def _absent(why: str) -> tuple[EngineCheck, ...]:
    limits = {"distance from the peak": f"at most {OFF:g} posterior sds", "flat directions": "none"}
    return tuple(EngineCheck(check=check, limit=limit, verdict="not checked", why=why) for check, limit in limits.items())
