"""The inverse of the Poisson distribution function: an expansion that knows when it is right, and exact ways for the few that are left."""

from functools import cache

import torch
from torch import Tensor

from cfair.mechanisms.counting import counted
from cfair.mechanisms.interpolated import REACH, Interpolated, deviate, in_blocks
from cfair.mechanisms.search import searched
from cfair.mechanisms.tails import poisson_step

__all__ = ["poisson_quantile"]

ADDED = 24.0  # rate up to which adding up takes less time than a search
LONGEST = 64  # count that it then stops at: passed by one in 10¹¹
RATES = (-4.0, 14.0)  # log rates for which the expansion is trusted
BENT = (-1.38, 15.0)  # of z/√μ; below it the count is 0, as r = 0 at −√2
CELLS = 8_192  # between them: right to 2e-5 counts
DOUBT = (0.001, 0.01)  # the expansion is off by at most 0.001 + 0.01/x² at x ≥ 1; measured: 0.008 at 1, 0.003 at 2, 0.0014/x from 10 on


def poisson_quantile(u: Tensor, log_rate: Tensor) -> Tensor:
    """min{k : log-odds F(k) ≥ u} for a Poisson of rate exp(log_rate), of the shape that the two broadcast to."""
    count = in_blocks(_clear_count, [u, log_rate])
    for exact in (_added_up, _searched):
        left = count.flatten().isnan().nonzero().squeeze(-1)
        if len(left):
            count.view(-1)[left] = exact(*(each.expand(count.shape).reshape(-1)[left] for each in (u, log_rate)))
    return count


def _added_up(u: Tensor, log_rate: Tensor) -> Tensor:
    """The quantile from P(0) = exp(−μ) and P(k) = P(k − 1)·μ/k, NaN where that is not clear or takes long."""
    rate = log_rate.exp()
    first = torch.where(rate < ADDED, (-rate).exp(), 0.0)
    return counted(u, first, rate, factor=lambda k: 1 / k, longest=LONGEST)


def _searched(u: Tensor, log_rate: Tensor) -> Tensor:
    """The quantile by the distribution function itself, from the whole number that the expansion is too near to."""
    real, _ = _expanded(u, log_rate)
    guess = (real.nan_to_num(nan=1.0, posinf=1.0).round() - 1).clamp(min=0)
    return searched(guess, u, poisson_step, log_rate)


def _clear_count(u: Tensor, log_rate: Tensor) -> Tensor:
    """The quantile where the expansion is right, NaN elsewhere."""
    real, sure = _expanded(u, log_rate)
    return torch.where(sure, real.floor().clamp(min=0), torch.nan)


def _expanded(u: Tensor, log_rate: Tensor) -> tuple[Tensor, Tensor]:
    """The quantile before it is rounded down, from the normal deviate z of u, and where its whole part is known to be right.

    x = μ·r(s) + c(s) − 0.0218/(μ·r(s) + c(s) + 0.065·μ), s = z/√μ, with r and c as in ``_bend``, and μ·r = μ + √μ·z + z²·q.

    Source: Giles (2016), Algorithm 955, section 2.3, after Temme (1992).
    """
    root = (log_rate.clamp(*RATES) / 2).exp()
    (z,) = deviate()(u)
    z = torch.maximum(z, BENT[0] * root)
    s = z / root
    q, c = _bend()(s)
    real = torch.addcmul(root * (root + z) + c, z.square(), q)
    real = real - 0.0218 / torch.add(real, root.square(), alpha=0.065)
    whole = real.round().clamp(min=1)
    clear = (real - whole).abs() > DOUBT[0] + DOUBT[1] / whole.square()
    middle, half = sum(RATES) / 2, (RATES[1] - RATES[0]) / 2
    return real, clear & (u.abs() < REACH) & ((log_rate - middle).abs() < half) & (s < BENT[1])


@cache
def _bend() -> Interpolated:
    """The functions q(s) = (r − 1 − s)/s² and c(s) = log(s·√r/(r − 1))/log r, where √(2(1 − r + r·log r)) = s, signed as r − 1."""
    s = torch.linspace(*BENT, CELLS + 1, dtype=torch.float64)
    low, high = torch.zeros_like(s), torch.full_like(s, 100.0)
    for _ in range(100):
        r = (low + high) / 2
        short = (2 * (1 - r + torch.xlogy(r, r))).clamp(min=0).sqrt().copysign(r - 1) < s
        low, high = torch.where(short, r, low), torch.where(short, high, r)
    near = s.abs() < 0.02  # there the closed forms cancel, and series in s are right to rounding
    q = torch.where(near, 1 / 6 + s * (s / 270 - 1 / 72), (r - 1 - s) / s.square())
    c = torch.where(near, 1 / 3 - s * (1 / 36 - s * (7 / 810)), (s * r.sqrt() / (r - 1)).log() / r.log())
    return Interpolated(*BENT, q, c)
