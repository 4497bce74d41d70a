"""Count nodes that vary more than Poisson's: the inverse of the negative binomial distribution function."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, constraints

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.base import open_interval
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import Coefficients, LinearPredictor, Raw
from cfair.mechanisms.negative_binomial_quantile import negative_binomial_quantile
from cfair.mechanisms.negative_binomial_tails import negative_binomial_log_pmf, negative_binomial_step
from cfair.mechanisms.tails import poisson_slope
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters

__all__ = ["LogNegativeBinomial", "NegativeBinomial"]

LARGEST = 20.0  # of a log mean when counts are coupled: a larger one is held here, lest neighbouring counts have equal log-odds
FLAT = (1e-3, 1e8)  # concentrations between which counts are coupled, for the same reason; at the upper end the variance is Poisson's
SIZE_SD = 2.5  # of the default prior of log r


class NegativeBinomial(Indexed):
    """x = min{k : F(k; μ, r) ≥ sigmoid(u)},  u ~ Logistic(0, 1),  log μ = b + Σ_p w_p·p: mean μ, variance μ + μ²/r.

    r is the ``concentration``. Default priors: b ~ Normal(0, 10), log r ~ Normal(0, 2.5), w ~ Normal(0, 2.5) per standard unit of real
    parents. One of b or w in dag.yaml is in raw units. The density is log-concave in log μ.

    Coupling, an assumption: monotone. u is the log-odds of the uniform number that the inverse CDF reads; given x it is
    uniform on (F(x − 1), F(x)], computed in the nearer tail.
    """

    kind: ClassVar[Kind] = "count"
    noise_size: int = 1
    log_size: nn.Parameter  # log r
    log_size_free: Tensor

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        known = node.parameters or Parameters()
        size = known.numbers.get("concentration")
        self.linear = LinearPredictor.of_link(node, parents, [Coefficients(known.intercept, known.weights)])
        self.log_size = nn.Parameter(torch.tensor(math.log(size or 1.0), dtype=torch.float64), requires_grad=False)
        self.register_buffer("log_size_free", torch.tensor(size is None))

    def at(self, eta: Tensor) -> Distribution:
        """NegativeBinomial with mean exp(log μ) and concentration r."""
        return LogNegativeBinomial(eta.squeeze(-1), self.log_size)

    def bend(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Slope (k − μ)·(1 − s) and curvature −(k + r)·s·(1 − s) of the log density in log μ, where s = μ/(μ + r)."""
        odds = eta.squeeze(-1) - self.log_size
        rest = (-odds).sigmoid()
        return poisson_slope(x, eta.squeeze(-1)) * rest, -(x + self.log_size.exp()) * odds.sigmoid() * rest

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u = log(uniform / (1 − uniform))."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The smallest count whose cumulative log-odds reach u."""
        return negative_binomial_quantile(noise, self.log_mean(parents).clamp(max=LARGEST), self._coupled_size())

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: the log-odds of F(x − 1) + v·P(x)."""
        step = negative_binomial_step(value, self.log_mean(parents).clamp(max=LARGEST), self._coupled_size())
        return open_interval(step.at(uniform), *step.ends())

    def log_mean(self, parents: Values) -> Tensor:
        """Log μ."""
        return self.linear.located(parents)[0]

    def _coupled_size(self) -> Tensor:
        return self.log_size.detach().clamp(*(math.log(size) for size in FLAT))

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        own = {f"linear.{name}": prior for name, prior in self.linear.priors().items()}
        return {**own, "log_size": Normal(torch.zeros_like(self.log_size), SIZE_SD)}

    def start(self, value: Tensor) -> None:
        """Set the free intercept and concentration where learning begins, from the moments of the node's own values (n,)."""
        mean = value.mean() + 0.5 / value.numel()
        self.linear.set_intercept(mean.log().reshape(1))
        size = mean.square() / (value.var(correction=0) - mean).clamp(min=1e-3 * mean)
        self.log_size.data = torch.where(self.log_size_free, size.clamp(0.1, 100.0).log(), self.log_size)

    def raw(self) -> dict[str, Raw]:
        """Intercept and weights (log mean) in the parents' own units, and the concentration, as under ``parameters:``."""
        return {**self.linear.raw()[0], "concentration": float(self.log_size.exp())}


class LogNegativeBinomial(Distribution):
    """The negative binomial of mean exp(log_mean), shape (...), and concentration exp(log_size), shape ()."""

    arg_constraints: ClassVar = {"log_mean": constraints.real, "log_size": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, log_mean: Tensor, log_size: Tensor, validate_args: bool | None = None) -> None:
        self.log_mean, self.log_size = log_mean, log_size
        super().__init__(log_mean.shape, validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> "LogNegativeBinomial":
        """The same distribution over a larger batch."""
        return type(self)(self.log_mean.expand(torch.Size(batch_shape)), self.log_size)

    @property
    def mean(self) -> Tensor:
        """exp(log_mean)."""
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        """The sum μ + μ²/r."""
        return self.mean + (2 * self.log_mean - self.log_size).exp()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Counts, shape sample_shape + batch_shape: Poisson's whose rate is μ times a Gamma of mean 1."""
        with torch.no_grad():
            shape = self._extended_shape(torch.Size(sample_shape))
            size = self.log_size.exp()
            rate = torch._standard_gamma(size.expand(shape).contiguous()) / size * self.mean
            return torch.poisson(rate)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density of a count."""
        return negative_binomial_log_pmf(value, self.log_mean, self.log_size)
