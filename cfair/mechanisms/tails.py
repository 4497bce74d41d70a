"""Probabilities kept in the nearer tail, where rounding would make them 0 or 1."""

import math
from typing import NamedTuple

import torch
from scipy.special import gammainc, gammaincc
from torch import Tensor

__all__ = ["Step", "log1mexp", "log_ndtr", "log_odds", "poisson_log_pmf", "poisson_log_tail", "poisson_slope", "poisson_step"]

FAR = 4.0  # standard deviations from the mean at which a continued fraction takes over from the incomplete gamma function
TERMS = 24  # of that fraction: at FAR right to 3e-14
STIRLING = 16.0  # counts from which Stirling's series to k⁻⁷ is right to rounding


def log1mexp(x: Tensor) -> Tensor:
    """The log of 1 − eˣ for x ≤ 0, without cancellation (Mächler 2012, eq. 7)."""
    near = x > -math.log(2)
    return torch.where(near, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(torch.where(near, -1.0, x))))  # −1: a finite slope


def log_odds(events: Tensor, n: int) -> Tensor:
    """Log-odds of a share of events, kept finite by half an event on either side."""
    return ((events + 0.5) / (n - events + 0.5)).log()


def poisson_log_pmf(count: Tensor, log_rate: Tensor) -> Tensor:
    """k·log μ − μ − log k! = k·t − k·(eᵗ − 1) + (k·log k − k − log k!) with t = log μ − log k, where nothing large cancels; k ≥ 0."""
    k = count.clamp(min=1)  # for k = 0 the sum is −(μ − 1) − 1
    t = log_rate - k.log()
    return torch.addcmul(torch.addcmul(_log_pmf_at_mean(count), count, t), k, torch.expm1(t), value=-1)


def poisson_slope(count: Tensor, log_rate: Tensor) -> Tensor:
    """The difference k − μ as −k·(eᵗ − 1) with t = log μ − log k, where nothing large cancels; −(μ − 1) − 1 for k = 0."""
    k = count.clamp(min=1)
    return torch.addcmul(count - k, k, torch.expm1(log_rate - k.log()), value=-1)


def _log_pmf_at_mean(count: Tensor) -> Tensor:
    """k·log k − k − log k!, by Stirling's series where k is large; −1 at k = 0."""
    k = count.clamp(min=1)
    exact = count * k.log() - k - torch.lgamma(count + 1)
    inverse = 1 / k.square()
    series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / k
    return torch.where(count < STIRLING, exact, -(2 * math.pi * k).log() / 2 - series)


def poisson_log_tail(count: Tensor, log_rate: Tensor, lower: Tensor) -> Tensor:
    """The log of P(X ≤ k) where ``lower``, else of P(X > k), for X ~ Poisson(μ) and k ≥ −1: asked for where it is the smaller of the two.

    P(X ≤ k) = Q(k + 1, μ), the regularised upper incomplete gamma function (Abramowitz & Stegun 26.4.21).
    """
    count, log_rate, lower = torch.broadcast_tensors(count, log_rate, lower)
    k, rate = count.clamp(min=0), log_rate.exp()
    excess = torch.where(lower, rate - k, k + 1 - rate)
    far = excess > FAR * rate.sqrt()
    below, above = lower & ~far, ~lower & ~far
    tail = torch.empty_like(rate)
    tail[below] = torch.from_numpy(gammaincc((k[below] + 1).numpy(), rate[below].numpy()))
    tail[above] = torch.from_numpy(gammainc((k[above] + 1).numpy(), rate[above].numpy()))
    log_tail = tail.log_()
    if far.any():
        log_tail[far] = poisson_log_pmf(k[far], log_rate[far]) + log_rate[far] - _fraction(k[far], rate[far], excess[far], lower[far]).log()
    return torch.where(count < 0, torch.where(lower, -torch.inf, 0.0), log_tail)


def _fraction(count: Tensor, rate: Tensor, excess: Tensor, lower: Tensor) -> Tensor:
    """μ·P(X = k) over the tail, for 0-based k: a continued fraction of positive terms, e + a₁/(e + c + a₂/(e + 2c + ...)).

    Below the mean Legendre's, e = μ − k, a_i = i·(k + 1 − i), c = 2; above it Gauss's, e = k + 1 − μ, a_i = i·μ, c = 1 (Gautschi 1977).
    """
    stride = 1.0 + lower.to(rate.dtype)
    fraction = excess + TERMS * stride
    for i in range(TERMS, 0, -1):
        numerator = i * torch.where(lower, (count + 1 - i).clamp(min=0), rate)
        fraction = excess + (i - 1) * stride + numerator / fraction
    return fraction


class Step(NamedTuple):
    """The step of a distribution function at k, from F(k − 1) to F(k), seen from the nearer tail.

    Args:
        lower: whether probabilities are counted from below, else from above.
        near: log of F(k − 1), or of 1 − F(k) counted from above.
        mass: log of P(X = k).
    """

    lower: Tensor
    near: Tensor
    mass: Tensor

    def at(self, share: Tensor) -> Tensor:
        """Log-odds of F(k − 1) + share·P(X = k)."""
        counted = torch.where(self.lower, share, 1 - share)
        return self._log_odds(torch.logaddexp(self.near, self.mass + counted.log()))

    def ends(self) -> tuple[Tensor, Tensor]:
        """Log-odds of F(k − 1) and of F(k)."""
        near, far = self._log_odds(self.near), self._log_odds(torch.logaddexp(self.near, self.mass))
        return torch.where(self.lower, near, far), torch.where(self.lower, far, near)

    def _log_odds(self, tail: Tensor) -> Tensor:
        odds = tail - log1mexp(tail.clamp(max=0))  # rounding may lift the log of nearly all above 0
        return torch.where(self.lower, odds, -odds)


def poisson_step(count: Tensor, log_rate: Tensor) -> Step:
    """The step of the Poisson distribution function at a count k ≥ 0."""
    count, log_rate = torch.broadcast_tensors(count, log_rate)
    lower = count + 1 / 3 < log_rate.exp()  # the median is near μ − 1/3
    return Step(lower, poisson_log_tail(torch.where(lower, count - 1, count), log_rate, lower), poisson_log_pmf(count, log_rate))


def log_ndtr(x: Tensor) -> Tensor:
    """Log Φ(x), of any shape, to rounding in both tails: log(erfcx(−x/√2)/2) − x²/2 below 1, log1p(−erfc(x/√2)/2) above.

    As torch's own, which cannot be asked for many parameters at once (``vmap``) without a warning.
    """
    low, high = x.clamp(max=1.0), x.clamp(min=1.0)
    below: Tensor = (torch.special.erfcx(-low * 0.5**0.5) / 2).log() - low.square() / 2
    return torch.where(x < 1, below, torch.log1p(-torch.special.erfc(high * 0.5**0.5) / 2))
