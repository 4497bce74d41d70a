"""Exact moments of the latents' posterior, and expectations under it, without draws."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from cfair.inference.neighbourhood import Neighbourhood, evidence_of, joint, neighbourhoods
from cfair.inference.quadrature import NODES, Integral, PointFunction, integrate
from cfair.inference.uniforms import fingerprint
from cfair.interfaces import Columns, Moments, Values
from cfair.scm import SCM
from cfair.threads import with_threads

__all__ = ["distinct", "expectation", "posterior", "posterior_of_rows"]

BLOCK = 65_536  # points integrated at a time: bounds the memory
SAMPLED_ROWS = 256  # rows at a time where importance sampling may need many points


@with_threads
def posterior(scm: SCM, columns: Columns, *, given: Collection[str] | None = None, nodes: int | None = None) -> Moments:
    """Each person's posterior moments of the latents given the evidence: sums over levels, and adaptive quadrature; no draws.

    Args:
        scm: with its parameters learned.
        columns: n people.
        given: the evidence; the observed nodes that are neither the outcome nor its descendants if None.
        nodes: per dimension, of the first quadrature rule: 9 for one latent, 7 for two, 5 for three if None.

    Returns:
        Moments of shape (n,), exact to 1e-8 posterior sds of one latent, 1e-6 of three; empty when the model has no latent. Of more
        that hang together, or with the engine "svi", by importance sampling: to about 0.01 posterior sds where ``k_hat`` is below 0.7.

    Raises:
        QueryError: the evidence holds a node without an observed parent of it, or that the table lacks.
        FitError: a row's moments do not settle.
    """
    return posterior_of_rows(scm, columns.coded, columns.n, given=given, nodes=nodes)


def posterior_of_rows(scm: SCM, rows: Values, n: int, *, given: Collection[str] | None = None, nodes: int | None = None) -> Moments:
    """As ``posterior``, of ``n`` rows that need not come from a table: node -> (n,)."""
    mean: dict[str, Tensor] = {}
    sd: dict[str, Tensor] = {}
    probabilities: dict[str, Tensor] = {}
    k_hat: dict[str, Tensor] = {}
    for area in neighbourhoods(scm, rows, evidence_of(scm.spec, given), n):
        found = _each_distinct_row(area, area.values, None, nodes)
        mean |= dict(zip(area.real, found.mean, strict=True))
        sd |= dict(zip(area.real, found.sd, strict=True))
        k_hat |= dict.fromkeys(area.real if area.sampled else (), found.k_hat)
        for latent, column in area.levels().items():
            p = torch.stack([found.combinations[:, column == level].sum(-1) for level in column.unique()], -1)
            index = torch.arange(p.shape[-1], dtype=torch.float64)
            mean[latent] = p @ index
            sd[latent] = (p * (index - mean[latent].unsqueeze(-1)).square()).sum(-1).sqrt()
            probabilities[latent] = p
    mean, sd = ({name: each[name] for name in scm.spec.latents} for each in (mean, sd))
    return Moments(mean, sd, probabilities, k_hat)


def expectation(scm: SCM, values: Values, function: Callable[[Values], Tensor], *, n: int) -> Tensor:
    """E[function(values with the latents) | default evidence], shape (n,), by the same quadrature.

    Args:
        scm: with its parameters learned.
        values: rows, node -> (n,), holding at least the evidence.
        function: of a mapping node -> values, real latents' of shape (Q, m) and the others' of shape (m,), to (Q, m).
        n: how many rows.

    Raises:
        QueryError: there are more latents than a product rule integrates out together.
    """
    if not scm.spec.latents:
        return function(values).expand(n)
    area = joint(scm, values, scm.spec.evidence, n)
    return _each_distinct_row(area, values, function, None).expected


def _each_distinct_row(area: Neighbourhood, values: Values, function: Callable[[Values], Tensor] | None, nodes: int | None) -> Integral:
    """The integral, computed once for each distinct row of ``values``."""
    first, place = distinct(values, area.n)
    d = len(area.real)
    size = max((SAMPLED_ROWS if area.sampled else BLOCK // NODES.get(d, 1) ** d) // area.combinations, 1)
    parts = []
    for people in first.split(size):
        part = area.take(people)
        rows = {node: column[people] for node, column in values.items()}
        parts.append(integrate(part, None if function is None else _of_points(part, rows, function), nodes=nodes))
    return Integral(
        torch.cat([part.log_evidence for part in parts])[place],
        torch.cat([part.mean for part in parts], 1)[:, place],
        torch.cat([part.sd for part in parts], 1)[:, place],
        torch.cat([part.combinations for part in parts])[place],
        torch.cat([part.k_hat for part in parts])[place],
        torch.cat([part.expected for part in parts])[place],
    )


def _of_points(area: Neighbourhood, values: Values, function: Callable[[Values], Tensor]) -> PointFunction:
    """``function`` of points and positions in the rows of ``area.enumerated()``."""
    levels = area.levels()

    def of_points(points: Tensor, at: Tensor) -> Tensor:
        known = {node: column[at % area.n] for node, column in values.items()}
        chosen = {latent: column[at // area.n] for latent, column in levels.items()}
        return function({**known, **chosen, **dict(zip(area.real, points, strict=True))}).expand(points.shape[1:])

    return of_points


def distinct(values: Values, n: int) -> tuple[Tensor, Tensor]:
    """Positions of one row of each kind, (m,), and each row's kind, (n,)."""
    everyone = torch.arange(n)
    if not values:
        return torch.zeros(1, dtype=torch.int64), torch.zeros_like(everyone)
    _, place = torch.unique(fingerprint(values), return_inverse=True)
    first = torch.empty(int(place.max()) + 1, dtype=torch.int64).scatter_(0, place.flip(0), everyone.flip(0))
    if all(torch.equal(column[first][place], column) for column in values.values()):
        return first, place
    return everyone, everyone  # two different rows share a fingerprint: once in 2⁶⁴
