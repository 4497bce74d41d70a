"""Exact moments of the latents' posterior, and expectations under it, without draws."""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from cfair.inference.distinct import distinct
from cfair.inference.neighbourhood import Neighbourhood, evidence_of, joint, neighbourhoods
from cfair.inference.patterns import hidden_in, inferred_in, patterns, together
from cfair.inference.quadrature import EXACT, NODES, Integral, PointFunction, integrate
from cfair.interfaces import Columns, Moments, Values
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads

__all__ = ["each_distinct_row", "expectation", "expectation_of_incomplete", "posterior", "posterior_of_rows"]

PointMap: TypeAlias = Callable[[Values], Tensor]  # of node -> values at points of what is hidden, to (Q, m), or (Q, m, outputs)

BLOCK = 65_536  # points integrated at a time: bounds the memory
SAMPLED_ROWS = 256  # rows at a time where importance sampling may need many points


@with_threads
def posterior(scm: SCM, columns: Columns, *, given: Collection[str] | None = None, nodes: int | None = None) -> Moments:
    """Each person's posterior moments of the latents given the evidence: sums over levels, and adaptive quadrature; no draws.

    What a person lacks of the evidence is integrated out. A missing value that descends from no protected attribute has moments, too:
    predictors read it.

    Args:
        scm: with its parameters learned.
        columns: n people.
        given: the evidence; the observed nodes that are neither the outcome nor its descendants if None.
        nodes: per dimension, of the first quadrature rule: 9 for one latent, 7 for two, 5 for three if None.

    Returns:
        Moments of shape (n,), exact to 1e-8 posterior sds of one latent, 1e-6 of three; empty when the model has no latent. Of more
        that hang together, or with the engine "svi", by importance sampling: to about 0.01 posterior sds where ``k_hat`` is below 0.7.

    Raises:
        QueryError: the evidence holds a node without an observed parent of it, or that the table lacks; or more is missing at once than
            can be integrated out.
        FitError: a row's moments do not settle.
    """
    asked = evidence_of(scm.spec, given)
    kinds = patterns(columns, asked)
    if len(kinds) == 1 and not kinds[0].missing:
        return posterior_of_rows(scm, columns.coded, columns.n, given=given, nodes=nodes)
    wanted = [node for node in scm.spec.level_1 if any(node in kind.missing for kind in kinds)]
    found = []
    for kind in kinds:
        known = kind.known(asked)
        rows = {node: columns.coded[node][kind.people] for node in columns if node not in kind.missing}
        hidden, counts = inferred_in(scm.spec, known, kind.missing)
        own = _moments(neighbourhoods(scm, rows, known, len(kind.people), hidden=hidden), nodes)
        own = _with_counts(scm, own, counts, partial(_expected, scm, rows, known, len(kind.people), hidden))
        found.append((kind.people, _with_known(scm.spec, own, {node: rows[node] for node in wanted if node in rows})))
    return _together(found, (*scm.spec.latents, *wanted), columns.n)


def _with_counts(scm: SCM, found: Moments, counts: Sequence[str], expected: Callable[[PointMap, Collection[str]], Tensor]) -> Moments:
    """Moments, and those of counts without known effects: E[x] = E[E[x | parents]], and E[x²] likewise."""
    mean, sd = dict(found.mean), dict(found.sd)
    for node in counts:
        parents = scm.spec.nodes[node].parents
        mean[node] = expected(partial(_first_moment, scm, node), parents)
        sd[node] = (expected(partial(_second_moment, scm, node), parents) - mean[node].square()).clamp(min=0).sqrt()
    return Moments(mean, sd, found.probabilities, found.k_hat)


def _first_moment(scm: SCM, node: str, values: Values) -> Tensor:
    mean: Tensor = scm.mechanisms[node].distribution(scm.parents(node, values)).mean
    return mean


def _second_moment(scm: SCM, node: str, values: Values) -> Tensor:
    own = scm.mechanisms[node].distribution(scm.parents(node, values))
    second: Tensor = own.variance + own.mean.square()
    return second


def _with_known(spec: ModelSpec, hidden: Moments, known: Values) -> Moments:
    """Moments, and those of values that are known: node -> (n,)."""
    sure = {node: one_hot(column.long(), len(levels)).double() for node, column in known.items() if (levels := spec.nodes[node].levels)}
    none = {node: torch.zeros_like(column) for node, column in known.items()}
    return Moments({**hidden.mean, **known}, {**hidden.sd, **none}, {**hidden.probabilities, **sure}, hidden.k_hat)


def _together(found: Sequence[tuple[Tensor, Moments]], nodes: Sequence[str], n: int) -> Moments:
    """The moments of ``nodes`` of all ``n`` people, from those of some people each, given by position."""
    mean = {node: together([(people, part.mean[node]) for people, part in found], n) for node in nodes}
    sd = {node: together([(people, part.sd[node]) for people, part in found], n) for node in nodes}
    discrete = [node for node in nodes if node in found[0][1].probabilities]
    probabilities = {node: together([(people, part.probabilities[node]) for people, part in found], n) for node in discrete}
    sampled = [node for node in nodes if any(node in part.k_hat for _, part in found)]
    k_hat = {
        node: together([(people, part.k_hat.get(node, torch.zeros(len(people), dtype=torch.float64))) for people, part in found], n)
        for node in sampled
    }
    return Moments(mean, sd, probabilities, k_hat)


def posterior_of_rows(scm: SCM, rows: Values, n: int, *, given: Collection[str] | None = None, nodes: int | None = None) -> Moments:
    """As ``posterior``, of ``n`` rows that need not come from a table: node -> (n,)."""
    found = _moments(neighbourhoods(scm, rows, evidence_of(scm.spec, given), n), nodes)
    return Moments(
        {name: found.mean[name] for name in scm.spec.latents},
        {name: found.sd[name] for name in scm.spec.latents},
        found.probabilities,
        found.k_hat,
    )


def _moments(areas: Iterable[Neighbourhood], nodes: int | None) -> Moments:
    """The moments of everything that is hidden in ``areas``."""
    mean: dict[str, Tensor] = {}
    sd: dict[str, Tensor] = {}
    probabilities: dict[str, Tensor] = {}
    k_hat: dict[str, Tensor] = {}
    for area in areas:
        found = each_distinct_row(area, area.values, None, nodes)
        mean |= dict(zip(area.real, found.mean, strict=True))
        sd |= dict(zip(area.real, found.sd, strict=True))
        k_hat |= dict.fromkeys(area.real if area.sampled else (), found.k_hat)
        for latent, column in area.levels().items():
            p = torch.stack([found.combinations[:, column == level].sum(-1) for level in column.unique()], -1)
            index = torch.arange(p.shape[-1], dtype=torch.float64)
            mean[latent] = p @ index
            sd[latent] = (p * (index - mean[latent].unsqueeze(-1)).square()).sum(-1).sqrt()
            probabilities[latent] = p
    return Moments(mean, sd, probabilities, k_hat)


def expectation(scm: SCM, values: Values, function: PointMap, *, n: int, outputs: int = 0) -> Tensor:
    """E[function(values with the latents) | default evidence], shape (n,) or (n, outputs), by the same quadrature.

    Args:
        scm: with its parameters learned.
        values: rows, node -> (n,), holding at least the evidence.
        function: of a mapping node -> values, real latents' of shape (Q, m) and the others' of shape (m,), to (Q, m), or, where
            it gives several numbers, (Q, m, outputs).
        n: how many rows.
        outputs: how many numbers the function gives of each point; 0: one, without a dimension of its own.

    Raises:
        QueryError: there are more latents than are integrated out together.
    """
    if not scm.spec.latents:
        return function(values).expand(n, *_dimension(outputs))
    area = joint(scm, values, scm.spec.evidence, n)
    return each_distinct_row(area, values, function, None, outputs=outputs).expected.reshape(n, *_dimension(outputs))


def expectation_of_incomplete(scm: SCM, columns: Columns, function: PointMap, *, reads: Collection[str], outputs: int = 0) -> Tensor:
    """As ``expectation``, of people who may lack some of the evidence, which is integrated out with the latents.

    Args:
        scm: with its parameters learned.
        columns: n people.
        function: as in ``expectation``.
        reads: the latents and non-descendants of protected attributes that ``function`` reads.
        outputs: as in ``expectation``.

    Raises:
        QueryError: more is missing at once than can be integrated out.
    """
    parts = []
    for kind in patterns(columns, scm.spec.evidence):
        known, m = kind.known(scm.spec.evidence), len(kind.people)
        rows = {node: columns.coded[node][kind.people] for node in scm.spec.evidence if node in known}
        hidden = hidden_in(scm.spec, known, kind.missing, wanted=[node for node in kind.missing if node in reads])
        parts.append((kind.people, _expected(scm, rows, known, m, hidden, function, reads, outputs)))
    return together(parts, columns.n)


def _expected(
    scm: SCM,
    rows: Values,
    known: Collection[str],
    n: int,
    hidden: Sequence[str],
    function: PointMap,
    reads: Collection[str],
    outputs: int = 0,
) -> Tensor:
    """E[function(what is known, and what of ``hidden`` it reads) | what is known], shape (n,) or (n, outputs)."""
    seen = {node: rows[node] for node in rows if node in known}
    if set(hidden).isdisjoint(reads):
        return function(seen).expand(n, *_dimension(outputs))
    area = joint(scm, seen, known, n, hidden=hidden, reads=reads)
    return each_distinct_row(area, seen, function, None, outputs=outputs).expected.reshape(n, *_dimension(outputs))


def _dimension(outputs: int) -> tuple[int, ...]:
    """The last dimension of a function's answers, if they have one of their own."""
    return (outputs,) if outputs else ()


def each_distinct_row(area: Neighbourhood, values: Values, function: PointMap | None, nodes: int | None, *, outputs: int = 0) -> Integral:
    """The integral, computed once for each distinct row of ``values``."""
    first, place = distinct(values, area.n)
    d = len(area.real)
    size = max((SAMPLED_ROWS if area.sampled else BLOCK // NODES.get(d, EXACT) ** d) // area.combinations, 1)
    parts = []
    for people in first.split(size):
        part = area.take(people)
        rows = {node: column[people] for node, column in values.items()}
        parts.append(
            integrate(part, None if function is None else _of_points(part, rows, function, outputs), outputs=outputs or 1, nodes=nodes)
        )
    return Integral(
        torch.cat([part.log_evidence for part in parts])[place],
        torch.cat([part.mean for part in parts], 1)[:, place],
        torch.cat([part.sd for part in parts], 1)[:, place],
        torch.cat([part.combinations for part in parts])[place],
        torch.cat([part.k_hat for part in parts])[place],
        torch.cat([part.expected for part in parts])[place],
    )


def _of_points(area: Neighbourhood, values: Values, function: PointMap, outputs: int) -> PointFunction:
    """``function`` of points and positions in the rows of ``area.enumerated()``."""
    levels = area.levels()

    def of_points(points: Tensor, at: Tensor) -> Tensor:
        known = {node: column[at % area.n] for node, column in values.items()}
        chosen = {latent: column[at // area.n] for latent, column in levels.items()}
        found = function({**known, **chosen, **dict(zip(area.real, points, strict=True))})
        return found.expand(*points.shape[1:], *_dimension(outputs)).reshape(*points.shape[1:], outputs or 1)

    return of_points
