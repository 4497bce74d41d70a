"""Real nodes: any continuous distribution, by a spline that increases with the noise."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from cfair.interfaces import Values
from cfair.mechanisms.linear import Parent, Unit
from cfair.mechanisms.network import Weights
from cfair.mechanisms.networked import LEAST, Networked
from cfair.mechanisms.splines import Spline, free_log_scale, noise_and_log_slope, numbers_of
from cfair.spec import NodeSpec

__all__ = ["Flow"]

LOG_ROOT = math.log(2 * math.pi) / 2
GRID = torch.linspace(-8, 8, 401, dtype=torch.float64)  # of the noise, over which moments are summed


class Flow(Networked):
    """x = c + s·T(u; parents),  u ~ Normal(0, 1),  T increasing: T⁻¹(y) = R((y − m)/e^l), R a monotone rational-quadratic spline.

    c and s are the column's mean and standard deviation on the training rows; m, l and R's knots come from a network of the parents. R
    maps a box of ±6 onto itself and is the identity outside of it: the tails are those of a normal distribution. What is learned maximises
    the likelihood; the weights at which the held-out rows' is greatest are kept.

    Options: ``bins: 12``, pieces of the spline; ``hidden: [32, 32]``, the layers' widths; ``epochs: 400``, the most walks over the rows;
    ``patience: 15``, walks without a better validation loss before the step is made smaller, three times.

    Coupling, an assumption: monotone. In every world a person keeps their quantile among those with the same parents.

    Source: Durkan, Bekasov, Murray & Papamakarios (2019), Neural Spline Flows, section 3.1.
    """

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        self.bins = node.whole("bins")
        super().__init__(node, parents, unit, outputs=numbers_of(self.bins))

    def distribution(self, parents: Values) -> Distribution:
        """That of c + s·T(u)."""
        return FlowDistribution(self.spline(parents), self.center, self.unit)

    def noise(self, uniform: Tensor) -> Tensor:
        """The normal quantile u = Φ⁻¹(uniform)."""
        quantile: Tensor = torch.special.ndtri(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The quantile c + s·T(u)."""
        return self.center + self.unit * self.spline(parents).value(noise)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise T⁻¹((x − c)/s); nothing is left to draw."""
        return self.spline(parents).noise((value - self.center) / self.unit)

    def spline(self, parents: Values) -> Spline:
        """T for each person, of batch shape (...)."""
        return Spline(self.network.at(parents))

    def loss(self, weights: Weights, z: Tensor, y: Tensor) -> Tensor:
        """Minus the log density in standard units, shape (m,)."""
        u, log_slope = noise_and_log_slope(self.network.with_weights(weights, z), y).unbind(-1)
        return u.square() / 2 - log_slope

    def linear_outputs(self, slopes: Tensor, intercept: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
        """The least-squares fit m, its residual sd e^l, and a spline that is the identity."""
        linear, bias = slopes.new_zeros(len(slopes), numbers_of(self.bins)), slopes.new_zeros(numbers_of(self.bins))
        linear[:, 0], bias[0], bias[1] = slopes, intercept, free_log_scale(sd.clamp(min=LEAST).log())
        return linear, bias

    def settle(self, z: Tensor, y: Tensor, weights: Tensor) -> None:
        """Nothing: the network is all there is."""

    def raw(self) -> dict[str, object]:
        """What the network is and how it was learned; the spline's shape changes with the parents."""
        return {"bins": self.bins, **self.described()}


class FlowDistribution(Distribution):
    """c + s·T(u), u ~ Normal(0, 1), of the spline's batch shape."""

    arg_constraints: ClassVar = {}
    support = constraints.real

    def __init__(self, spline: Spline, center: Tensor, unit: Tensor, validate_args: bool | None = None) -> None:
        self.spline, self.center, self.unit = spline, center, unit
        super().__init__(spline.batch_shape, validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> "FlowDistribution":
        """The same distribution over a larger batch."""
        return type(self)(self.spline.expand(batch_shape), self.center, self.unit)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws, shape sample_shape + batch_shape."""
        with torch.no_grad():
            return self.at(torch.randn(self._extended_shape(torch.Size(sample_shape)), dtype=torch.float64))

    def at(self, noise: Tensor) -> Tensor:
        """The value at each noise."""
        return self.center + self.unit * self.spline.value(noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """The sum log φ(u) + log du/dx."""
        u, log_slope = self.spline.noise_and_log_slope((value - self.center) / self.unit)
        return -u.square() / 2 - LOG_ROOT + log_slope - self.unit.log()

    @property
    def mean(self) -> Tensor:
        """∫ x(u) φ(u) du, by the trapezoid rule on a fine grid."""
        values, weights = self._graded()
        return (values * weights).sum(0)

    @property
    def variance(self) -> Tensor:
        """∫ (x(u) − mean)² φ(u) du, likewise."""
        values, weights = self._graded()
        return ((values - (values * weights).sum(0)).square() * weights).sum(0)

    def _graded(self) -> tuple[Tensor, Tensor]:
        """Values over the grid, (grid, ...), and normal weights of shape (grid, 1, ...) that sum to 1."""
        grid = GRID.reshape(-1, *[1] * len(self.batch_shape))
        density = (-grid.square() / 2).exp()
        return self.at(grid), density / density.sum()
