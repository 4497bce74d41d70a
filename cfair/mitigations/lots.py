"""A number of each person, drawn by a hash of who that is: whoever stands beside, and however often."""

import torch
from torch import Tensor

from cfair.inference.uniforms import fingerprint

__all__ = ["lots"]

BITS = 53  # of a float64 in [0, 1)


def lots(features: Tensor, seed: int) -> Tensor:
    """A number in [0, 1) of each person, (...), that depends on the seed and on that person's features (..., k) alone."""
    columns = {str(i): column for i, column in enumerate(features.unbind(-1))}
    seeded = torch.full(features.shape[:-1], float(seed), dtype=torch.float64)
    bits = fingerprint({**columns, "seed": seeded})
    return ((bits >> (64 - BITS)) & ((1 << BITS) - 1)).to(torch.float64) * 2.0**-BITS
