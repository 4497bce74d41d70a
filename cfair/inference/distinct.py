"""Rows that are alike, computed once."""

import torch
from torch import Tensor

from cfair.inference.uniforms import fingerprint
from cfair.interfaces import Values

__all__ = ["distinct"]


def distinct(values: Values, n: int) -> tuple[Tensor, Tensor]:
    """Positions of one row of each kind, (m,), and each row's kind, (n,)."""
    everyone = torch.arange(n)
    if not values:
        return torch.zeros(1, dtype=torch.int64), torch.zeros_like(everyone)
    _, place = torch.unique(fingerprint(values), return_inverse=True)
    first = torch.empty(int(place.max()) + 1, dtype=torch.int64).scatter_(0, place.flip(0), everyone.flip(0))
    if all(torch.equal(column[first][place], column) for column in values.values()):
        return first, place
    return everyone, everyone  # two different rows share a fingerprint: once in 2⁶⁴
