"""How a tensor differs from what it should be, in words and numbers."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["first_bad", "fits", "listed", "not_finite", "shape_of", "unlike"]

CLOSE = 1e-9  # relative difference of two numbers that should be one


def unlike(what: str, found: Tensor, expected: Tensor) -> str:
    """How ``found`` differs from ``expected`` by more than rounding; "" where it does not."""
    if found.shape != expected.shape:
        return f"{what} has shape {shape_of(found)}, not {shape_of(expected)}"
    close = torch.isclose(found, expected, rtol=CLOSE, atol=CLOSE)
    if close.all():
        return ""
    count = f"{int((~close).sum())} of {close.numel()} differ"
    return f"{what} is {first_bad(found, close)} where it should be {first_bad(expected, close)} ({count})"


def not_finite(what: str, found: Tensor) -> str:
    """The first number that is not finite; "" where all are."""
    return "" if found.isfinite().all() else f"{what} is {first_bad(found, found.isfinite())}"


def fits(found: Tensor, shape: Sequence[int]) -> bool:
    """Whether a tensor can be expanded to ``shape``."""
    own = tuple(found.shape)
    return len(own) <= len(shape) and all(size in (1, full) for size, full in zip(reversed(own), reversed(shape), strict=False))


def first_bad(found: Tensor, good: Tensor) -> str:
    """The first number of ``found`` that is not ``good``."""
    return f"{float(found.expand(good.shape)[~good][0]):.10g}"


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """A shape as a message shows it."""
    return tuple(tensor.shape)


def listed(names: Mapping[str, object]) -> str:
    """Names in one line."""
    return ", ".join(names) or "none"
