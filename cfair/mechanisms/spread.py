"""The scale of additive noise: one for everybody, or one that observed parents change."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Gamma, Normal, constraints

from cfair.interfaces import Values
from cfair.mechanisms.terms import Parent, Term, added_up, folding

__all__ = ["LogScale", "Spread"]

WEIGHTS_SD = 1.0  # of the default prior of v: a parent's sd, or a level, changes the scale by a factor within 7 with 95 % probability


class Spread(nn.Module):
    """Σ_p v_p·z_p over observed parents, z as in LinearPredictor: how far log σ lies from what it is at z = 0. Latents do not enter.

    Args:
        parents: of the node; latent ones are left out.
        weights: v fixed in the parents' own units, a name left out being 0, or None where they are learned.
        prior: of v, as (mean, sd) in the parents' own units; None for the default, Normal(0, 1) per standard unit.
        centered: whether real parents are centred, so that z = 0 is at their means.
    """

    folding: Tensor
    weights: nn.Parameter  # v, shape (weights,)
    weights_free: Tensor
    weights_mean: Tensor
    weights_sd: Tensor

    def __init__(
        self, parents: Sequence[Parent], *, weights: Mapping[str, float] | None, prior: tuple[float, float] | None, centered: bool
    ) -> None:
        super().__init__()
        self.terms = [Term([parent]) for parent in parents if not parent.latent]
        self.names = tuple(name for term in self.terms for name in term.names)
        matrix, scale = folding(self.terms, centered=centered, products=False)
        self.register_buffer("folding", matrix)
        fixed = torch.tensor([(weights or {}).get(name, 0.0) for name in self.names], dtype=torch.float64) * scale
        self.weights = nn.Parameter(fixed, requires_grad=False)
        self.register_buffer("weights_free", torch.full_like(fixed, weights is None, dtype=torch.bool))
        mean, sd = prior or (0.0, WEIGHTS_SD)
        unit = scale if prior else torch.ones_like(scale)
        self.register_buffer("weights_mean", mean * unit)
        self.register_buffer("weights_sd", sd * unit)

    def forward(self, values: Values) -> Tensor:
        """What the parents add to log σ, of the shape that their values broadcast to."""
        return added_up(self.terms, self.folded().unsqueeze(0), values)[0]

    def folded(self) -> Tensor:
        """What is added where every parent is 0, and the weights in the parents' own units, shape (1 + weights,)."""
        return torch.cat([self.weights.new_zeros(1), self.weights]) @ self.folding

    def prior(self) -> Distribution:
        """Prior of the weights on the scale on which they are learned."""
        return Normal(self.weights_mean, self.weights_sd, validate_args=False)


class LogScale(Distribution):
    """log σ where σ² ~ InverseGamma(shape, scale), both of shape ()."""

    arg_constraints: ClassVar = {}
    support = constraints.real

    def __init__(self, shape: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.precision = Gamma(shape, scale)  # of 1/σ²
        super().__init__(validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws, shape sample_shape."""
        return -self.precision.rsample(torch.Size(sample_shape)).log() / 2

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density: Gamma's at σ⁻², times |dσ⁻²/d log σ| = 2σ⁻²."""
        precision = torch.exp(-2 * value)
        density: Tensor = self.precision.log_prob(precision) + math.log(2) - 2 * value
        return density
