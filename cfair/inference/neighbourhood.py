"""A latent with everything in the evidence that depends on it."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import cast

from torch import Tensor, nn
from torch.func import functional_call

from cfair.errors import QueryError
from cfair.inference.free import Overrides
from cfair.interfaces import Values
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["Neighbourhood", "evidence_of", "log_prob", "neighbourhood", "sole_latent"]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """p(U = k, evidence) of one latent U, up to factors without k.

    Args:
        scm: the model.
        latent: U.
        children: nodes of the evidence that U is a parent of.
        values: the evidence that bears on U, node -> (n,).
        n: how many people.
        overrides: parameters that stand in for the mechanisms' own, to differentiate by.
    """

    scm: SCM
    latent: str
    children: tuple[str, ...]
    values: Values
    n: int
    overrides: Overrides = field(default_factory=dict)

    def log_joint(self, k: Tensor) -> Tensor:
        """The log of p(k | parents of U) + Σ_children log p(child | its parents, k), of the shape of ``k``: (..., n)."""
        total = self.log_prob(self.latent, k)
        for child in self.children:
            total = total + self.log_prob(child, k)
        return total

    def log_prob(self, node: str, k: Tensor) -> Tensor:
        """The log of p(node | its parents, k), of the shape of ``k``: (..., n)."""
        return log_prob(self.scm, node, {**self.values, self.latent: k}, self.overrides)

    def at(self, overrides: Overrides) -> "Neighbourhood":
        """The same at other parameters."""
        return replace(self, overrides=overrides)

    def prior(self) -> tuple[Tensor, Tensor]:
        """Mean and sd of the latent given its parents, each of shape (n,)."""
        mechanism = self.scm.mechanisms[self.latent]
        distribution = mechanism.distribution(self.scm.parents(self.latent, self.values))
        return distribution.mean.expand(self.n), distribution.stddev.expand(self.n)

    def take(self, people: Tensor) -> "Neighbourhood":
        """The same for some people only, given by position, shape (m,), int64."""
        return replace(self, values={node: column[people] for node, column in self.values.items()}, n=len(people))


def log_prob(scm: SCM, node: str, values: Values, overrides: Overrides) -> Tensor:
    """The log of p(node | its parents) at ``values``, with the parameters of ``overrides`` where it names the node."""
    module = cast("nn.Module", scm.mechanisms[node])
    distribution = functional_call(module, dict(overrides.get(node, {})), (scm.parents(node, values),))
    return cast("Tensor", distribution.log_prob(values[node]))


def sole_latent(spec: ModelSpec) -> str | None:
    """The one latent node, None if there is none.

    Raises:
        QueryError: there are several, or it is not gaussian.
    """
    if len(spec.latents) > 1:
        raise QueryError(
            "nodes",
            f"{len(spec.latents)} latents ({', '.join(spec.latents)}), and this version integrates out one",
            "merge them into one; several latents, and categorical ones, come with the next version",
        )
    for latent in spec.latents:
        if spec.nodes[latent].kind != "real":
            raise QueryError(
                f"nodes.{latent}",
                f"a latent of kind {spec.nodes[latent].kind}",
                "make it gaussian; categorical latents come with the next version",
            )
    return spec.latents[0] if spec.latents else None


def neighbourhood(scm: SCM, values: Values, given: Collection[str], n: int) -> Neighbourhood | None:
    """The latent's neighbourhood in the evidence; None when the model has no latent.

    Raises:
        QueryError: the evidence holds a node but not an observed parent of it, or ``values`` lacks evidence.
    """
    spec, latent = scm.spec, sole_latent(scm.spec)
    _check_evidence(spec, values, given)
    if latent is None:
        return None
    children = tuple(node for node in spec.order if node in given and latent in spec.nodes[node].parents)
    missing = [parent for parent in spec.nodes[latent].parents if parent not in given]
    if missing:
        raise QueryError(
            "given", f"'{missing[0]}', a parent of the latent '{latent}', is not in the evidence", f"add '{missing[0]}' to given"
        )
    family = {node for child in (latent, *children) for node in (child, *spec.nodes[child].parents)} - {latent}
    return Neighbourhood(scm, latent, children, {node: values[node] for node in spec.order if node in family}, n)


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
