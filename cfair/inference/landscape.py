"""The log joint density of real latents and a person's evidence, as a function of the latents."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cfair.inference.designs import Prepared
from cfair.inference.factors import Factor, Linear, factor
from cfair.inference.neighbourhood import Neighbourhood
from cfair.inference.quadratics import Bowl, Quadratic, bowl, squares
from cfair.inference.rule import times
from cfair.inference.summit import Summit

__all__ = ["Landscape", "landscape"]

FLATTER = 0.1  # share of the curvature at the top below which a curvature nearby is not believed


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """log p(u, evidence) of d real latents and n people, up to a constant per person.

    Args:
        factors: whose sum it is, the latents' own first, in their order.
        quadratic: the sum of those that are quadratic in u, or constant.
        others: the others.
        d: how many latents.
        n: how many people.
        sampled: whether they are integrated out by importance sampling rather than by a product rule.
    """

    factors: tuple[Factor, ...]
    quadratic: Quadratic
    others: tuple[Factor, ...]
    d: int
    n: int
    sampled: bool = False

    @property
    def normal(self) -> bool:
        """Whether it is quadratic in u: then the posterior is normal."""
        return not self.others

    @property
    def log_mass(self) -> Tensor:
        """The log of its integral over u where it is normal, shape (n,)."""
        assert self.normal
        assert isinstance(self.quadratic, Bowl)
        return self.quadratic.log_mass

    @property
    def concave(self) -> bool:
        """Whether it is known to be concave in u."""
        return all(map(_is_concave, self.others))

    def __call__(self, u: Tensor) -> Tensor:
        """The log density at ``u``, shape (d, ..., n); of shape (..., n)."""
        return (self.height + self.over(u)).expand(u.shape[1:])

    @property
    def height(self) -> Tensor:
        """What of the log density does not depend on u, shape (n,)."""
        return self.quadratic.height

    def over(self, u: Tensor) -> Tensor:
        """The log density over ``height`` at ``u``, shape (d, ..., n); of a shape that broadcasts to (..., n)."""
        parts, total = u.unbind(0), self.quadratic.over(u)
        for each in self.others:
            total = total + each.log_prob(parts)
        return total

    def prior(self) -> tuple[Tensor, Tensor]:
        """Mean and sd of each latent given its observed parents and the other latents at 0, each of shape (d, n)."""
        zeros = torch.zeros(self.d, 1, dtype=torch.float64).unbind(0)
        own = [each.at(zeros) for each in self.factors[: self.d]]
        return torch.stack([each.mean.expand(self.n) for each in own]), torch.stack([each.stddev.expand(self.n) for each in own])

    def derivatives(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Slope (d, n) and curvature (d, d, n) in ``u``, shape (d, n)."""
        slope, curvature, rest = self._written(u)
        curvature = curvature.expand(self.d, self.d, self.n)
        if not rest:
            return slope, curvature
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            parts, total = u.unbind(0), torch.zeros((), dtype=torch.float64)
            for each in rest:
                total = total + each.log_prob(parts).sum()
            (first,) = torch.autograd.grad(total, u, create_graph=True)
            rows = [torch.autograd.grad(part.sum(), u, retain_graph=True)[0] for part in first.unbind(0)]
        return slope + first.detach(), curvature + torch.stack(rows)

    def stepped(self, top: Summit) -> Summit:
        """One of Newton's steps from ``top``, and the curvature there; where it is not that of a top nearby, by the curvature of ``top``.

        One sequence of operations, whatever the parameters: many can be tried at once.
        """
        if not self.d:  # latents with levels alone are summed over: there is nowhere to step
            return top
        slope, curvature, rest = self._written(top.center)

        def first(u: Tensor) -> Tensor:
            own: Tensor = torch.func.grad(lambda at: torch.stack([each.log_prob(at.unbind(0)).sum() for each in rest]).sum())(u)
            return own

        if rest:
            slope = slope + first(top.center)
            curvature = curvature + torch.stack([torch.func.grad(lambda u, j=j: first(u)[j].sum())(top.center) for j in range(self.d)])
        root = _near_root(-curvature, top.root)
        return Summit(top.center + times(root, times(root.transpose(0, 1), slope)), root)

    def _written(self, u: Tensor) -> tuple[Tensor, Tensor, list[Factor]]:
        """Slope (d, n) and curvature (d, d, n) at ``u`` of all factors that know them, and the others."""
        slope, curvature = self.quadratic.bend(u)
        rest = list[Factor]()
        for each in self.others:
            if (known := each.bend(u.unbind(0))) is None:
                rest.append(each)
            else:
                slope, curvature = slope + known[0], curvature + known[1]
        return slope, curvature, rest

    def detached(self) -> "Landscape":
        """The same without derivatives by parameters."""
        factors, others = (tuple(each.detached() for each in those) for those in (self.factors, self.others))
        return replace(self, factors=factors, quadratic=self.quadratic.detached(), others=others)

    def take(self, people: Tensor) -> "Landscape":
        """The same for some people only, given by position, shape (m,), int64."""
        factors, others = (tuple(each.take(people) for each in those) for those in (self.factors, self.others))
        return replace(self, factors=factors, quadratic=self.quadratic.take(people), others=others, n=len(people))

    def given_first(self, k: Tensor) -> "Landscape":
        """The log joint of the other latents where the first is known to be ``k``, shape (count, n): everyone count times."""
        first, *others = (each.given_first(k) for each in self.factors)
        own, rest = others[: self.d - 1], others[self.d - 1 :]
        return _landscape((*own, first, *rest), self.d - 1, k.numel())


def _near_root(precision: Tensor, known: Tensor) -> Tensor:
    """A triangular S with S·Sᵀ = P⁻¹, (d, d, n); ``known``, such an S nearby, where P is not positive, or much smaller than there."""
    if len(precision) == 1:
        return torch.maximum(precision, FLATTER / known.square()).rsqrt()
    lower, wrong = torch.linalg.cholesky_ex(precision.movedim(2, 0))
    eye = torch.eye(len(precision), dtype=lower.dtype).expand_as(lower)
    upper = torch.linalg.solve_triangular(torch.where(wrong.reshape(-1, 1, 1) == 0, lower, eye), eye, upper=False).mT
    return torch.where(wrong == 0, upper.movedim(0, 2), known)


def curved(area: Neighbourhood) -> bool:
    """Whether its real latents are sampled, and their posterior is not known to be log-concave: then a guide is worth its while."""
    return area.sampled and bool(bent(area))


def bent(area: Neighbourhood) -> tuple[str, ...]:
    """The nodes whose density is not known to be log-concave in the real latents of ``area``."""
    rows = area.take(torch.arange(1)).enumerated()
    parts = {node: factor(rows, node) for node in rows.factors}
    return tuple(node for node, each in parts.items() if each.moves and not _is_concave(each))


def _is_concave(each: Factor) -> bool:
    """Whether its log density is known to be concave in the latents."""
    return isinstance(each, Linear) and (each.mechanism.quadratic or each.mechanism.log_concave)


def landscape(area: Neighbourhood, prepared: Mapping[str, Prepared] | None = None, *, single: bool = False) -> Landscape:
    """The log joint of the real latents of ``area``, which has no discrete one left.

    Args:
        area: the latents and their evidence.
        prepared: the designs of some nodes.
        single: whether values and parameters are in single precision.
    """
    assert not area.discrete
    nodes = (*area.real, *(node for node in area.factors if node not in area.real))
    factors = tuple(factor(area, node, prepared.get(node) if prepared else None) for node in nodes)
    return replace(_landscape(factors, len(area.real), area.n, squares if single else bowl), sampled=area.sampled)


def _landscape(factors: tuple[Factor, ...], d: int, n: int, added: Callable[..., Quadratic] = bowl) -> Landscape:
    moving = [each for each in factors if each.moves or not d]
    quadratic = [each for each in moving if d and isinstance(each, Linear) and each.mechanism.quadratic]
    others = tuple(each for each in moving if each not in quadratic)
    return Landscape(factors, added(quadratic, [each for each in factors if each not in moving], d, n), others, d, n)
