"""Real nodes: any smooth mean, with normal noise of one size."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from cfair.interfaces import Values
from cfair.mechanisms.linear import Parent, Unit
from cfair.mechanisms.network import Weights
from cfair.mechanisms.networked import LEAST, Networked
from cfair.spec import NodeSpec

__all__ = ["Neural"]


class Neural(Networked):
    """x = c + s·(f(parents) + σ·u),  u ~ Normal(0, 1): f a linear part and a multilayer perceptron beside it.

    c and s are the column's mean and standard deviation on the training rows. f minimises the squared error, and σ is the root mean
    square of the held-out rows' residuals: what f does not explain of rows that it was not fitted to.

    Options: ``hidden: [32, 32]``, the layers' widths; ``epochs: 400``, the most walks over the rows; ``patience: 15``, walks without a
    better validation loss before the step is made smaller, three times.

    The noise is additive, so that the counterfactual follows from the distribution: no coupling is chosen.
    """

    scale: Tensor  # s·σ

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__(node, parents, unit, outputs=1)
        self.register_buffer("scale", torch.tensor(unit.scale, dtype=torch.float64))

    def distribution(self, parents: Values) -> Distribution:
        """Normal(c + s·f, s·σ)."""
        return Normal(self.location(parents), self.scale, validate_args=False)

    def noise(self, uniform: Tensor) -> Tensor:
        """The normal quantile u = Φ⁻¹(uniform)."""
        quantile: Tensor = torch.special.ndtri(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The sum c + s·(f + σ·u)."""
        return self.location(parents) + self.scale * noise

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """(x − c − s·f) / (s·σ); nothing is left to draw."""
        return (value - self.location(parents)) / self.scale

    def location(self, parents: Values) -> Tensor:
        """The mean c + s·f."""
        return self.center + self.unit * self.network.at(parents).squeeze(-1)

    def loss(self, weights: Weights, z: Tensor, y: Tensor) -> Tensor:
        """Squared error in standard units, shape (m,)."""
        return (y - self.network.with_weights(weights, z).squeeze(-1)).square()

    def linear_outputs(self, slopes: Tensor, intercept: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
        """The linear part of f (k, 1) and its bias (1,): the least-squares fit."""
        return slopes.unsqueeze(-1), intercept.reshape(1)

    def settle(self, z: Tensor, y: Tensor, weights: Tensor) -> None:
        """Set σ to the root mean square of the held-out rows' residuals."""
        squares = self.loss(self.network.weights, z, y)
        sigma = ((squares * weights).sum() / weights.sum()).sqrt().clamp(min=LEAST)
        self.scale = self.unit * sigma

    def raw(self) -> dict[str, object]:
        """The noise's scale in the node's own unit, and what the network is and how it was learned."""
        return {"scale": float(self.scale), **self.described()}
