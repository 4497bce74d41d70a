"""One node's log density as a function of the real latents, what does not depend on them computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution

from cfair.inference.designs import Design, Prepared, design, predictors_at
from cfair.inference.distinct import distinct
from cfair.inference.free import Overrides, detached
from cfair.inference.neighbourhood import Neighbourhood
from cfair.interfaces import Mechanism, Values
from cfair.mechanisms import Indexed, bound
from cfair.scm import SCM

__all__ = ["Factor", "Linear", "designs", "factor", "log_prob"]


class Factor(Protocol):
    """One node's log density as a function of the real latents."""

    @property
    def moves(self) -> bool:
        """Whether it depends on any of them."""
        ...

    def at(self, u: Sequence[Tensor]) -> Distribution:
        """The node's distribution there."""
        ...

    def log_prob(self, u: Sequence[Tensor]) -> Tensor:
        """The log density at ``u``, one tensor (..., n) per latent; of shape (..., n), or one that broadcasts to it."""
        ...

    def bend(self, u: Sequence[Tensor]) -> tuple[Tensor, Tensor] | None:
        """Slope (d, n) and curvature (d, d, n) of ``log_prob`` at ``u``, d tensors (n,); None where it is to be differentiated."""
        ...

    def detached(self) -> "Factor":
        """The same without derivatives by parameters."""
        ...

    def take(self, people: Tensor) -> "Factor":
        """The same for some people only, given by position, shape (m,), int64."""
        ...

    def given_first(self, k: Tensor) -> "Factor":
        """The same where the first latent is known to be ``k``, shape (count, n): everyone count times, other latents a place earlier."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """log p(x | η) with η = η₀ + Σ_j λ_j·u_j, where η₀ is what the observed parents contribute.

    Args:
        mechanism: has ``at``.
        x: the observed column, shape (n,), or the position of the latent whose own density this is.
        base: η₀, shape (n, outputs).
        slopes: position of each latent among the parents -> λ_j, shape (n, outputs).
    """

    mechanism: Indexed
    x: Tensor | int
    base: Tensor
    slopes: Mapping[int, Tensor]

    @property
    def moves(self) -> bool:
        """Whether it depends on any latent."""
        return isinstance(self.x, int) or bool(self.slopes)

    def at(self, u: Sequence[Tensor]) -> Distribution:
        """The node's distribution."""
        return self.mechanism.at(self._eta(u))

    def log_prob(self, u: Sequence[Tensor]) -> Tensor:
        """Log p(x | η)."""
        x = u[self.x] if isinstance(self.x, int) else self.x
        density: Tensor = self.at(u).log_prob(x)
        return density

    def bend(self, u: Sequence[Tensor]) -> tuple[Tensor, Tensor] | None:
        """Slope (d, n) and curvature (d, d, n) of log p(x | η) in ``u``; None where the mechanism has none written."""
        written = None if isinstance(self.x, int) else self.mechanism.bend(self.x, self._eta(u))
        if written is None:
            return None
        first, second = written
        slopes = [torch.atleast_1d(self.slopes[j].squeeze(-1)) if j in self.slopes else first.new_zeros(1) for j in range(len(u))]
        steps = torch.stack(torch.broadcast_tensors(*slopes))  # (d, n), or (d, 1) where they are everyone's
        return steps * first, steps.unsqueeze(0) * steps.unsqueeze(1) * second

    def _eta(self, u: Sequence[Tensor]) -> Tensor:
        eta = self.base
        for j, slope in self.slopes.items():
            eta = torch.addcmul(eta, u[j].unsqueeze(-1), slope)
        return eta

    def residual(self, d: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of a quadratic density of mean μ(η) and variance σ²: r₀ = x − μ at u = 0, the slopes ρ of x − μ in each of d ≥ 1 latents, and σ².

        Their shapes broadcast to (n,), (d, n) and (n,). μ is linear in η, or the density would not be quadratic.
        """
        mean, own = self.mechanism.at(self.base).mean, self.x if isinstance(self.x, int) else None
        rest = -mean if own is not None else self.x - mean
        slopes = []
        for j in range(d):
            moved = self._moved(self.slopes[j]) if j in self.slopes else mean.new_zeros(())
            slopes.append(torch.atleast_1d(moved + 1 if own == j else moved))
        shared = self.base.dim() == 2 and self.base.shape[1] == 1  # η is the mean's alone: the variance is everyone's
        variance = self.mechanism.at(self.base[:1] if shared else self.base).variance
        return rest, torch.stack(torch.broadcast_tensors(*slopes)), variance

    def _moved(self, slope: Tensor) -> Tensor:
        """By how much μ is lower where η is higher by ``slope``, shape (n,) or ()."""
        moved: Tensor = self.mechanism.at(torch.zeros_like(slope)).mean - self.mechanism.at(slope).mean
        return moved

    def detached(self) -> "Linear":
        """The same without derivatives by parameters."""
        slopes = {j: slope.detach() for j, slope in self.slopes.items()}
        return Linear(detached(self.mechanism), self.x, self.base.detach(), slopes)

    def take(self, people: Tensor) -> "Linear":
        """The same for some people only."""
        slopes = {j: _rows(slope, people) for j, slope in self.slopes.items()}
        return Linear(self.mechanism, _column(self.x, people), _rows(self.base, people), slopes)

    def given_first(self, k: Tensor) -> "Linear":
        """The same where the first latent is known."""
        base = _repeated(self.base, len(k))
        if 0 in self.slopes:
            base = torch.addcmul(base, k.reshape(-1, 1), _repeated(self.slopes[0], len(k)))
        slopes = {j - 1: _repeated(slope, len(k)) for j, slope in self.slopes.items() if j}
        return Linear(self.mechanism, _known(self.x, k), base, slopes)


@dataclass(frozen=True, slots=True, eq=False)
class Curved:
    """log p(x | parents) of a mechanism that reads its parents in its own way.

    Args:
        mechanism: whatever it is.
        x: the observed column, shape (n,), or the position of the latent whose own density this is.
        parents: the observed ones, node -> (n,).
        places: latent among the parents -> its position.
    """

    mechanism: Mechanism
    x: Tensor | int
    parents: Values
    places: Mapping[str, int]

    @property
    def moves(self) -> bool:
        """Whether it depends on any latent."""
        return isinstance(self.x, int) or bool(self.places)

    def at(self, u: Sequence[Tensor]) -> Distribution:
        """The node's distribution."""
        return self.mechanism.distribution({**self.parents, **{latent: u[j] for latent, j in self.places.items()}})

    def log_prob(self, u: Sequence[Tensor]) -> Tensor:
        """Log p(x | parents)."""
        density: Tensor = self.at(u).log_prob(u[self.x] if isinstance(self.x, int) else self.x)
        return density

    def bend(self, u: Sequence[Tensor]) -> None:
        """None: it is differentiated."""
        return

    def detached(self) -> "Curved":
        """The same without derivatives by parameters."""
        return Curved(detached(self.mechanism), self.x, self.parents, self.places)

    def take(self, people: Tensor) -> "Curved":
        """The same for some people only."""
        parents = {name: column[people] for name, column in self.parents.items()}
        return Curved(self.mechanism, _column(self.x, people), parents, self.places)

    def given_first(self, k: Tensor) -> "Curved":
        """The same where the first latent is known."""
        seen = {name: column.repeat(len(k)) for name, column in self.parents.items()}
        known = {name: k.flatten() for name, j in self.places.items() if j == 0}
        places = {name: j - 1 for name, j in self.places.items() if j}
        return Curved(self.mechanism, _known(self.x, k), seen | known, places)


def log_prob(scm: SCM, node: str, values: Values, overrides: Overrides) -> Tensor:
    """The log of p(node | its parents) at ``values``, with the parameters of ``overrides`` where it names the node."""
    mechanism = bound(scm.mechanisms[node], overrides.get(node, {}))
    density: Tensor = mechanism.distribution(scm.parents(node, values)).log_prob(values[node])
    return density


def factor(area: Neighbourhood, node: str, prepared: Prepared | None = None) -> Factor:
    """The log density of one node, what does not depend on the latents computed once; its predictors from what is ``prepared``."""
    mechanism = bound(area.scm.mechanisms[node], area.overrides.get(node, {}))
    x = area.real.index(node) if node in area.real else area.values[node]
    if not isinstance(mechanism, Indexed) or _multiplied(area, node):
        return Curved(mechanism, x, _seen(area, node), _places(area, node))
    if prepared is None:
        return Linear(mechanism, x, *predictors_at(mechanism, _seen(area, node), _places(area, node)))
    return Linear(mechanism, x, *prepared(mechanism))


def designs(area: Neighbourhood) -> dict[str, Design]:
    """The designs of the nodes of ``area``, which has no discrete latent left, whose predictors have one of bearable size."""
    found, kinds = {}, dict[tuple[str, ...], tuple[Tensor, Tensor]]()
    for node in area.factors:
        mechanism, seen = area.scm.mechanisms[node], _seen(area, node)
        if not isinstance(mechanism, Indexed) or _multiplied(area, node):
            continue
        if tuple(seen) not in kinds:
            kinds[tuple(seen)] = distinct(seen, area.n)
        first, place = kinds[tuple(seen)]
        own = {name: column[first] for name, column in seen.items()}
        if (prepared := design(mechanism, own, _places(area, node), place)) is not None:
            found[node] = prepared
    return found


def _seen(area: Neighbourhood, node: str) -> dict[str, Tensor]:
    """The values of a node's parents that are not hidden."""
    return {parent: area.values[parent] for parent in area.scm.spec.nodes[node].parents if parent not in area.real}


def _places(area: Neighbourhood, node: str) -> dict[str, int]:
    """The positions of a node's hidden parents."""
    return {parent: area.real.index(parent) for parent in area.scm.spec.nodes[node].parents if parent in area.real}


def _multiplied(area: Neighbourhood, node: str) -> bool:
    """Whether the node's predictor has a product of two hidden numbers, and so is linear in neither."""
    return any(sum(parent in area.real for parent in parents) > 1 for parents in area.scm.spec.nodes[node].interactions)


def _rows(predictor: Tensor, people: Tensor) -> Tensor:
    """A predictor (n, outputs) of some people; one that is everyone's, (outputs,), as it is."""
    return predictor[people] if predictor.dim() == 2 else predictor


def _column(x: Tensor | int, people: Tensor) -> Tensor | int:
    return x if isinstance(x, int) else x[people]


def _repeated(predictor: Tensor, count: int) -> Tensor:
    """A predictor (n, outputs) of everyone ``count`` times; one that is everyone's, (outputs,), as it is."""
    return predictor.repeat(count, 1) if predictor.dim() == 2 else predictor


def _known(x: Tensor | int, k: Tensor) -> Tensor | int:
    """What a factor is a density of, once the first latent is known."""
    if isinstance(x, int):
        return k.flatten() if x == 0 else x - 1
    return x.repeat(len(k))
