"""Binary nodes: a logistic threshold."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Bernoulli as BernoulliDistribution
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.base import open_interval
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import Coefficients, LinearPredictor, Raw
from cfair.mechanisms.tails import log1mexp, log_odds
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters, Prior

__all__ = ["Bernoulli"]


class Bernoulli(Indexed):
    """x = 1[η + u > 0],  u ~ Logistic(0, 1),  η = b + Σ_p w_p·p: P(x = 1) = sigmoid(η).

    Default priors: b ~ Normal(0, 10), w ~ Normal(0, 2.5) per standard unit of real parents. One in dag.yaml is in raw units.

    Coupling, an assumption: monotone. u is the log-odds of the uniform number that the inverse CDF reads, so that raising
    η never turns a 1 into a 0. For two levels Gumbel-max gives the same coupling.
    """

    kind: ClassVar[Kind] = "binary"
    noise_size: int = 1

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        known, prior = node.parameters or Parameters(), node.prior or Prior()
        self.linear = LinearPredictor.of_link(parents, [Coefficients(known.intercept, known.weights)], prior)

    def at(self, eta: Tensor) -> Distribution:
        """Bernoulli(logits=η)."""
        return BernoulliDistribution(logits=eta.squeeze(-1), validate_args=False)

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u = log(uniform / (1 − uniform))."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """1[u > −η]."""
        return (noise > -self.location(parents)).to(noise.dtype)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: Logistic truncated to (−η, ∞) where x = 1, to (−∞, −η] where x = 0.

        Drawn as the log-odds of v·P(x) from the end of the line at which x lies, so that no tail is rounded to 0 or 1.
        """
        eta = self.location(parents)
        sign = 2 * value - 1
        tail = logsigmoid(sign * eta) + uniform.log()  # log of the uniform number, counted from x's own end
        drawn = sign * (log1mexp(tail) - tail)
        infinity = torch.full_like(drawn, torch.inf)
        event = value > 0
        return open_interval(drawn, torch.where(event, -eta, -infinity), torch.where(event, infinity, -eta))

    def location(self, parents: Values) -> Tensor:
        """The log-odds η."""
        return self.index(parents).squeeze(-1)

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        return {f"linear.{name}": prior for name, prior in self.linear.priors().items()}

    def start(self, value: Tensor) -> None:
        """Set the free intercept where learning begins, from the node's own values (n,)."""
        self.linear.set_intercept(log_odds(value.sum(), value.numel()).reshape(1))

    def raw(self) -> dict[str, Raw]:
        """Intercept and weights (log-odds) in the parents' own units, as under ``parameters:``."""
        return self.linear.raw()[0]
