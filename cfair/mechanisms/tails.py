"""Probabilities kept in the nearer tail, where rounding would make them 0 or 1."""

import math

import torch
from torch import Tensor

__all__ = ["log1mexp", "log_odds", "poisson_log_pmf", "poisson_log_tails"]

TINY = 1e-250  # below it the incomplete gamma function loses digits; a series takes over
TERMS = 64  # of that series; the rest is summed as a geometric one


def log1mexp(x: Tensor) -> Tensor:
    """log(1 − eˣ) for x ≤ 0, without cancellation (Mächler 2012, eq. 7)."""
    return torch.where(x > -math.log(2), torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


def log_odds(events: Tensor, n: int) -> Tensor:
    """Log-odds of a share of events, kept finite by half an event on either side."""
    return ((events + 0.5) / (n - events + 0.5)).log()


def poisson_log_pmf(count: Tensor, log_rate: Tensor) -> Tensor:
    """log P(X = k) = k·log μ − μ − log k!; −∞ below 0."""
    pmf = count * log_rate - log_rate.exp() - torch.lgamma(count.clamp(min=0) + 1)
    return torch.where(count < 0, -torch.inf, pmf)


def poisson_log_tails(count: Tensor, log_rate: Tensor) -> tuple[Tensor, Tensor]:
    """log P(X ≤ k) and log P(X > k) for X ~ Poisson(μ), each to relative precision however small; k ≥ −1.

    P(X ≤ k) = Q(k + 1, μ), the regularised upper incomplete gamma function (Abramowitz & Stegun 26.4.21). The smaller of
    the two is computed, the larger follows from it.
    """
    count, log_rate = torch.broadcast_tensors(count, log_rate)
    rate = log_rate.exp()
    shape = count.clamp(min=0) + 1
    upper_is_smaller = shape > rate
    tail = torch.empty_like(rate)
    tail[upper_is_smaller] = torch.special.gammainc(shape[upper_is_smaller], rate[upper_is_smaller])
    tail[~upper_is_smaller] = torch.special.gammaincc(shape[~upper_is_smaller], rate[~upper_is_smaller])
    smaller = tail.log()
    far = tail < TINY
    if far.any():
        smaller[far] = _far_tail(count[far], log_rate[far], upper_is_smaller[far])
    larger = log1mexp(smaller.clamp(max=0))
    log_cdf = torch.where(upper_is_smaller, larger, smaller)
    log_survival = torch.where(upper_is_smaller, smaller, larger)
    none = count < 0
    return torch.where(none, -torch.inf, log_cdf), torch.where(none, 0.0, log_survival)


def _far_tail(count: Tensor, log_rate: Tensor, upper: Tensor) -> Tensor:
    """Log of a tail many standard deviations out: its largest term times the sum of the ratios of the others to it."""
    rate = log_rate.exp()
    first = torch.where(upper, count + 1, count)
    total, term = torch.ones_like(rate), torch.ones_like(rate)
    for step in range(TERMS):
        ratio = torch.where(upper, rate / (first + step + 1), ((first - step) / rate).clamp(min=0))
        term = term * ratio
        total = total + term
    return poisson_log_pmf(first, log_rate) + torch.log(total + term * ratio / (1 - ratio))
