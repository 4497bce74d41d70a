"""Count nodes: the inverse of the Poisson distribution function."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.base import open_interval
from cfair.mechanisms.linear import Coefficients, LinearPredictor, Parent, Raw, Unit
from cfair.mechanisms.tails import log1mexp, poisson_log_pmf, poisson_log_tails
from cfair.spec import NodeSpec, Parameters, Prior

__all__ = ["LogPoisson", "Poisson"]

MARGIN = 0.1  # counts within which the normal approximation of a quantile is not trusted


class Poisson(nn.Module):
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

    def forward(self, parents: Values) -> Distribution:
        """Poisson(exp(log μ))."""
        return LogPoisson(self.log_rate(parents), validate_args=False)

    distribution = forward

    def noise(self, uniform: Tensor) -> Tensor:
        """u = log(uniform / (1 − uniform))."""
        return torch.special.logit(uniform)

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The smallest count whose cumulative log-odds reach u."""
        noise, log_rate = torch.broadcast_tensors(noise, self.log_rate(parents))
        return _quantile(noise, log_rate)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """u given x, drawn as the log-odds of F(x − 1) + v·P(x), or of its complement where that is smaller."""
        value, log_rate, uniform = torch.broadcast_tensors(value, self.log_rate(parents), uniform)
        below, above = poisson_log_tails(value - 1, log_rate)[0], poisson_log_tails(value, log_rate)[1]
        mass = poisson_log_pmf(value, log_rate)
        low = torch.logaddexp(below, mass + uniform.log())
        high = torch.logaddexp(above, mass + torch.log1p(-uniform))
        drawn = torch.where(low < high, low - log1mexp(low.clamp(max=0)), log1mexp(high.clamp(max=0)) - high)
        return open_interval(drawn, _cumulative_log_odds(value - 1, log_rate), _cumulative_log_odds(value, log_rate))

    def log_rate(self, parents: Values) -> Tensor:
        """Log μ."""
        return self.linear(parents).squeeze(-1)

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
        """k·log μ − μ − log k!."""
        return value * self.log_rate - self.log_rate.exp() - torch.lgamma(value + 1)


def _cumulative_log_odds(count: Tensor, log_rate: Tensor) -> Tensor:
    """Log-odds of F(k; μ); −∞ at k = −1."""
    below, above = poisson_log_tails(count, log_rate)
    return below - above


def _quantile(u: Tensor, log_rate: Tensor) -> Tensor:
    """min{k : log-odds F(k) ≥ u}: read off the normal approximation where that is sure, else checked, and bisected where it was wrong."""
    count, sure = _guess(u, log_rate)
    doubtful = ~sure
    if doubtful.any():
        count[doubtful] = _settled(count[doubtful], u[doubtful], log_rate[doubtful])
    return count


def _settled(count: Tensor, u: Tensor, log_rate: Tensor) -> Tensor:
    """The quantile itself, from a guess."""
    reached = _cumulative_log_odds(count, log_rate) >= u
    wrong = ~reached | (_cumulative_log_odds(count - 1, log_rate) >= u)
    if wrong.any():
        count[wrong] = _bisect(count[wrong], reached[wrong], u[wrong], log_rate[wrong])
    return count


def _guess(u: Tensor, log_rate: Tensor) -> tuple[Tensor, Tensor]:
    """The quantile, and whether it is sure to be right.

    F(k) is nearly Φ(z) at the signed root deviance z of k + 2/3 (Peizer & Pratt 1968): ±√(2(c·log(c/μ) − c + μ)) = z is solved for c by
    Newton's method. c − 2/3 of F(k) itself lies within MARGIN of k wherever μ ≥ 0.3 and |z| ≤ 7.5 (the largest distance found is 0.09).
    """
    tail = logsigmoid(-u.abs())
    far = (-2 * tail - torch.log(-4 * torch.pi * tail)).clamp(min=0).sqrt()
    z = torch.where(tail > -600, -torch.special.ndtri(tail.clamp(min=-600).exp()), far) * u.sign()
    rate = log_rate.exp()
    c = (rate * (1 - 1 / (9 * rate) + z / (3 * rate.sqrt())) ** 3).clamp(min=1e-3)  # Wilson & Hilferty 1931
    for _ in range(3):
        log_ratio = c.log() - log_rate
        root = (2 * (c * log_ratio - c + rate)).clamp(min=0).sqrt().copysign(log_ratio)
        slope = torch.where(log_ratio.abs() * rate.sqrt() > 1e-4, log_ratio / root, rate.rsqrt())
        step = (root - z) / slope
        c = torch.maximum(c - step, c / 8).clamp(min=1e-3)
    c = torch.nan_to_num(c, nan=0.0) - 2 / 3
    sure = ((c - c.round()).abs() > MARGIN) & (z.abs() <= 7.5) & (rate >= 0.3) & (step.abs() < 0.01)
    return c.ceil().clamp(min=0), sure


def _bisect(count: Tensor, reached: Tensor, u: Tensor, log_rate: Tensor) -> Tensor:
    """Double the bracket from a wrong guess until it holds the answer, then halve it."""
    step = torch.ones_like(count)
    low, high = torch.where(reached, -1.0, count), torch.where(reached, count, torch.inf)
    while torch.isinf(high).any():
        high = torch.where(torch.isinf(high) & (_cumulative_log_odds(low + step, log_rate) >= u), low + step, high)
        low = torch.where(torch.isinf(high), low + step, low)
        step = 2 * step
    while (high - low > 1).any():
        middle = torch.maximum(torch.where(reached, high - step, (low + high) / 2).floor(), low + 1)
        at_least = _cumulative_log_odds(middle, log_rate) >= u
        low, high = torch.where(at_least, low, middle), torch.where(at_least, middle, high)
        reached, step = reached & at_least, 2 * step
    return high
