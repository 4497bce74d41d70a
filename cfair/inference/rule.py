"""A rule of quadrature: where to look, and how much each look counts."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Rule", "carried", "log_volume", "times"]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """∫ f(u) du ≈ exp(log_volume)·Σ_q exp(log_weights_q)·f(points_q).

    Args:
        points: u_q, shape (d, Q, n).
        log_weights: of a shape that broadcasts to (Q, n).
        log_volume: of each row, shape (n,), or ().
        z: where every row has the same points but for place and stretch, those of a row of mean 0 and sd 1, shape (d, Q).
    """

    points: Tensor
    log_weights: Tensor
    log_volume: Tensor
    z: Tensor | None = None


def carried(center: Tensor, scale: Tensor, t: Tensor) -> Tensor:
    """The points center + scale·t, shape (d, Q, n), of ``t``, shape (d, Q)."""
    if len(t) == 1:
        return torch.addcmul(center.unsqueeze(1), scale, t.unsqueeze(-1))
    return center.unsqueeze(1) + torch.einsum("ijn,jq->iqn", scale, t)


def times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Each row's matrix (d, e, n) times its vector (e, n), shape (d, n); where e is 1, einsum takes longer to set out than to multiply."""
    return matrices[:, 0] * vectors if len(vectors) == 1 else torch.einsum("ijn,jn->in", matrices, vectors)


def log_volume(scale: Tensor) -> Tensor:
    """The log determinant of a lower triangular (d, d, n), shape (n,)."""
    return scale[0, 0].log() if len(scale) == 1 else scale.diagonal(dim1=0, dim2=1).log().sum(-1)
