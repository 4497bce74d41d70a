"""Sums of normal log densities as functions of the latents, in doubles and in single precision."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from cfair.inference.factors import Factor, Linear
from cfair.inference.rule import times

__all__ = ["Bowl", "Quadratic", "Squares", "bowl", "squares"]


class Bowl(NamedTuple):
    """The quadratic h − ½·(u − m)ᵀ·P·(u − m), for n people: written around its own top m, where it does not cancel."""

    height: Tensor  # h, (n,)
    center: Tensor  # m, (d, n)
    precision: Tensor  # P, (d, d, n), or (d, d, 1) where it is everyone's

    @property
    def log_mass(self) -> Tensor:
        """The log of its integral over u: h + d/2·log 2π − ½·log det P, shape (n,)."""
        d = len(self.center)
        log_det = self.precision[0, 0].log() if d == 1 else torch.logdet(self.precision.movedim(2, 0))
        return self.height + (d * math.log(2 * math.pi) - log_det) / 2

    def over(self, u: Tensor) -> Tensor:
        """What it has over its height at ``u``, shape (d, ..., n), of shape (..., n): it is not above 0."""
        away = [each - center for each, center in zip(u.unbind(0), self.center.unbind(0), strict=True)]
        if len(away) == 1:
            return away[0].square() * (-0.5 * self.precision[0, 0])
        total = u.new_zeros(1)
        for j, one in enumerate(away):
            pull = 0.5 * self.precision[j, j] * one
            for k, other in enumerate(away[:j]):
                pull = torch.addcmul(pull, self.precision[j, k], other)
            total = torch.addcmul(total, pull, one, value=-1)
        return total

    def bend(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Slope (d, n) and curvature, of the shape of P, at ``u``, shape (d, n)."""
        return times(self.precision, self.center - u), -self.precision

    def detached(self) -> "Bowl":
        """The same without derivatives by parameters."""
        return Bowl(*(part.detach() for part in self))

    def take(self, people: Tensor) -> "Bowl":
        """Of some people only, given by position, shape (m,), int64."""
        precision = self.precision if self.precision.shape[-1] == 1 else self.precision[..., people]
        return Bowl(self.height[people], self.center[:, people], precision)


class Squares(NamedTuple):
    """The quadratic h − ½·Σ_f (a_f + b_fᵀ·u)², for n people: for single precision.

    No number that all people share is rounded but once, and h is in doubles: roundings of P, or of a variance and of its log apart,
    would not cancel in a sum over people, but add up.
    """

    height: Tensor  # h, (n,)
    residuals: tuple[Tensor, ...]  # a_f, each (n,) or ()
    slopes: tuple[Tensor, ...]  # b_f, each (d, n) or (d, 1)

    def over(self, u: Tensor) -> Tensor:
        """What it has over its height at ``u``, shape (d, ..., n), of shape (..., n): it is not above 0."""
        total = u.new_zeros(1)
        for each in self._at(u):
            total = torch.addcmul(total, each, each, value=-0.5)
        return total

    def bend(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Slope (d, n) and curvature (d, d, n) or (d, d, 1), at ``u``, shape (d, n)."""
        slope, curvature = u.new_zeros(len(u), 1), u.new_zeros(len(u), len(u), 1)
        for each, own in zip(self._at(u), self.slopes, strict=True):
            slope = torch.addcmul(slope, own, each, value=-1)
            curvature = torch.addcmul(curvature, own.unsqueeze(0), own.unsqueeze(1), value=-1)
        return slope, curvature

    def detached(self) -> "Squares":
        """The same without derivatives by parameters."""
        residuals, slopes = (tuple(part.detach() for part in those) for those in (self.residuals, self.slopes))
        return Squares(self.height.detach(), residuals, slopes)

    def take(self, people: Tensor) -> "Squares":
        """Of some people only, given by position, shape (m,), int64."""
        residuals, slopes = (tuple(_some(part, people) for part in those) for those in (self.residuals, self.slopes))
        return Squares(self.height[people], residuals, slopes)

    def _at(self, u: Tensor) -> list[Tensor]:
        """Each a_f + b_fᵀ·u, at ``u``, shape (d, ..., n), of shape (..., n)."""
        found = []
        for left, slopes in zip(self.residuals, self.slopes, strict=True):
            for slope, one in zip(slopes.unbind(0), u.unbind(0), strict=True):
                left = torch.addcmul(left, slope, one)
            found.append(left)
        return found


Quadratic: TypeAlias = Bowl | Squares


def bowl(factors: Sequence[Linear], constants: Sequence[Factor], d: int, n: int) -> Bowl:
    """The sum of normal log densities −½·(r₀ + Σ_j ρ_j·u_j)²/σ² − ½·log 2πσ²: P = Σ ρρᵀ/σ², and P·m = −Σ ρ·r₀/σ²; and constants."""
    precision, pull = torch.zeros(d, d, 1, dtype=torch.float64), torch.zeros(d, 1, dtype=torch.float64)  # one for all as long as may be
    residuals = [each.residual(d) for each in factors]
    for rest, slopes, variance in residuals:
        steep = slopes / variance
        precision = torch.addcmul(precision, slopes.unsqueeze(0), steep.unsqueeze(1))
        pull = torch.addcmul(pull, steep, rest, value=-1)
    center = _top(precision, pull.expand(d, n), proper=sum(isinstance(each.x, int) for each in factors) == d)
    height = sum(((2 * math.pi * variance).log() / -2 for _, _, variance in residuals), torch.zeros(1, dtype=torch.float64))
    for rest, slopes, variance in residuals:
        left = rest
        for slope, one in zip(slopes.unbind(0), center.unbind(0), strict=True):
            left = torch.addcmul(left, slope, one)
        height = torch.addcmul(height, left.square(), 1 / variance, value=-0.5)
    for part in constants:
        height = height + part.log_prob(center.unbind(0))
    return Bowl(height.expand(n), center, precision)


def squares(factors: Sequence[Linear], constants: Sequence[Factor], d: int, n: int) -> Squares:
    """The same sum with a = r₀/σ and b = ρ/σ."""
    height, found = torch.zeros(1, dtype=torch.float64), list[tuple[Tensor, Tensor]]()
    for each in factors:
        rest, slopes, variance = each.residual(d)
        steepness = variance.rsqrt()
        height = height + (steepness.double().log() - math.log(2 * math.pi) / 2)
        found.append((rest * steepness, slopes * steepness))
    for part in constants:
        height = height + part.log_prob(torch.zeros(d, 1, dtype=torch.float64).unbind(0)).double()
    return Squares(height.expand(n), tuple(left for left, _ in found), tuple(slopes for _, slopes in found))


def _top(precision: Tensor, pull: Tensor, *, proper: bool) -> Tensor:
    """M with P·m = pull, shape (d, n); where not every latent's own density is in P, which may then be singular, the shortest such m."""
    if not proper:
        shortest: Tensor = (torch.linalg.pinv(precision.movedim(2, 0), hermitian=True) @ pull.T.unsqueeze(-1)).squeeze(-1).T
        return shortest
    if len(pull) == 1:
        return pull / precision[0]
    top: Tensor = torch.linalg.solve(precision.movedim(2, 0), pull.T.unsqueeze(-1)).squeeze(-1).T
    return top


def _some(part: Tensor, people: Tensor) -> Tensor:
    return part[..., people] if part.dim() and part.shape[-1] > 1 else part
