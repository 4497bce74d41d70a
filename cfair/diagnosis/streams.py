"""Random streams of a diagnosis: of one seed as many as it has purposes, and none that anything else draws from."""

from hashlib import blake2b

import torch

__all__ = ["stream"]


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own: people who were simulated with the same seed share no number with it."""
    digest = blake2b(f"diagnosis {purpose} {seed}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))
