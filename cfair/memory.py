"""Memory that is freed and soon asked for again stays with the process.

glibc returns blocks above a threshold to the system, which hands them out anew page by page, each set to 0 first: half of the time of
many sums over rows. The threshold rises to the size of the largest block that was freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD).
"""

from functools import cache

import torch

__all__ = ["keep_what_is_freed"]

LARGEST = (32 << 20) - (64 << 10)  # bytes, with what the allocator adds still no more than the threshold may be


@cache
def keep_what_is_freed() -> None:
    """Free one large block that was never written to: it takes microseconds, and where another allocator is at work it does nothing."""
    torch.empty(LARGEST, dtype=torch.uint8)
