"""From evidence to worlds: joint posterior draws of each person's latents and noise."""

from collections.abc import Callable, Collection, Mapping
from functools import cache, partial

from torch import Tensor

from cfair.errors import QueryError
from cfair.inference.drawing import draw
from cfair.inference.neighbourhood import Neighbourhood, evidence_of, neighbourhoods
from cfair.inference.posterior import posterior
from cfair.inference.uniforms import PersonalUniforms
from cfair.interfaces import Columns, Values, World
from cfair.lazy import Lazy
from cfair.scm import SCM
from cfair.threads import with_threads
from cfair.worlds import collapse

__all__ = ["abduct"]


@with_threads
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
    asked = evidence_of(scm.spec, given)
    areas = neighbourhoods(scm, columns.coded, asked, columns.n)
    evidence = tuple(node for node in scm.spec.order if node in asked)
    seen = {node: columns.coded[node] for node in evidence}
    uniform = PersonalUniforms(scm, seen, n=columns.n, draws=draws, seed=seed)
    shape = (draws, columns.n)
    values_made: dict[str, Callable[[], Tensor]] = {}
    noise_made: dict[str, Callable[[], Tensor]] = {}
    values, noise = Lazy(values_made), Lazy(noise_made)
    drawn = {latent: area_drawn for area in areas for area_drawn in [cache(partial(_drawn, area, uniform))] for latent in area.latents}
    for node in scm.spec.order:
        if node in evidence:
            values_made[node] = partial(seen[node].expand, shape)
            noise_made[node] = partial(_abducted, scm, node, values, uniform, shape)
        elif node in drawn:
            values_made[node] = partial(_one_of, drawn[node], node)
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


def _drawn(area: Neighbourhood, uniform: PersonalUniforms) -> dict[str, Tensor]:
    """The values of latents that hang together, from their joint posterior."""
    shift = {latent: uniform.shift(f"{latent}[proposals]") for latent in area.real}
    return draw(area, {latent: uniform.value(latent) for latent in area.latents}, shift)


def _one_of(drawn: Callable[[], Mapping[str, Tensor]], latent: str) -> Tensor:
    return drawn()[latent]
