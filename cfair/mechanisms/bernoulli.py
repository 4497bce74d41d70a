"""Binary nodes: a threshold on a linear predictor and noise."""

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
from cfair.mechanisms.links import LINKS
from cfair.mechanisms.steps import beyond
from cfair.mechanisms.tails import log1mexp
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters

__all__ = ["Bernoulli"]


class Bernoulli(Indexed):
    """x = 1[λ(η) + u > 0],  u ~ Logistic(0, 1),  η = b + Σ_p w_p·p: λ(η) are the log-odds of P(x = 1).

    ``link:`` says which: ``logit``, P(x = 1) = sigmoid(η) and λ(η) = η, by default; ``probit``, Φ(η); ``cloglog``, 1 − exp(−exp(η)). The
    density is log-concave in η under each.

    Default priors: b ~ Normal(0, 10), w ~ Normal(0, 2.5) per standard unit of real parents. One in dag.yaml is in raw units.

    Coupling, an assumption: monotone. u is the log-odds of the uniform number that the inverse CDF reads, so that raising
    η never turns a 1 into a 0: the same people change as with normal noise under ``probit``, or Gumbel noise under ``cloglog``,
    added to η. For two levels Gumbel-max gives the same coupling.
    """

    kind: ClassVar[Kind] = "binary"
    noise_size: int = 1

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        known = node.parameters or Parameters()
        self.link = LINKS[node.word("link")]
        self._logit = node.word("link") == "logit"
        self.linear = LinearPredictor.of_link(node, parents, [Coefficients(known.intercept, known.weights)])

    def at(self, eta: Tensor) -> Distribution:
        """Bernoulli(logits=λ(η))."""
        return BernoulliDistribution(logits=self.link.log_odds(eta.squeeze(-1)), validate_args=False)

    def bend(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor] | None:
        """Slope x − p and curvature −p·(1 − p) of the log density in the log-odds; None with another link."""
        if not self._logit:
            return None
        share = eta.squeeze(-1).sigmoid()
        return x - share, -share * (-eta.squeeze(-1)).sigmoid()

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u = log(uniform / (1 − uniform))."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """1[u > −λ(η)]."""
        return beyond(noise, -self.location(parents))

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: Logistic truncated to (−λ, ∞) where x = 1, to (−∞, −λ] where x = 0.

        Drawn as the log-odds of v·P(x) from the end of the line at which x lies, so that no tail is rounded to 0 or 1.
        """
        odds = self.location(parents)
        sign = 2 * value - 1
        tail = logsigmoid(sign * odds) + uniform.log()  # log of the uniform number, counted from x's own end
        drawn = sign * (log1mexp(tail) - tail)
        infinity = torch.full_like(drawn, torch.inf)
        event = value > 0
        return open_interval(drawn, torch.where(event, -odds, -infinity), torch.where(event, infinity, -odds))

    def location(self, parents: Values) -> Tensor:
        """The log-odds λ(η)."""
        return self.link.log_odds(self.linear.located(parents)[0])

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        return {f"linear.{name}": prior for name, prior in self.linear.priors().items()}

    def start(self, value: Tensor) -> None:
        """Set the free intercept where learning begins, from the node's own values (n,)."""
        share = (value.sum() + 0.5) / (value.numel() + 1)
        self.linear.set_intercept(self.link.predictor(share).reshape(1))

    def raw(self) -> dict[str, Raw]:
        """Intercept and weights (of η) in the parents' own units, as under ``parameters:``."""
        return self.linear.raw()[0]
