"""Rows that lack the same values: what is known of them, and what is hidden."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.graph import ancestors
from cfair.inference.limits import check_latents, too_many
from cfair.interfaces import Columns
from cfair.spec import ModelSpec

__all__ = ["Pattern", "causes_of", "check_patterns", "check_whole", "hidden_in", "inferred_in", "patterns", "together"]


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Some people who lack the same values.

    Args:
        missing: the nodes without an entry, in declared order.
        people: their positions in the table, shape (m,), int64.
    """

    missing: tuple[str, ...]
    people: Tensor

    def known(self, given: Collection[str]) -> frozenset[str]:
        """What these people's evidence holds, where everyone's is to hold ``given``."""
        return frozenset(given).difference(self.missing)


def patterns(columns: Columns, given: Collection[str]) -> tuple[Pattern, ...]:
    """Everyone, parted by which values of ``given`` are missing; one pattern where none is."""
    nodes = [node for node in columns.missing if node in given]
    if not nodes:
        return (Pattern((), torch.arange(columns.n)),)
    kinds, place = torch.unique(torch.stack([columns.missing[node] for node in nodes], -1), dim=0, return_inverse=True)
    names = [tuple(node for node, gone in zip(nodes, kind, strict=True) if gone) for kind in kinds.tolist()]
    return tuple(Pattern(missing, (place == j).nonzero().squeeze(-1)) for j, missing in enumerate(names))


def check_patterns(spec: ModelSpec, columns: Columns, *, needs: Iterable[Collection[str]] = ()) -> None:
    """Refuse, before any work, rows in which more is missing at once than can be integrated out.

    Args:
        spec: the declared model.
        columns: people, some of whom lack values.
        needs: sets of nodes from what is known of which alone rows are completed, too.

    Raises:
        QueryError: with the nodes that are missing together; or some values are missing, and so many latents hang together that
            importance sampling integrates them out.
    """
    if too_many(spec, spec.observed):
        check_whole(columns)
    for given in (spec.observed, spec.evidence):
        for kind in patterns(columns, given):
            if kind.missing:
                known = kind.known(given)
                check_latents(spec, known, inferred_in(spec, known, kind.missing)[0])
    for own in needs:
        for kind in patterns(columns, own):
            if kind.missing:
                known = kind.known(own)
                check_latents(spec, known, causes_of(spec, known))


def check_whole(columns: Columns) -> None:
    """Refuse rows that lack values, where importance sampling is to learn from them.

    Raises:
        QueryError: some do.
    """
    if columns.missing:
        problem = f"the engine 'svi' learns from whole rows, and some lack '{next(iter(columns.missing))}'"
        mend = "leave these rows out (missing='drop'), or have three latents hang together at most, for engine 'quadrature'"
        raise QueryError("engine", problem, mend)


def causes_of(spec: ModelSpec, known: Collection[str]) -> tuple[str, ...]:
    """All that causes what is known and is not known itself, in topological order."""
    causes = ancestors(spec.graph, tuple(known))
    return tuple(node for node in spec.order if node in causes and node not in known)


def hidden_in(spec: ModelSpec, known: Collection[str], missing: Collection[str], *, wanted: Collection[str] = ()) -> tuple[str, ...]:
    """What is integrated out of such rows: the latents, and each missing node that causes something known, a latent, or what is wanted.

    A missing value without known descendants says nothing of anything else: it is left out, and follows from its parents.

    Args:
        spec: the declared model.
        known: the evidence of these rows.
        missing: what they lack of it.
        wanted: some of ``missing`` whose own values are asked for.
    """
    asked = (*known, *spec.latents, *wanted)
    causes = ancestors(spec.graph, asked).union(wanted)
    return tuple(node for node in spec.order if node in spec.latents or (node in missing and node in causes))


def inferred_in(spec: ModelSpec, known: Collection[str], missing: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is integrated out where the missing non-descendants of protected attributes are asked for, too; and counts among these.

    A count without known effects follows from its parents, which are then asked for in its stead.
    """
    own = [node for node in spec.level_1 if node in missing]
    needed = hidden_in(spec, known, missing)
    counts = tuple(node for node in own if spec.nodes[node].kind == "count" and node not in needed)
    parents = ancestors(spec.graph, counts).intersection(missing)
    return hidden_in(spec, known, missing, wanted={*parents, *own}.difference(counts)), counts


def together(parts: Sequence[tuple[Tensor, Tensor]], n: int, *, dim: int = 0) -> Tensor:
    """Values of all ``n`` people along ``dim``, from those of some people each, given by position, (m,)."""
    whole = torch.cat([values for _, values in parts], dim)
    place = torch.empty(n, dtype=torch.int64).scatter_(0, torch.cat([people for people, _ in parts]), torch.arange(n))
    return whole.index_select(dim, place)
