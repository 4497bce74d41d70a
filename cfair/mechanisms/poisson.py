"""Count nodes: the inverse of the Poisson distribution function."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.base import open_interval
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import Coefficients, LinearPredictor, Raw
from cfair.mechanisms.poisson_quantile import poisson_quantile
from cfair.mechanisms.tails import poisson_log_pmf, poisson_slope, poisson_step
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters

__all__ = ["LogPoisson", "Poisson"]

LARGEST = 30.0  # of a log rate when counts are coupled: a larger one is held here, lest neighbouring counts have equal log-odds


class Poisson(Indexed):
    """x = min{k : F(k; μ) ≥ sigmoid(u)},  u ~ Logistic(0, 1),  log μ = b + Σ_p w_p·p: x ~ Poisson(μ).

    Default priors: b ~ Normal(0, 10), w ~ Normal(0, 2.5) per standard unit of real parents. One in dag.yaml is in raw units.

    Coupling, an assumption: monotone. u is the log-odds of the uniform number that the inverse CDF reads; given x it is
    uniform on (F(x − 1), F(x)], computed in the nearer tail: F(59; 10) would round to 1.
    """

    kind: ClassVar[Kind] = "count"
    noise_size: int = 1

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        known = node.parameters or Parameters()
        self.linear = LinearPredictor.of_link(node, parents, [Coefficients(known.intercept, known.weights)])

    def at(self, eta: Tensor) -> Distribution:
        """Poisson(exp(log μ))."""
        return LogPoisson(eta.squeeze(-1), validate_args=False)

    def bend(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Slope k − μ and curvature −μ of the log density in log μ."""
        slope = poisson_slope(x, eta.squeeze(-1))
        return slope, slope - x

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u = log(uniform / (1 − uniform))."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The smallest count whose cumulative log-odds reach u."""
        return poisson_quantile(noise, self.log_rate(parents).clamp(max=LARGEST))

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: the log-odds of F(x − 1) + v·P(x)."""
        step = poisson_step(value, self.log_rate(parents).clamp(max=LARGEST))
        return open_interval(step.at(uniform), *step.ends())

    def log_rate(self, parents: Values) -> Tensor:
        """Log μ."""
        return self.linear.located(parents)[0]

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        return {f"linear.{name}": prior for name, prior in self.linear.priors().items()}

    def start(self, value: Tensor) -> None:
        """Set the free intercept where learning begins, from the node's own values (n,)."""
        self.linear.set_intercept((value.mean() + 0.5 / value.numel()).log().reshape(1))

    def raw(self) -> dict[str, Raw]:
        """Intercept and weights (log rate) in the parents' own units, as under ``parameters:``."""
        return self.linear.raw()[0]


class LogPoisson(Distribution):
    """Poisson(exp(log_rate)), its density read off the log rate."""

    arg_constraints: ClassVar = {"log_rate": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, log_rate: Tensor, validate_args: bool | None = None) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.shape, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> "LogPoisson":
        """The same distribution over a larger batch."""
        return type(self)(self.log_rate.expand(torch.Size(batch_shape)), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """exp(log_rate)."""
        return self.log_rate.exp()

    @property
    def variance(self) -> Tensor:
        """exp(log_rate)."""
        return self.log_rate.exp()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Counts, shape sample_shape + batch_shape."""
        with torch.no_grad():
            return torch.poisson(self.log_rate.exp().expand(self._extended_shape(torch.Size(sample_shape))))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density k·log μ − μ − log k!."""
        return poisson_log_pmf(value, self.log_rate)
