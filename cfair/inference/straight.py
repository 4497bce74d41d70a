"""Coordinates in which a ridge of the log posterior is nearly straight: a latent's loadings against the scale of what they leave."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cfair.inference.loadings import predictors
from cfair.inference.log_posterior import LogPosterior
from cfair.scm import SCM

__all__ = ["Straight", "loadings_of", "straight"]


class Density(Protocol):
    """A log density of θ, (p,)."""

    def value_and_slope(self, theta: Tensor, /) -> tuple[float, Tensor]:
        """At ``theta``, (p,), and its gradient (p,)."""
        ...

    def hessian(self, theta: Tensor, people: Tensor | None = None, /) -> Tensor:
        """Second derivatives (p, p), estimated from some rows if they are given."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Straight:
    """The log density of φ, where θ_j = sinh(φ_j)·exp(θ_s) for the loadings θ_j of a node whose log scale θ_s is learned.

    All other entries of φ are those of θ. A loading and the scale share what the node varies by. Data that do not tell the shares
    apart hold θ_j² + exp(2·θ_s) fast, a circle; on it φ_j goes from −∞ to ∞, and θ_s follows as a smooth function.

    Args:
        density: of θ, of shape (p,).
        loadings: the places j, shape (m,), int64.
        scales: the place s for each of them, shape (m,).
        people: rows from which second derivatives are estimated; all if None.
        volume: 1 for the density of φ, which has the volume of the change in it; 0 for that of θ at the θ of φ, of which profiles are.
    """

    density: Density
    loadings: Tensor
    scales: Tensor
    people: Tensor | None = None
    volume: float = 1.0

    def to_theta(self, phi: Tensor) -> Tensor:
        """θ of φ, both (..., p)."""
        theta = phi.clone()
        theta[..., self.loadings] = phi[..., self.loadings].sinh() * phi[..., self.scales].exp()
        return theta

    def to_phi(self, theta: Tensor) -> Tensor:
        """φ of θ, both (..., p)."""
        phi = theta.clone()
        phi[..., self.loadings] = (theta[..., self.loadings] * (-theta[..., self.scales]).exp()).asinh()
        return phi

    def value_and_slope(self, phi: Tensor) -> tuple[float, Tensor]:
        """At φ, (p,): log p(θ) + Σ_j log|∂θ_j/∂φ_j|, and its gradient (p,)."""
        value, slope = self.density.value_and_slope(self.to_theta(phi))
        added = torch.zeros_like(phi).index_add(0, self.loadings, phi[self.loadings].tanh())
        added = added.index_add(0, self.scales, torch.ones(len(self.scales), dtype=torch.float64))
        return value + self.volume * float(self.log_volume(phi)), self.jacobian(phi).T @ slope + self.volume * added

    def hessian(self, phi: Tensor, slope: Tensor) -> Tensor:
        """Second derivatives at φ, (p, p): Jᵀ·H·J + Σ_j ∂log p/∂θ_j·∂²θ_j + those of the volume; ``slope``, (p,), is the gradient there."""
        theta, jacobian, (j, s) = self.to_theta(phi), self.jacobian(phi), (self.loadings, self.scales)
        bent = jacobian.T @ self.density.hessian(theta, self.people) @ jacobian
        mixed = slope[j] - self.volume * phi[j].tanh()  # ∂log p/∂θ_j·∂θ_j/∂φ_j, which is also its product with ∂²θ_j/∂φ_j∂φ_s
        twice = mixed * phi[j].tanh()  # its product with θ_j = ∂²θ_j/∂φ_j² = ∂²θ_j/∂φ_s²
        for rows, columns, added in ((j, j, twice + self.volume * phi[j].cosh() ** -2), (s, s, twice), (j, s, mixed), (s, j, mixed)):
            bent = bent.index_put((rows, columns), added, accumulate=True)
        return bent

    def jacobian(self, phi: Tensor) -> Tensor:
        """∂θ/∂φ, (p, p)."""
        theta, jacobian = self.to_theta(phi), torch.eye(len(phi), dtype=torch.float64)
        jacobian[self.loadings, self.loadings] = phi[self.loadings].cosh() * phi[self.scales].exp()
        jacobian[self.loadings, self.scales] = theta[self.loadings]
        return jacobian

    def log_volume(self, phi: Tensor) -> Tensor:
        """Σ_j log|∂θ_j/∂φ_j| at φ, (..., p), of shape (...)."""
        volume: Tensor = (phi[..., self.loadings].cosh().log() + phi[..., self.scales]).sum(-1)
        return volume


def straight(density: LogPosterior, loadings: dict[int, str], *, people: Tensor | None = None) -> Straight:
    """The coordinates for these loadings, place -> node; those of a node without a learned scale stay as they are."""
    places = {name: place for place, name in enumerate(density.names)}
    scales = {j: places[name] for j, node in loadings.items() if (name := f"{node}.log_scale[0]") in places}
    return Straight(density, torch.tensor([*scales], dtype=torch.int64), torch.tensor([*scales.values()], dtype=torch.int64), people)


def loadings_of(scm: SCM, density: LogPosterior, latents: Collection[str]) -> dict[int, str]:
    """Place in θ -> node, of the learned weights that children have on these latents."""
    found, zero = {}, scm.at(density.free.unpack(torch.zeros_like(density.start)))
    for place, unit in enumerate(torch.eye(len(density.start), dtype=torch.float64).unbind(0)):
        twin = scm.at(density.free.unpack(unit))
        for node in density.nodes:
            if any(_differ(twin, zero, node, latent) for latent in latents if latent in scm.spec.nodes[node].parents):
                found[place] = node
    return found


def _differ(one: SCM, other: SCM, node: str, latent: str) -> bool:
    """Whether two models differ in a node's weights on a latent."""
    pairs = zip(predictors(one, node), predictors(other, node), strict=True)
    return any(not torch.equal(mine.loading(latent), yours.loading(latent)) for mine, yours in pairs)
