"""Distributions of ordered levels: a location between increasing cutpoints."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, constraints
from torch.nn.functional import logsigmoid

from cfair.mechanisms.steps import step_of
from cfair.mechanisms.tails import log1mexp, log_ndtr

__all__ = ["CumulativeLogit", "CumulativeProbit", "offsets"]

NARROW = -37.0  # of a log step, below which 1 − exp(−step) is the step to rounding, and its logarithm need not be taken
THIN = -16.0  # of a log step of normal deviates, below which its probability is step times density to 1e-12 within 40 deviates


class _Cumulative(Distribution):
    """P(x ≤ j) = F(r_j − location) with r_0 = 0 and r_j − r_{j−1} = exp(log_steps_j): levels by their index.

    Args:
        location: shape (...).
        log_steps: shape (levels − 2,).
    """

    arg_constraints: ClassVar = {"location": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, location: Tensor, log_steps: Tensor, validate_args: bool | None = None) -> None:
        self.location, self.log_steps = location, log_steps
        super().__init__(location.shape, validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Self:
        """The same distribution over a larger batch."""
        return type(self)(self.location.expand(torch.Size(batch_shape)), self.log_steps)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Levels, shape sample_shape + batch_shape."""
        with torch.no_grad():
            uniform = torch.rand(self._extended_shape(torch.Size(sample_shape)), dtype=self.location.dtype).clamp(min=2**-54)
            levels: Tensor = step_of(self.quantile(uniform), offsets(self.log_steps) - self.location.unsqueeze(-1))
            return levels

    @abstractmethod
    def quantile(self, uniform: Tensor) -> Tensor:
        """F⁻¹ of numbers in (0, 1)."""


class CumulativeLogit(_Cumulative):
    """P(x ≤ j) = sigmoid(r_j − location)."""

    def quantile(self, uniform: Tensor) -> Tensor:
        """The log-odds."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def log_prob(self, value: Tensor) -> Tensor:
        """The log of P(x), log sigmoid(b) + log sigmoid(−a) + log(1 − e^(a−b)) for the step (a, b] of x, where a − b depends on no parent.

        For the first level a = −∞, for the last b = ∞, and the terms with it are 0.
        """
        cutpoints, x = offsets(self.log_steps), value.long()
        last = len(cutpoints)
        zero = cutpoints.new_zeros(1)
        widths = torch.cat([zero, _log_widths(self.log_steps), zero])
        under = logsigmoid(cutpoints[x.clamp(max=last - 1)] - self.location)
        over = logsigmoid(self.location - cutpoints[(x - 1).clamp(min=0)])
        return torch.where(x < last, under, 0.0) + torch.where(x > 0, over, 0.0) + widths[x]


class CumulativeProbit(_Cumulative):
    """P(x ≤ j) = Φ(r_j − location)."""

    def quantile(self, uniform: Tensor) -> Tensor:
        """The normal deviate."""
        quantile: Tensor = torch.special.ndtri(uniform)
        return quantile

    def log_prob(self, value: Tensor) -> Tensor:
        """The log of P(x): of a tail for the first and the last level, of Φ(b) − Φ(a) for the step (a, b] between."""
        cutpoints, x = offsets(self.log_steps), value.long()
        last = len(cutpoints)
        end = log_ndtr(torch.where(x == 0, cutpoints[0] - self.location, self.location - cutpoints[-1]))
        if last == 1:
            return end
        step = (x - 1).clamp(0, last - 2)  # where it is not x's own it is not used, and its slope is finite
        between = _log_between(cutpoints[step] - self.location, cutpoints[step + 1] - self.location, self.log_steps[step])
        return torch.where((x > 0) & (x < last), between, end)


def _log_between(low: Tensor, high: Tensor, log_step: Tensor) -> Tensor:
    """The log of Φ(high) − Φ(low) from the nearer tail, high − low = exp(log_step)."""
    flip = low + high > 0
    near, far = torch.where(flip, -low, high), torch.where(flip, -high, low)  # far < near, and both rather below 0
    thin = (log_step < THIN).expand_as(near)
    top, rest = log_ndtr(near), log_ndtr(torch.where(thin, near - 1, far))  # unused, its slope is finite
    wide = top + log1mexp(rest - top)
    narrow = log_step + Normal(0.0, 1.0, validate_args=False).log_prob((low + high) / 2)
    return torch.where(thin, narrow, wide)


def offsets(log_steps: Tensor) -> Tensor:
    """Cutpoints from the first one, which is 0: shape (levels − 1,)."""
    return torch.cat([log_steps.new_zeros(1), log_steps.exp().cumsum(0)])


def _log_widths(log_steps: Tensor) -> Tensor:
    """The log of 1 − exp(−step), whatever the step: shape (levels − 2,)."""
    narrow = log_steps < NARROW
    return torch.where(narrow, log_steps, log1mexp(-torch.where(narrow, 0.0, log_steps).exp()))
