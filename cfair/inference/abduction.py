"""From evidence to worlds: joint posterior draws of each person's latents and noise."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

from torch import Tensor

from cfair.errors import QueryError
from cfair.inference.drawing import draw
from cfair.inference.neighbourhood import Neighbourhood, evidence_of, neighbourhoods
from cfair.inference.patterns import Pattern, causes_of, hidden_in, patterns, together
from cfair.inference.posterior import posterior
from cfair.inference.uniforms import PersonalUniforms
from cfair.interfaces import Columns, Values, World
from cfair.lazy import Lazy
from cfair.scm import SCM
from cfair.threads import with_threads
from cfair.worlds import collapse

__all__ = ["abduct", "completed"]


@with_threads
def abduct(
    scm: SCM,
    columns: Columns,
    *,
    given: Collection[str] | None = None,
    draws: int = 200,
    seed: int = 0,
    occurrence: Tensor | None = None,
) -> World:
    """The factual world of n people: joint posterior draws of latents and noise given the evidence.

    A latent is drawn from its posterior; every node's noise is then drawn from its conditional given that draw, so that
    the pair is a joint draw. A node outside the evidence gets noise from its prior, and the value that follows from it. A
    person's draws depend on the seed and on that person's evidence only. All is computed when first read.

    What a person lacks of the evidence is drawn with the latents, from their joint posterior given what the person has; its values then
    differ by draw, and so does the noise that follows.

    Args:
        scm: with its parameters learned.
        columns: n people.
        given: the evidence; the observed nodes that are neither the outcome nor its descendants if None.
        draws: posterior draws per person.
        seed: of the draws.
        occurrence: of each person among equal ones, (n,), int64, as ``occurrences`` counts them, for estimates over a population: people
            of the same evidence then have draws of their own, whose errors average out. None: they have the same.

    Returns:
        A world of shape (draws, n), with the latents' exact moments.

    Raises:
        QueryError: ``draws`` is not positive; the evidence holds a node without an observed parent of it, or that the table lacks;
            or more is missing at once than can be integrated out.
        FitError: a row's posterior moments do not settle.

    Source: Pearl (2009), Causality, Theorem 7.1.7, step 1.
    """
    if draws < 1:
        raise QueryError("draws", f"{draws} draws cannot be made", "ask for at least 1")
    asked = evidence_of(scm.spec, given)
    evidence = tuple(node for node in scm.spec.order if node in asked)
    how = _Drawing(draws, seed, occurrence)
    parts = [(kind.people, _some(scm, columns, kind, asked, how)) for kind in patterns(columns, asked)]
    values, noise = parts[0][1] if len(parts) == 1 else _everyone([people for people, _ in parts], [made for _, made in parts], columns.n)
    return World(values, noise, (draws, columns.n), evidence, posterior(scm, columns, given=evidence))


class _Drawing(NamedTuple):
    """How draws are made.

    Args:
        draws: per person.
        seed: of them.
        occurrence: of each person among equal ones, (n,), or None.
    """

    draws: int
    seed: int
    occurrence: Tensor | None = None

    def of(self, people: Tensor, n: int) -> "_Drawing":
        """The same for some of ``n`` people, by position."""
        return self if self.occurrence is None or len(people) == n else self._replace(occurrence=self.occurrence[people])


def _some(scm: SCM, columns: Columns, kind: Pattern, asked: Collection[str], how: _Drawing) -> tuple[Values, Values]:
    """Values and noise of people who lack the same part of the evidence ``asked``."""
    people = columns if len(kind.people) == columns.n else columns.take(kind.people)
    known = kind.known(asked)
    rows = {node: column for node, column in people.coded.items() if node not in kind.missing}
    hidden = hidden_in(scm.spec, known, kind.missing) if kind.missing else None
    areas = neighbourhoods(scm, rows, known, people.n, hidden=hidden)
    return _made(scm, areas, {node: rows[node] for node in known}, people.n, how.of(kind.people, columns.n))


def completed(scm: SCM, rows: Values, n: int, *, draws: int, seed: int) -> Values:
    """Draws of all nodes given what is known of some, which need not hold its own causes: node -> (draws, n).

    All that causes what is known is integrated out, a protected attribute, too; the rest follows from it.

    Args:
        scm: with its parameters learned.
        rows: all that is known, node -> (n,).
        n: how many rows.
        draws: per row.
        seed: of the draws; a row's depend on it and on what is known of that row only.

    Raises:
        QueryError: too much that hangs together is unknown, or a count with known effects.
    """
    areas = neighbourhoods(scm, rows, frozenset(rows), n, hidden=causes_of(scm.spec, rows))
    values, _ = _made(scm, areas, rows, n, _Drawing(draws, seed))
    return values


def _made(scm: SCM, areas: Iterable[Neighbourhood], known: Values, n: int, how: _Drawing) -> tuple[Values, Values]:
    """Values and noise of n people given what is known: drawn in ``areas``, else what follows from noise of its own."""
    seen, shape = {node: known[node] for node in scm.spec.order if node in known}, (how.draws, n)
    uniform = PersonalUniforms(scm, seen, n=n, draws=how.draws, seed=how.seed, occurrence=how.occurrence)
    values_made: dict[str, Callable[[], Tensor]] = {}
    noise_made: dict[str, Callable[[], Tensor]] = {}
    values, noise = Lazy(values_made), Lazy(noise_made)
    drawn = {latent: area_drawn for area in areas for area_drawn in [cache(partial(_drawn, area, uniform))] for latent in area.latents}
    for node in scm.spec.order:
        if node in seen:
            values_made[node] = partial(seen[node].expand, shape)
            noise_made[node] = partial(_abducted, scm, node, values, uniform, shape)
        elif node in drawn:
            values_made[node] = partial(_one_of, drawn[node], node)
            noise_made[node] = partial(_abducted, scm, node, values, uniform, shape)
        else:
            values_made[node] = partial(_followed, scm, node, values, noise, shape)
            noise_made[node] = partial(_fresh, scm, node, uniform)
    return values, noise


def _everyone(people: Sequence[Tensor], made: Sequence[tuple[Values, Values]], n: int) -> tuple[Values, Values]:
    """Values and noise of all ``n`` people, from those of some of them each, given by position."""
    values, noise = (Lazy({node: partial(_joined, node, people, parts, n) for node in parts[0]}) for parts in zip(*made, strict=True))
    return values, noise


def _joined(node: str, people: Sequence[Tensor], parts: Sequence[Values], n: int) -> Tensor:
    """One node's values or noise of everyone, (draws, n, ...); an expanded view where all draws agree."""
    own = [part[node] for part in parts]
    if all(part.stride(0) == 0 for part in own):
        first = together(list(zip(people, [part[:1] for part in own], strict=True)), n, dim=1)
        return first.expand(len(own[0]), *first.shape[1:])
    return together(list(zip(people, own, strict=True)), n, dim=1)


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
