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
from cfair.mechanisms.linear import Coefficients, LinearPredictor, Parent, Raw, Unit
from cfair.mechanisms.search import searched
from cfair.mechanisms.tails import poisson_log_pmf, poisson_step
from cfair.spec import NodeSpec, Parameters, Prior

__all__ = ["LogPoisson", "Poisson"]

LARGEST = 30.0  # of a log rate when counts are coupled: a larger one is held here, lest neighbouring counts have equal log-odds
FAST = 14.0  # largest log rate of the expansion, the least being 0
UNSURE = 0.02  # distance from a whole number within which it is not trusted: it is off by at most 0.0075

MARGIN = 0.1  # counts within which the normal approximation of a quantile is not trusted


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
        known, prior = node.parameters or Parameters(), node.prior or Prior()
        self.linear = LinearPredictor.of_link(parents, [Coefficients(known.intercept, known.weights)], prior)

    def at(self, eta: Tensor) -> Distribution:
        """Poisson(exp(log μ))."""
        return LogPoisson(eta.squeeze(-1), validate_args=False)

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u = log(uniform / (1 − uniform))."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The smallest count whose cumulative log-odds reach u."""
        noise, log_rate = torch.broadcast_tensors(noise, self.log_rate(parents).clamp(max=LARGEST))
        return _quantile(noise, log_rate)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: the log-odds of F(x − 1) + v·P(x)."""
        step = poisson_step(value, self.log_rate(parents).clamp(max=LARGEST))
        return open_interval(step.at(uniform), *step.ends())

    def log_rate(self, parents: Values) -> Tensor:
        """Log μ."""
        return self.index(parents).squeeze(-1)

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


def _quantile(u: Tensor, log_rate: Tensor) -> Tensor:
    """min{k : log-odds F(k) ≥ u}: an expansion that knows when it is right, then a search for the few that are left."""
    count, sure = _expanded(u, log_rate)
    if not sure.all():
        count[~sure] = searched(count[~sure], u[~sure], poisson_step, log_rate[~sure])
    return count


def _expanded(u: Tensor, log_rate: Tensor) -> tuple[Tensor, Tensor]:
    """The quantile by an expansion in the normal deviate z of u, and whether it is known to be right.

    μ·r + c(r) − 0.0218/(μ·r + 0.065·μ) rounded down, where √(2(1 − r + r·log r)) = s = z/√μ and c(r) = log(s·√r/(r − 1))/log r.

    Source: Giles (2016), Algorithm 955, section 2.3, after Temme (1992).
    """
    rate = log_rate.exp()
    s = torch.special.ndtri(torch.sigmoid(-u.abs())).copysign(u) / rate.sqrt()
    near = s.abs() < 0.02  # there the series in s are right to rounding, and the closed forms cancel
    ratio = (1 + s * (1 + s * (1 / 6 + s * (s / 270 - 1 / 72)))).clamp(min=0.01)
    for _ in range(2):  # Newton's method
        log_ratio = ratio.log()
        root = (2 * (1 - ratio + ratio * log_ratio)).sqrt().copysign(s)
        ratio = torch.where(near, ratio, (ratio - (root - s) * root / log_ratio).clamp(min=0.01))
    closed = (s * ratio.sqrt() / (ratio - 1)).log() / ratio.log()
    real = rate * ratio + torch.where(near, 1 / 3 - s * (1 / 36 - s * (7 / 810)), closed)
    real = real - 0.0218 / (real + 0.065 * rate)
    count = real.floor()
    clear = (real - count - 0.5).abs() < 0.5 - UNSURE
    trusted = (count >= 0) & (log_rate > 0) & (log_rate < FAST) & (s.square() * rate < 36)
    return torch.nan_to_num(count, nan=0.0, posinf=0.0).clamp(min=0), clear & trusted
