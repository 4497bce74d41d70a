"""Draws of parameters from (nearly) a normal around the most probable ones, weighted by what it gets wrong."""

import math
from dataclasses import dataclass

import torch
from scipy.special import gammaincinv
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.images import Keep, first_inside
from cfair.inference.log_posterior import LogPosterior
from cfair.inference.pareto import tail_shape

__all__ = ["Draws", "draw_normal", "root"]

ROWS = 10_000  # from which the curvature is estimated: at most 5 % of the draws are lost to it with 30 parameters, and no bias comes of it
FLAT = 1e-9  # share of their own curvatures that several parameters together must have, or the top is none
DEGREES, MORE = (
    30.0,
    4.0,
)  # of freedom, at least, and by parameter: tails over those of a posterior from few rows; each parameter adds its own
PATIENCE = 50  # draws per accepted one, before the region is taken for empty
HALF = 2**-54  # half of the smallest step of a uniform number: 0 has no finite quantile


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Draws of the parameters of one part of a model.

    Args:
        thetas: shape (S, p).
        log_weights: shape (S,), their weights summing to 1.
        k_hat: the Pareto shape of the largest weights.
    """

    thetas: Tensor
    log_weights: Tensor
    k_hat: float

    @property
    def ess(self) -> float:
        """Kish's effective number of draws, 1/Σ w²."""
        return 1 / float((2 * self.log_weights).exp().sum())


def draw_normal(density: LogPosterior, *, count: int, accept: Keep, seed: int, images: Tensor | None = None) -> Draws:
    """``count`` draws θ_s = θ̂ + L·z_s with L·Lᵀ = (−H)⁻¹ at the top θ̂, and their weights, Pareto-smoothed.

    q is the Laplace approximation with the tails of a Student t: log q = −(ν + p)/2·log(1 + |z|²/ν) up to a constant. Where
    parameters are many ν grows with p, or their tails together would cost most of the draws. The
    z_s are scrambled Sobol points in random order. A draw outside of the region that a convention keeps is replaced by its image
    inside; the weight of θ is therefore p(θ)/Σ_g q(g·θ), over all images g. (To leave such draws out instead would lose a second
    top: where the loading that decides on a latent's sign may be 0, the signs of the others are open.)

    Args:
        density: at whose ``start`` the top is.
        count: how many draws.
        accept: which points θ, (S, p), lie in the region, (S,).
        seed: of the points.
        images: linear maps (g, p, p), a group with the identity first, of which one leads into the region; the identity if None.

    Raises:
        FitError: the density does not fall in every direction from the top, or hardly a draw lies in the region.

    Source: Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto smoothed importance sampling.
    """
    top, stretch = density.start, root(density, seed=seed)
    images = torch.eye(len(top), dtype=torch.float64).unsqueeze(0) if images is None else images
    thetas = _accepted(density.part, top, stretch, count=count, accept=accept, images=images, seed=seed)
    log_p = density.values(thetas)
    away = torch.einsum("gpq,sq->gsp", images, thetas) - top
    z = torch.linalg.solve(stretch, away.flatten(0, 1).T).T.unflatten(0, away.shape[:2])
    degrees = _degrees(len(top))
    log_q = (-(degrees + len(top)) / 2 * (z.square().sum(2) / degrees).log1p()).logsumexp(0)
    log_ratio = (log_p - density.value(top) - log_q).nan_to_num(nan=-math.inf)
    k_hat, smooth = tail_shape(log_ratio.unsqueeze(1))
    return Draws(thetas, smooth.squeeze(1).log_softmax(0), float(k_hat))


def root(density: LogPosterior, *, seed: int) -> Tensor:
    """L with L·Lᵀ = (−H)⁻¹, (p, p): the curvature H at the top, of ROWS of the rows if there are more.

    Raises:
        FitError: the density does not fall in every direction.
    """
    n = density.log_likelihood.n
    people = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:ROWS] if n > ROWS else None
    information = -density.hessian(density.start, people)
    own = information.diagonal().clamp(min=0).sqrt()
    scaled = information / own.unsqueeze(1) / own  # scales that differ by orders first
    values, vectors = torch.linalg.eigh(((scaled + scaled.T) / 2).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0))
    if not values[0] > FLAT:
        names = [density.names[int(place)] for place in vectors[:, 0].abs().argsort(descending=True)[:2]]
        problem = f"the log posterior does not fall from its top along {' and '.join(dict.fromkeys(names))}: no normal describes it"
        raise FitError(f"uncertainty of {density.part}", problem, "use uncertainty='nuts', give priors, or fix a parameter")
    lower = torch.linalg.cholesky(scaled)
    inverse: Tensor = torch.linalg.solve_triangular(lower.mT, torch.eye(len(own), dtype=torch.float64), upper=True)
    return inverse / own.unsqueeze(1)


def _accepted(part: str, top: Tensor, stretch: Tensor, *, count: int, accept: Keep, images: Tensor, seed: int) -> Tensor:
    """Points (count, p), or their images, in the region."""
    engine = torch.quasirandom.SobolEngine(len(top) + 1, scramble=True, seed=seed)
    found = top.new_zeros(0, len(top))
    for _ in range(PATIENCE):
        uniform = engine.draw(count, dtype=torch.float64).clamp(HALF, 1 - HALF)
        z = torch.special.ndtri(uniform[:, 1:]) / _chi(uniform[:, :1], _degrees(len(top)))
        orbits = torch.einsum("gpq,sq->sgp", images, top + z @ stretch.T)
        thetas, inside = first_inside(orbits, accept)
        found = torch.cat([found, thetas[inside]])
        if len(found) >= count:
            return found[:count][torch.randperm(count, generator=torch.Generator().manual_seed(seed))]
    problem = (
        f"of {PATIENCE * count} draws {len(found)} keep the latents' convention: the data hardly tell their directions or levels apart"
    )
    raise FitError(f"uncertainty of {part}", problem, "use uncertainty='nuts', give priors, or fix a loading")


def _degrees(parameters: int) -> float:
    """Of freedom ν, of the Student t from which so many parameters are drawn."""
    return max(DEGREES, MORE * parameters)


def _chi(uniform: Tensor, degrees: float) -> Tensor:
    """√(χ²/ν) of ν ``degrees`` of freedom at these probabilities: a normal draw over it is a Student t."""
    return torch.from_numpy(gammaincinv(degrees / 2, uniform.numpy()) / (degrees / 2)).sqrt()
