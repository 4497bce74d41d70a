"""Tails of the negative binomial distribution, kept where rounding would make them 0 or 1."""

import math

import torch
from scipy.special import betainc, betaincc
from torch import Tensor

from cfair.mechanisms.tails import STIRLING, Step

__all__ = ["negative_binomial_log_pmf", "negative_binomial_step"]

TINY = 1e-280  # tail below which a continued fraction takes over from the incomplete beta function
TERMS = 400  # of that fraction: far out it is right to rounding within a few dozen


def negative_binomial_log_pmf(count: Tensor, log_mean: Tensor, log_size: Tensor) -> Tensor:
    """The log of Γ(k + r)/(k! Γ(r))·(r/(r + μ))ʳ·(μ/(r + μ))ᵏ with log r = ``log_size``, where nothing large cancels; k ≥ 0.

    log r/(r + k) + s(r) + s(k) − s(r + k) − d(r, (r + k)·r/(r + μ)) − d(k, (r + k)·μ/(r + μ)), s(x) = x·log x − x − log x! and
    d(x, m) = x·log(x/m) + m − x.

    Source: Loader (2000), Fast and accurate computation of binomial probabilities, with real r.
    """
    k, size = count.clamp(min=1), log_size.exp()
    total = (size + k).log()
    t = total - torch.logaddexp(log_size, log_mean)
    moved = log_mean - k.log() + t
    deviance = size * (torch.expm1(t) - t) + k * (torch.expm1(moved) - moved)
    some = log_size - total + _stirling(size) + _stirling(k) - _stirling(size + k) - deviance
    return torch.where(count > 0, some, -size * torch.nn.functional.softplus(log_mean - log_size))


def _stirling(x: Tensor) -> Tensor:
    """x·log x − x − log Γ(x + 1), by Stirling's series where x is large."""
    large = x.clamp(min=STIRLING)
    inverse = 1 / large.square()
    series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / large
    small = x.clamp(max=STIRLING)
    exact = small * small.log() - small - torch.lgamma(small + 1)
    return torch.where(x < STIRLING, exact, -(2 * math.pi * large).log() / 2 - series)


def negative_binomial_step(count: Tensor, log_mean: Tensor, log_size: Tensor) -> Step:
    """The step of the negative binomial distribution function at a count k ≥ 0."""
    count, log_mean, log_size = torch.broadcast_tensors(count, log_mean, log_size)
    lower = count + 1 / 3 < log_mean.exp()
    near = _log_tail(torch.where(lower, count - 1, count), log_mean, log_size, lower)
    return Step(lower, near, negative_binomial_log_pmf(count, log_mean, log_size))


def _log_tail(count: Tensor, log_mean: Tensor, log_size: Tensor, lower: Tensor) -> Tensor:
    """The log of P(X ≤ k) where ``lower``, else of P(X > k); k ≥ −1.

    P(X ≤ k) = I_p(r, k + 1) and P(X > k) = I_q(k + 1, r), p = r/(r + μ), q = 1 − p (Abramowitz & Stegun 26.5.26), each from the
    smaller of p and q.
    """
    k, size = count.clamp(min=0), log_size.exp()
    p, q = torch.sigmoid(log_size - log_mean), torch.sigmoid(log_mean - log_size)
    own, other = torch.where(lower, size, k + 1), torch.where(lower, k + 1, size)
    x, rest = torch.where(lower, p, q), torch.where(lower, q, p)
    direct = x <= rest
    tail = torch.empty_like(x)
    tail[direct] = torch.from_numpy(betainc(own[direct].numpy(), other[direct].numpy(), x[direct].numpy()))
    tail[~direct] = torch.from_numpy(betaincc(other[~direct].numpy(), own[~direct].numpy(), rest[~direct].numpy()))
    far = tail < TINY
    log_tail = tail.log_()
    if far.any():
        log_tail[far] = _log_far(k[far], log_mean[far], log_size[far], lower[far])
    return torch.where(count < 0, torch.where(lower, -torch.inf, 0.0), log_tail)


def _log_far(k: Tensor, log_mean: Tensor, log_size: Tensor, lower: Tensor) -> Tensor:
    """The log tail by the terms next to it: I_x(a, b) = xᵃ(1 − x)ᵇ/(a·B(a, b))·fraction, the factor being a multiple of a probability."""
    size = log_size.exp()
    above = negative_binomial_log_pmf(k + 1, log_mean, log_size)
    below = negative_binomial_log_pmf(k, log_mean, log_size) + (k / size).log1p() - torch.nn.functional.softplus(log_size - log_mean)
    p, q = torch.sigmoid(log_size - log_mean), torch.sigmoid(log_mean - log_size)
    a, b = torch.where(lower, size, k + 1), torch.where(lower, k + 1, size)
    return torch.where(lower, below, above) - _fraction(a, b, torch.where(lower, p, q)).log()


def _fraction(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """1 + d₁/(1 + d₂/(1 + ...)), d₂ₘ₊₁ = −(a + m)(a + b + m)x/((a + 2m)(a + 2m + 1)), d₂ₘ = m(b − m)x/((a + 2m − 1)(a + 2m)).

    Source: Abramowitz & Stegun 26.5.8, which converges fast for x < (a + 1)/(a + b + 2): in every far tail.
    """
    fraction = torch.ones_like(x)
    for i in range(TERMS, 0, -1):
        m = i // 2
        even = m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))
        fraction = 1 + (odd if i % 2 else even) * x / fraction
    return fraction
