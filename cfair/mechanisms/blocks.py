"""A function of people evaluated in blocks of one size, so that no one's result depends on who else is asked about."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["by_blocks"]

BLOCK = 512  # people; a multiple of every processor's vector: the same instructions then serve everyone


def by_blocks(function: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """``function`` of the rows, (m, ...) each, to (m, ...): always called with BLOCK of them, the last block filled up with copies.

    A matrix product and an exponential round by the shape of what they are given: at one shape each row is computed alike, alone or
    among others.
    """
    m = len(rows[0])
    parts = []
    for first in range(0, max(m, 1), BLOCK):
        people = torch.arange(first, first + BLOCK).clamp(max=max(m - 1, 0))
        parts.append(function(*(row[people] if m else row.new_zeros(BLOCK, *row.shape[1:]) for row in rows)))
    return torch.cat(parts)[:m]
