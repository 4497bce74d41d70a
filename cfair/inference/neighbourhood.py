"""Latents that hang together, with everything in the evidence that depends on them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.inference.free import Overrides
from cfair.inference.grouping import groups
from cfair.inference.guide import Guide, sampler_of
from cfair.interfaces import Values
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["Neighbourhood", "all_too_many", "check_latents", "evidence_of", "joint", "neighbourhoods", "too_many"]

MOST_REAL = 3  # real latents that a product rule integrates out together
MOST_SAMPLED = 20  # of them that importance sampling integrates out
MOST_COMBINATIONS = 256  # of discrete latents' levels that are summed over


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """p(U = u, evidence) of latents U, up to factors without u.

    Args:
        scm: the model.
        real: the latents that are numbers, parents before children.
        discrete: the latents that are levels, parents before children; none once they are ``enumerated``.
        factors: the nodes whose density depends on U: the latents and their children in the evidence.
        values: the evidence that bears on U, node -> (n,).
        n: how many people.
        overrides: parameters that stand in for the mechanisms' own, to differentiate by.
        guide: what was learned about where U lies, if it was.
    """

    scm: SCM
    real: tuple[str, ...]
    discrete: tuple[str, ...]
    factors: tuple[str, ...]
    values: Values
    n: int
    overrides: Overrides = field(default_factory=dict)
    guide: Guide | None = None

    @property
    def sampled(self) -> bool:
        """Whether the real latents are integrated out by importance sampling: the SCM says so, or they are too many for a product rule."""
        kept = sampler_of(self.scm)
        return len(self.real) > MOST_REAL or (bool(self.real) and kept is not None and kept.for_all)

    @property
    def latents(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.real, *self.discrete)

    @property
    def children(self) -> tuple[str, ...]:
        """Nodes of the evidence that a latent is a parent of."""
        return tuple(node for node in self.factors if node in self.values)

    @property
    def combinations(self) -> int:
        """How many combinations of levels the discrete latents have."""
        return prod(len(self.scm.spec.nodes[latent].levels) for latent in self.discrete)

    def at(self, overrides: Overrides) -> "Neighbourhood":
        """The same at other parameters."""
        return replace(self, overrides=overrides)

    def take(self, people: Tensor) -> "Neighbourhood":
        """The same for some people only, given by position, shape (m,), int64."""
        return replace(self, values={node: column[people] for node, column in self.values.items()}, n=len(people))

    def enumerated(self) -> "Neighbourhood":
        """Everyone with each combination of the discrete latents' levels in turn, as if it were known: combinations·n rows."""
        if not self.discrete:
            return self
        count = self.combinations
        known = {latent: column.repeat_interleave(self.n) for latent, column in self.levels().items()}
        seen = {node: column.repeat(count) for node, column in self.values.items()}
        return replace(self, discrete=(), values=seen | known, n=count * self.n)

    def levels(self) -> dict[str, Tensor]:
        """Discrete latent -> its level in each combination, shape (combinations,); the last latent's changes fastest."""
        ranges = [range(len(self.scm.spec.nodes[latent].levels)) for latent in self.discrete]
        columns = zip(*product(*ranges), strict=True) if self.discrete else ()
        return {latent: torch.tensor(column, dtype=torch.float64) for latent, column in zip(self.discrete, columns, strict=True)}


def neighbourhoods(scm: SCM, values: Values, given: Collection[str], n: int) -> tuple[Neighbourhood, ...]:
    """The latents' neighbourhoods in the evidence: given it, latents of different ones are independent.

    Raises:
        QueryError: the evidence holds a node but not an observed parent of it, ``values`` lacks evidence, or there are more latents
            that hang together than can be integrated out.
    """
    _check_evidence(scm.spec, values, given)
    check_latents(scm.spec, given)
    return tuple(_guided(_neighbourhood(scm, group, values, given, n)) for group in groups(scm.spec, given))


def _guided(area: Neighbourhood) -> Neighbourhood:
    """With the guide that was learned for these latents and this evidence, if there is one."""
    kept = sampler_of(area.scm)
    return area if kept is None else replace(area, guide=kept.guide(area.real, (*area.values, *area.discrete)))


def joint(scm: SCM, values: Values, given: Collection[str], n: int) -> Neighbourhood:
    """All latents as one neighbourhood, whether they hang together or not.

    Raises:
        QueryError: as ``neighbourhoods``.
    """
    _check_evidence(scm.spec, values, given)
    _check_size(scm.spec, scm.spec.latents)
    return _guided(_neighbourhood(scm, scm.spec.latents, values, given, n))


def _neighbourhood(scm: SCM, latents: Sequence[str], values: Values, given: Collection[str], n: int) -> Neighbourhood:
    spec = scm.spec
    for latent in latents:
        missing = [parent for parent in spec.nodes[latent].parents if parent in spec.observed and parent not in given]
        if missing:
            problem = f"'{missing[0]}', a parent of the latent '{latent}', is not in the evidence"
            raise QueryError("given", problem, f"add '{missing[0]}' to given")
    inside = tuple(node for node in spec.order if node in latents)
    touched = {node for node in given if not set(latents).isdisjoint(spec.nodes[node].parents)}
    factors = tuple(node for node in spec.order if node in latents or node in touched)
    family = {name for node in factors for name in (node, *spec.nodes[node].parents)} - set(latents)
    real = tuple(node for node in inside if not spec.nodes[node].discrete)
    discrete = tuple(node for node in inside if spec.nodes[node].discrete)
    return Neighbourhood(scm, real, discrete, factors, {node: values[node] for node in spec.order if node in family}, n)


def check_latents(spec: ModelSpec, given: Collection[str] | None = None, *, engine: str = "auto") -> None:
    """Refuse latents that cannot be integrated out given the evidence, that of all observed nodes if None.

    Args:
        spec: the declared model.
        given: the evidence.
        engine: "quadrature" integrates fewer of them out together than "svi", which "auto" chooses where it must.

    Raises:
        QueryError: with what to do instead.
    """
    for group in groups(spec, spec.observed if given is None else given):
        _check_size(spec, group, engine)


def too_many(spec: ModelSpec, given: Collection[str]) -> bool:
    """Whether more real latents hang together than a product rule integrates out, anywhere."""
    return any(_excess(spec, given))


def all_too_many(spec: ModelSpec, given: Collection[str]) -> bool:
    """Whether they are everywhere."""
    return all(_excess(spec, given))


def _excess(spec: ModelSpec, given: Collection[str]) -> list[bool]:
    """Of each group of latents that hang together, whether its real ones are more than a product rule integrates out."""
    return [sum(not spec.nodes[latent].discrete for latent in group) > MOST_REAL for group in groups(spec, given)]


def _check_size(spec: ModelSpec, latents: Sequence[str], engine: str = "auto") -> None:
    """Refuse latents that hang together and are too many."""
    real = [latent for latent in latents if not spec.nodes[latent].discrete]
    combinations = prod(len(spec.nodes[latent].levels) for latent in latents if latent not in real)
    if engine == "quadrature" and len(real) > MOST_REAL:
        problem = f"{len(real)} real latents hang together ({', '.join(real)}), and quadrature integrates out {MOST_REAL}"
        raise QueryError("nodes", problem, "use engine 'svi', merge some, or give them children apart")
    if len(real) > MOST_SAMPLED:
        problem = f"{len(real)} real latents hang together ({', '.join(real)}), and {MOST_SAMPLED} are integrated out at most"
        raise QueryError("nodes", problem, "merge some, or give them children apart")
    if combinations > MOST_COMBINATIONS:
        problem = f"{', '.join(latents)} have {combinations} combinations of levels, and {MOST_COMBINATIONS} are summed over at most"
        raise QueryError("nodes", problem, "merge some, or give them fewer levels")


def evidence_of(spec: ModelSpec, given: Collection[str] | None) -> frozenset[str]:
    """The names that ``given`` means; the spec's own evidence if None.

    Raises:
        QueryError: ``given`` is one name rather than several.
    """
    if isinstance(given, str):
        raise QueryError("given", f"'{given}' is a text, not a collection of nodes", f"write given=['{given}']")
    return frozenset(spec.evidence if given is None else given)


def _check_evidence(spec: ModelSpec, values: Values, given: Collection[str]) -> None:
    for node in given:
        if node not in spec.observed:
            raise QueryError("given", f"'{node}' is not an observed node", f"use some of: {', '.join(spec.observed)}")
        if node not in values:
            raise QueryError("given", f"the table has no column '{node}'", f"read the table with '{node}', or leave it out of given")
        for parent in spec.nodes[node].parents:
            if parent in spec.observed and parent not in given:
                raise QueryError(
                    "given", f"'{node}' is in the evidence, and its parent '{parent}' is not", f"add '{parent}', or drop '{node}'"
                )
