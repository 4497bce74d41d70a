"""Hidden nodes that hang together, with everything in the evidence that depends on them.

Hidden are the latents and, in rows with missing values, whatever is missing and bears on the evidence: a missing value is a latent of
its row.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.grouping import groups
from cfair.inference.free import Overrides
from cfair.inference.limits import MOST_REAL, check_kinds, check_latents, check_size
from cfair.interfaces import Values
from cfair.mechanisms import Indexed
from cfair.sampler import Guide
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["Neighbourhood", "evidence_of", "joint", "neighbourhoods"]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """p(U = u, evidence) of latents U, up to factors without u; missing values are latents of their rows.

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
        """Whether the real latents are integrated out by importance sampling: the SCM says so, or they are too many for a product rule.

        Where missing values hang together with them, they never are.
        """
        kept, spec = self.scm.sampler, self.scm.spec
        many = len(self.real) > MOST_REAL or (bool(self.real) and kept is not None and kept.for_all)
        return many and all(spec.nodes[name].latent for name in self.latents)

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


def neighbourhoods(
    scm: SCM, values: Values, given: Collection[str], n: int, *, hidden: Sequence[str] | None = None
) -> tuple[Neighbourhood, ...]:
    """The hidden nodes' neighbourhoods in the evidence: given it, those of different ones are independent.

    Args:
        scm: the model.
        values: node -> (n,), holding the evidence.
        given: the evidence, without what is hidden.
        n: how many people.
        hidden: what is integrated out; the latents if None.

    Raises:
        QueryError: the evidence holds a node but not an observed parent of it, ``values`` lacks evidence, or there are more hidden nodes
            that hang together than can be integrated out.
    """
    hidden = scm.spec.latents if hidden is None else hidden
    _check_evidence(scm.spec, values, given, hidden)
    check_latents(scm.spec, given, hidden)
    return tuple(_guided(_neighbourhood(scm, group, values, given, n)) for group in groups(scm.spec, given, hidden))


def _guided(area: Neighbourhood) -> Neighbourhood:
    """With the guide that was learned for these latents and this evidence, if there is one."""
    kept = area.scm.sampler
    return area if kept is None or not area.sampled else replace(area, guide=kept.guide(area.real, (*area.values, *area.discrete)))


def joint(
    scm: SCM,
    values: Values,
    given: Collection[str],
    n: int,
    *,
    hidden: Sequence[str] | None = None,
    reads: Collection[str] | None = None,
) -> Neighbourhood:
    """All hidden nodes, the latents if None, as one neighbourhood, whether they hang together or not.

    Of these, where ``reads`` is given, those only that hang together with a node that it names.

    Raises:
        QueryError: as ``neighbourhoods``.
    """
    hidden = scm.spec.latents if hidden is None else hidden
    _check_evidence(scm.spec, values, given, hidden)
    check_kinds(scm.spec, hidden)
    if reads is not None:
        hidden = [node for group in groups(scm.spec, given, hidden) if not set(group).isdisjoint(reads) for node in group]
    check_size(scm.spec, hidden, given=given)
    return _guided(_neighbourhood(scm, hidden, values, given, n))


def _neighbourhood(scm: SCM, latents: Sequence[str], values: Values, given: Collection[str], n: int) -> Neighbourhood:
    spec = scm.spec
    inside = tuple(node for node in spec.order if node in latents)
    touched = {node for node in given if not set(latents).isdisjoint(spec.nodes[node].parents)}
    factors = tuple(node for node in spec.order if node in latents or node in touched)
    family = {name for node in factors for name in (node, *spec.nodes[node].parents)} - set(latents)
    real = tuple(node for node in inside if not spec.nodes[node].discrete)
    discrete = tuple(node for node in inside if spec.nodes[node].discrete)
    for node in real:
        if not spec.nodes[node].latent and not isinstance(scm.mechanisms[node], Indexed):
            problem = f"missing values of '{node}' have observed effects, and a {spec.nodes[node].mechanism} node is not integrated out"
            raise QueryError(f"nodes.{node}", problem, "leave these rows out (missing='drop'), or make it gaussian")
    return Neighbourhood(scm, real, discrete, factors, {node: values[node] for node in spec.order if node in family}, n)


def evidence_of(spec: ModelSpec, given: Collection[str] | None) -> frozenset[str]:
    """The names that ``given`` means; the spec's own evidence if None.

    Raises:
        QueryError: ``given`` is one name rather than several.
    """
    if isinstance(given, str):
        raise QueryError("given", f"'{given}' is a text, not a collection of nodes", f"write given=['{given}']")
    return frozenset(spec.evidence if given is None else given)


def _check_evidence(spec: ModelSpec, values: Values, given: Collection[str], hidden: Collection[str]) -> None:
    for node in given:
        if node not in spec.observed:
            raise QueryError("given", f"'{node}' is not an observed node", f"use some of: {', '.join(spec.observed)}")
        if node not in values:
            raise QueryError("given", f"the table has no column '{node}'", f"read the table with '{node}', or leave it out of given")
        for parent in spec.nodes[node].parents:
            if parent in spec.observed and parent not in given and parent not in hidden:
                raise QueryError(
                    "given", f"'{node}' is in the evidence, and its parent '{parent}' is not", f"add '{parent}', or drop '{node}'"
                )
    for node in hidden:
        for parent in spec.nodes[node].parents:
            if parent in spec.observed and parent not in given and parent not in hidden:
                problem = f"'{parent}', a parent of the latent '{node}', is not in the evidence"
                raise QueryError("given", problem, f"add '{parent}' to given")
