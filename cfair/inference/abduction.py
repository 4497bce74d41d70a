"""From evidence to worlds: joint posterior draws of each person's latents and noise."""

from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.inference.neighbourhood import Neighbourhood, neighbourhood
from cfair.inference.posterior import posterior
from cfair.inference.quadrature import mode, support
from cfair.inference.uniforms import PersonalUniforms
from cfair.interfaces import Columns, Values, World
from cfair.lazy import Lazy
from cfair.scm import SCM
from cfair.worlds import collapse

__all__ = ["abduct"]

GRID = 160  # intervals between the ends of a row's posterior: the distribution function is right to 1e-7


def abduct(scm: SCM, columns: Columns, *, given: Collection[str] | None = None, draws: int = 200, seed: int = 0) -> World:
    """The factual world of n people: joint posterior draws of latents and noise given the evidence.

    A latent is drawn from its posterior; every node's noise is then drawn from its conditional given that draw, so that
    the pair is a joint draw. A node outside the evidence gets noise from its prior, and the value that follows from it. A
    person's draws depend on the seed and on that person's evidence only. All is computed when first read.

    Args:
        scm: with its parameters learned.
        columns: n people.
        given: the evidence; the observed nodes that are neither the outcome nor its descendants if None.
        draws: posterior draws per person.
        seed: of the draws.

    Returns:
        A world of shape (draws, n), with the latents' exact moments.

    Raises:
        QueryError: ``draws`` is not positive; the evidence holds a node without an observed parent of it, or that the table lacks.
        FitError: a row's posterior moments do not settle.

    Source: Pearl (2009), Causality, Theorem 7.1.7, step 1.
    """
    if draws < 1:
        raise QueryError("draws", f"{draws} draws cannot be made", "ask for at least 1")
    evidence = tuple(node for node in scm.spec.order if node in set(scm.spec.evidence if given is None else given))
    area = neighbourhood(scm, columns.coded, evidence, columns.n)
    seen = {node: columns.coded[node] for node in evidence}
    uniform = PersonalUniforms(scm, seen, n=columns.n, draws=draws, seed=seed)
    shape = (draws, columns.n)
    values_made: dict[str, Callable[[], Tensor]] = {}
    noise_made: dict[str, Callable[[], Tensor]] = {}
    values, noise = Lazy(values_made), Lazy(noise_made)
    for node in scm.spec.order:
        if node in evidence:
            values_made[node] = partial(seen[node].expand, shape)
            noise_made[node] = partial(_abducted, scm, node, values, uniform, shape)
        elif area is not None and node == area.latent:
            values_made[node] = partial(_latent_draws, area, uniform)
            noise_made[node] = partial(_abducted, scm, node, values, uniform, shape)
        else:
            values_made[node] = partial(_followed, scm, node, values, noise, shape)
            noise_made[node] = partial(_fresh, scm, node, uniform)
    return World(values, noise, shape, evidence, posterior(scm, columns, given=evidence))


def _abducted(scm: SCM, node: str, values: Values, uniform: PersonalUniforms, shape: tuple[int, int]) -> Tensor:
    """Noise of a node whose value is known, given this draw of its parents."""
    parents = {parent: collapse(value) for parent, value in scm.parents(node, values).items()}
    mechanism = scm.mechanisms[node]
    noise = mechanism.abduct(collapse(values[node]), parents, uniform(node))
    return noise.expand(*shape, *noise.shape[2:])


def _fresh(scm: SCM, node: str, uniform: PersonalUniforms) -> Tensor:
    """Noise of a node outside the evidence, from its prior."""
    return scm.mechanisms[node].noise(uniform(node))


def _followed(scm: SCM, node: str, values: Values, noise: Values, shape: tuple[int, int]) -> Tensor:
    """Value of a node outside the evidence, from its parents and noise."""
    return scm.mechanisms[node].value(noise[node], scm.parents(node, values)).expand(shape)


def _latent_draws(area: Neighbourhood, uniform: PersonalUniforms) -> Tensor:
    """Draws (draws, n) from each row's posterior: its distribution function, tabulated and inverted at the person's uniforms."""
    center, _ = mode(area)
    low, high = support(area, center)
    step = (high - low) / GRID
    grid = low + step * torch.arange(-1, GRID + 2, dtype=torch.float64).unsqueeze(-1)  # one more on either side
    density = (area.log_joint(grid) - area.log_joint(center)).exp()
    left, right = density[1:-2], density[2:-1]
    mass = (13 * (left + right) - density[:-3] - density[3:]).clamp(min=0) / 24  # of each interval, to fourth order
    cumulative = torch.cat([torch.zeros_like(step).unsqueeze(0), mass.cumsum(0)])
    target = uniform(area.latent) * cumulative[-1]
    interval = (torch.searchsorted(cumulative.T.contiguous(), target.T.contiguous()).T - 1).clamp(0, GRID - 1)
    within = (target - cumulative.gather(0, interval)) / mass.gather(0, interval)
    fraction = _inverse(within, left.gather(0, interval) / mass.gather(0, interval), right.gather(0, interval) / mass.gather(0, interval))
    return low + step * (interval + fraction)


def _inverse(share: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """t in [0, 1] at which the cubic with values 0 and 1 and slopes ``left`` and ``right`` at its ends is ``share``; Newton's method."""
    t = share
    for _ in range(4):
        value = t * (left + t * ((3 - 2 * left - right) + t * (left + right - 2)))
        slope = left + t * (2 * (3 - 2 * left - right) + 3 * t * (left + right - 2))
        t = (t - (value - share) / slope.clamp(min=1e-3)).clamp(0, 1)
    return t
