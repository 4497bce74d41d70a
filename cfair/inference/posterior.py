"""Exact moments of the latents' posterior, and expectations under it, without draws."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from cfair.inference.neighbourhood import Neighbourhood, evidence_of, neighbourhood
from cfair.inference.quadrature import integrate
from cfair.inference.uniforms import fingerprint
from cfair.interfaces import Columns, Moments, Values
from cfair.scm import SCM
from cfair.threads import with_threads

__all__ = ["NODES", "distinct", "expectation", "posterior", "posterior_of_rows"]

NODES = 9  # of the first Gauss-Hermite rule, doubled row by row until nothing moves
BLOCK = 1_024  # distinct rows integrated at a time: bounds the memory


@with_threads
def posterior(scm: SCM, columns: Columns, *, given: Collection[str] | None = None, nodes: int = NODES) -> Moments:
    """Each person's E[U | evidence] and sd[U | evidence], by adaptive quadrature; no draws.

    Args:
        scm: with its parameters learned.
        columns: n people.
        given: the evidence; the observed nodes that are neither the outcome nor its descendants if None.
        nodes: of the first rule.

    Returns:
        Moments of shape (n,), exact to 1e-8 posterior sds; empty when the model has no latent.

    Raises:
        QueryError: the evidence holds a node without an observed parent of it, or that the table lacks.
        FitError: a row's moments do not settle.
    """
    return posterior_of_rows(scm, columns.coded, columns.n, given=given, nodes=nodes)


def posterior_of_rows(scm: SCM, rows: Values, n: int, *, given: Collection[str] | None = None, nodes: int = NODES) -> Moments:
    """As ``posterior``, of ``n`` rows that need not come from a table: node -> (n,)."""
    area = neighbourhood(scm, rows, evidence_of(scm.spec, given), n)
    if area is None:
        return Moments({}, {})
    mean, sd, _ = _each_distinct_row(area, area.values, nodes, None)
    return Moments({area.latent: mean}, {area.latent: sd})


def expectation(scm: SCM, values: Values, function: Callable[[Values], Tensor], *, n: int, nodes: int = NODES) -> Tensor:
    """E[function(values with the latent) | default evidence], shape (n,), by the same quadrature.

    Args:
        scm: with its parameters learned.
        values: rows, node -> (n,), holding at least the evidence.
        function: of a mapping node -> values, the latent's of shape (Q, m) and the others' of shape (m,), to (Q, m).
        n: how many rows.
        nodes: of the first rule.
    """
    area = neighbourhood(scm, values, scm.spec.evidence, n)
    if area is None:
        return function(values).expand(n)
    return _each_distinct_row(area, values, nodes, function)[2]


def _each_distinct_row(area: Neighbourhood, values: Values, nodes: int, function: Callable[[Values], Tensor] | None) -> Tensor:
    """Mean, sd and expectation, shape (3, n), computed once for each distinct row of ``values``."""
    first, place = distinct(values, area.n)
    parts = []
    for people in first.split(BLOCK):
        rows = {node: column[people] for node, column in values.items()}

        def of_points(points: Tensor, at: Tensor, rows: Values = rows) -> Tensor:
            assert function is not None
            return function({node: column[at] for node, column in rows.items()} | {area.latent: points})

        parts.append(torch.stack(integrate(area.take(people), nodes, of_points if function is not None else None)))
    return torch.cat(parts, 1)[:, place]


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
