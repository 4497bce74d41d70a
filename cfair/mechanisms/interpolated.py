"""Smooth functions of one number, read from a table: a few passes where the function itself would take dozens."""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

__all__ = ["BLOCK", "REACH", "Interpolated", "deviate", "in_blocks"]

BLOCK = 16_384  # numbers at a time, so that what is computed on the way stays in the processor's cache
REACH = 20.0  # log-odds to which the normal deviate is tabled: five point nine standard deviations
CELLS = 16_384  # of that table: right to 5e-8


class Interpolated:
    """Functions that are linear between equally spaced points, and constant beyond the ends.

    Args:
        low: the first point.
        high: the last.
        tables: one per function, its values at the points, shape (points,).
    """

    def __init__(self, low: float, high: float, *tables: Tensor) -> None:
        self._low, self._cells = low, len(tables[0]) - 1
        self._per = self._cells / (high - low)
        self._tables = [(table, torch.cat([table[1:], table[-1:]])) for table in tables]

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Each function at x, of its shape (m,)."""
        place = ((x - self._low) * self._per).clamp(0, self._cells)
        cell, share = place.int(), place.frac()
        return [torch.lerp(left.index_select(0, cell), right.index_select(0, cell), share) for left, right in self._tables]


@cache
def deviate() -> Interpolated:
    """The normal deviate z = Φ⁻¹(sigmoid(u)) of log-odds u within REACH."""
    u = torch.linspace(-REACH, REACH, CELLS + 1, dtype=torch.float64)
    return Interpolated(-REACH, REACH, -torch.special.ndtri(torch.sigmoid(-u.abs())).copysign(-u))


def in_blocks(function: Callable[..., Tensor], tensors: Sequence[Tensor]) -> Tensor:
    """``function`` of ``tensors``, which works number by number on shape (m,), over all that they broadcast to."""
    shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    blocks = zip(*(tensor.expand(shape).reshape(-1).split(BLOCK) for tensor in tensors), strict=True)
    return torch.cat([function(*block) for block in blocks]).reshape(shape)
