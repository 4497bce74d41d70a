"""The noise that makes a site's values, by the kind of its distribution."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch import distributions as known
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from cfair.mechanisms.base import open_interval
from cfair.mechanisms.negative_binomial_tails import negative_binomial_step
from cfair.mechanisms.search import searched
from cfair.mechanisms.tails import Step, poisson_step

__all__ = ["CONTINUOUS", "COUNTS", "Standard", "level_log_probabilities"]

Read = Callable[[str], Tensor]  # a distribution's parameter by its name, in the people's shape


class Standard(Protocol):
    """From noise to a value and back."""

    def noise(self, uniform: Tensor) -> Tensor:
        """Noise from its prior."""
        ...

    def value(self, noise: Tensor, read: Read) -> Tensor:
        """The value that the noise makes."""
        ...

    def abduct(self, value: Tensor, read: Read, uniform: Tensor) -> Tensor:
        """The noise that made the value."""
        ...


@dataclass(frozen=True, slots=True)
class Shaped:
    """A value that increases with a noise whose distribution has no parameters; nothing is left to draw."""

    quantile: Callable[[Tensor], Tensor]
    made: Callable[[Tensor, Read], Tensor]
    undone: Callable[[Tensor, Read], Tensor]

    def noise(self, uniform: Tensor) -> Tensor:
        """Noise from its prior."""
        return self.quantile(uniform)

    def value(self, noise: Tensor, read: Read) -> Tensor:
        """The value that the noise makes."""
        return self.made(noise, read)

    def abduct(self, value: Tensor, read: Read, uniform: Tensor) -> Tensor:
        """The noise that made the value."""
        return self.undone(value, read)


@dataclass(frozen=True, slots=True)
class Stepped:
    """A count by the inverse of its distribution function: monotone coupling, noise ~ Logistic(0, 1)."""

    step: Callable[..., Step]
    parameters: Callable[[Read], tuple[Tensor, ...]]  # the log mean first

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds of ``uniform``."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def value(self, noise: Tensor, read: Read) -> Tensor:
        """The smallest count whose cumulative log-odds reach the noise."""
        u, *parameters = torch.broadcast_tensors(noise, *self.parameters(read))
        mean = parameters[0].exp()
        guess = (mean + mean.sqrt() * torch.special.ndtri(torch.sigmoid(u).clamp(1e-12, 1 - 1e-12))).round().clamp(min=0)
        flat = [parameter.flatten() for parameter in parameters]
        return searched(guess.flatten(), u.flatten(), self.step, *flat).reshape(u.shape)

    def abduct(self, value: Tensor, read: Read, uniform: Tensor) -> Tensor:
        """The log-odds of F(x − 1) + v·P(x)."""
        step = self.step(*torch.broadcast_tensors(value, *self.parameters(read)))
        return open_interval(step.at(uniform), *step.ends())


def level_log_probabilities(distribution: Distribution) -> Tensor | None:
    """The log probability of each level, shape (people, levels); None where the distribution is not one of levels."""
    if isinstance(distribution, known.Bernoulli):
        return torch.stack([logsigmoid(-distribution.logits), logsigmoid(distribution.logits)], -1)
    return distribution.logits.log_softmax(-1) if isinstance(distribution, known.Categorical) else None


def _normal(uniform: Tensor) -> Tensor:
    quantile: Tensor = torch.special.ndtri(uniform)
    return quantile


def _scaled(noise: Tensor, read: Read) -> Tensor:
    return read("loc") + read("scale") * noise


def _unscaled(value: Tensor, read: Read) -> Tensor:
    return (value - read("loc")) / read("scale")


def _exponential(uniform: Tensor) -> Tensor:
    return -torch.log1p(-uniform)


CONTINUOUS: Mapping[str, Standard] = {  # name of the class, torch's or Pyro's
    "Normal": Shaped(_normal, _scaled, _unscaled),
    "Laplace": Shaped(lambda v: torch.where(v < 0.5, (2 * v).log(), -(2 * (1 - v)).log()), _scaled, _unscaled),
    "Cauchy": Shaped(lambda v: torch.tan(math.pi * (v - 0.5)), _scaled, _unscaled),
    "Gumbel": Shaped(lambda v: -(-v.log()).log(), _scaled, _unscaled),
    "LogNormal": Shaped(_normal, lambda u, read: _scaled(u, read).exp(), lambda x, read: _unscaled(x.log(), read)),
    "Exponential": Shaped(_exponential, lambda u, read: u / read("rate"), lambda x, read: x * read("rate")),
    "HalfNormal": Shaped(lambda v: _normal((1 + v) / 2), lambda u, read: u * read("scale"), lambda x, read: x / read("scale")),
    "HalfCauchy": Shaped(lambda v: torch.tan(math.pi * v / 2), lambda u, read: u * read("scale"), lambda x, read: x / read("scale")),
    "Uniform": Shaped(
        lambda v: v,
        lambda u, read: read("low") + (read("high") - read("low")) * u,
        lambda x, read: (x - read("low")) / (read("high") - read("low")),
    ),
    "Weibull": Shaped(
        _exponential,
        lambda u, read: read("scale") * u ** (1 / read("concentration")),
        lambda x, read: (x / read("scale")) ** read("concentration"),
    ),
}

COUNTS: Mapping[str, Standard] = {  # with the two of our own, so that an SCM's own Pyro model can be read
    "LogPoisson": Stepped(poisson_step, lambda read: (read("log_rate"),)),
    "LogNegativeBinomial": Stepped(negative_binomial_step, lambda read: (read("log_mean"), read("log_size"))),
    "Poisson": Stepped(poisson_step, lambda read: (read("rate").log(),)),
    "NegativeBinomial": Stepped(
        negative_binomial_step, lambda read: (read("total_count").log() + read("logits"), read("total_count").log())
    ),
    "GammaPoisson": Stepped(
        negative_binomial_step, lambda read: (read("concentration").log() - read("rate").log(), read("concentration").log())
    ),
}
