"""Parameters climbed to their most probable values: of a node by itself, and of nodes whose hidden parents or values tie them together."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.conventions import orient
from cfair.inference.loadings import perturb_loadings
from cfair.inference.log_posterior import FEW, MOVED, LogPosterior, alone
from cfair.inference.neighbourhood import Neighbourhood
from cfair.inference.optimise import GRADIENT, ROUNDING, Peak, maximise
from cfair.interfaces import Values
from cfair.scm import SCM

__all__ = ["ROUGH", "Together", "climb", "learn_alone", "learn_together"]

SUBSAMPLE = 1_000  # rows from which the curvature is estimated
FIRST = 4_000  # rows that lead to where all of them are used
SLOPE = 2e-2  # largest slope left where importance sampling integrates latents out: its own error is larger
ROUGH = 0.1  # slope per posterior sd that is small enough where only a place to start from is sought
STARTS = 6  # of a mixture over levels, whose likelihood has several tops


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Nodes whose parameters are learned at once.

    Args:
        scm: has them.
        areas: the latents among them, with their children.
        density: rung of the ladder of quadrature rules -> the log posterior by that rule.
        fine_enough: the first rung, from one on, that the next one would not change at the SCM's parameters.
    """

    scm: SCM
    areas: tuple[Neighbourhood, ...]
    density: Callable[[int], LogPosterior]
    fine_enough: Callable[[int], int]

    @property
    def sampled(self) -> bool:
        """Whether importance sampling integrates some of the latents out."""
        return any(area.sampled for area in self.areas)


def learn_alone(scm: SCM, node: str, values: Values, weights: Tensor | None, *, gradient: float, seed: int) -> None:
    """Set the free parameters of one node given its parents; of a latent's child, with the latent at 0, as a place to start from."""
    scm.mechanisms[node].start(values[node])
    peak = _fit(alone(scm, node, values, weights), gradient=gradient, seed=seed)
    if gradient == GRADIENT:
        peak.check(f"learning {node}")


def learn_together(group: Together, *, seed: int) -> None:
    """Set the free parameters of nodes: from one start, or the best of several, then in the declared convention."""
    rung = climb(group, seed=seed)
    if any(area.discrete for area in group.areas):
        rung = _best_of_starts(group, rung, seed=seed)
    moved = [orient(group.scm, area.factors) for area in group.areas]
    if any(moved):  # levels that changed places have priors of their own: the top is near, and not the same
        climb(group, rung, seed=seed)


def climb(group: Together, rung: int = 0, *, seed: int) -> int:
    """Maximise the marginal likelihood, with finer rules until the next one would not change it; the rung that did."""
    while True:
        density = group.density(rung)
        if group.sampled:  # the coarsest rule says well enough how the density bends
            peak = _fit(density, gradient=SLOPE, rows=FEW, bends=group.density(0), seed=seed)
        else:
            peak = _fit(density, gradient=GRADIENT, seed=seed)
        fine = group.fine_enough(rung)
        if fine == rung:
            # not before: where the rule is too coarse, value and slope disagree
            peak.check(f"learning {', '.join(density.nodes)}", MOVED if group.sampled else ROUNDING)
            return rung
        rung = fine


def _best_of_starts(group: Together, rung: int, *, seed: int) -> int:
    """The highest of several tops; the first is where the SCM stands."""
    density = group.density(rung)
    best, begin = density.start, density.start
    height, _ = density.value_and_slope(best)
    for k in range(1, STARTS):
        density.free.write(begin)
        for area in group.areas:
            perturb_loadings(area, seed=seed + k)
        try:
            found = climb(group, rung, seed=seed)
        except FitError:
            continue  # this start led nowhere; the first one did lead to a top
        reached, _ = density.value_and_slope(density.start)
        if reached > height:
            best, height, rung = density.start, reached, found
    density.free.write(best)
    return rung


def _fit(density: LogPosterior, *, gradient: float, rows: int = SUBSAMPLE, bends: LogPosterior | None = None, seed: int) -> Peak:
    """Set the free parameters to their most probable values; so many rows of ``bends`` give the curvature by which they are whitened."""
    people, start = torch.randperm(density.log_likelihood.n, generator=torch.Generator().manual_seed(seed)), density.start
    curvature = partial((bends or density).hessian, people=people[:rows])
    if len(people) > 2 * FIRST:  # most of the way, some rows lead as well as all
        start = maximise(partial(density.value_and_slope, people=people[:FIRST]), start, curvature=curvature, gradient=ROUGH).theta
    peak = maximise(density.value_and_slope, start, curvature=curvature, gradient=gradient)
    density.free.write(peak.theta)
    return peak
