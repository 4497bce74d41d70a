"""Importance sampling as a rule of quadrature: points around each row's mode, however many latents there are."""

import math
from functools import cache

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

__all__ = ["Shape", "candidates", "cloud", "rotations"]

SEED = 20_170  # of the scrambling: one cloud for everyone, so that a row's answer is its own
SCALES = (1.0,) * 15 + (1.5,) * 3 + (2.5, 5.0)  # of the normal proposal, in turn: the wide ones reach tails that a mode does not tell of
EDGE = 2.0**-53  # of the unit interval: a quantile there is infinite


class Shape:
    """The density of the proposal in units of each row's normal approximation: q(t) = Σ_s share_s·Normal(t; 0, s²·I)."""

    def __init__(self, count: int) -> None:
        self.scales = torch.tensor(SCALES, dtype=torch.float64).repeat(math.ceil(count / len(SCALES)))[:count]  # (Q,)

    def log_prob(self, t: Tensor) -> Tensor:
        """The log density at ``t``, (d, ...)."""
        square, d = t.square().sum(0), len(t)
        kinds, counts = self.scales.unique(return_counts=True)
        logs = [
            math.log(int(c) / len(self.scales)) - 0.5 * square / s**2 - d * (0.5 * math.log(2 * math.pi) + s.log())
            for s, c in zip(kinds, counts, strict=True)
        ]
        total: Tensor = torch.stack(logs).logsumexp(0)
        return total


@cache
def cloud(count: int, d: int) -> tuple[Tensor, Tensor]:
    """Points (d, Q) and log weights (Q,) with ∫ f(t) dt ≈ Σ_q exp(log_weights_q)·f(t_q): Q = ``count``, even.

    Scrambled Sobol points and their mirror images, drawn from ``Shape`` and weighted by 1/q; then stretched so that they have the
    mean, covariance and third moments of a standard normal to rounding: for a normal posterior the rule is exact.
    """
    half = count // 2
    shape = Shape(half)
    t = shape.scales * torch.special.ndtri(_sobol(half, d)).T
    t = torch.cat([t, -t], 1)
    normal = -0.5 * t.square().sum(0) - 0.5 * d * math.log(2 * math.pi)
    log_weights = (normal - shape.log_prob(t)).log_softmax(0)
    root = torch.linalg.cholesky((t * log_weights.exp()) @ t.T)
    t = torch.linalg.solve_triangular(root, t, upper=False)
    return t, log_weights + 0.5 * t.square().sum(0) + 0.5 * d * math.log(2 * math.pi)


def candidates(count: int, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Each person's own proposals (d, Q, p) and the log of 1/q there, (Q, p): Sobol points shifted modulo 1 by ``shift``, (d, p).

    Source: Cranley & Patterson (1976).
    """
    shape = Shape(count)
    uniform = (_sobol(count, len(shift)).T.unsqueeze(-1) + shift.unsqueeze(1)).remainder(1.0).clamp(EDGE, 1 - EDGE)
    t = shape.scales.unsqueeze(-1) * torch.special.ndtri(uniform)
    return t, -shape.log_prob(t)


def rotations(n: int, d: int) -> Tensor:
    """One rotation or reflection for each of n rows, (d, d, n), any as likely as another (Mezzadri 2007).

    A cloud is as exact after it as before. Where rows are added up, each with its own, their errors are independent and cancel.
    """
    source = torch.Generator().manual_seed(SEED)
    q, r = torch.linalg.qr(torch.randn(n, d, d, generator=source, dtype=torch.float64))
    turned: Tensor = (q * r.diagonal(dim1=1, dim2=2).sign().unsqueeze(1)).movedim(0, 2)
    return turned


@cache
def _sobol(count: int, d: int) -> Tensor:
    """Points of the unit cube, shape (count, d)."""
    points: Tensor = SobolEngine(d, scramble=True, seed=SEED).draw(count, dtype=torch.float64)
    return points.clamp(EDGE, 1 - EDGE)
