"""Rates read from confusion counts: each a count of successes and of the trials that they are of.

Counts have the shape (..., 2, 2), indexed [y, decision], successes and trials the shape (...).
"""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

__all__ = [
    "Tally",
    "base_rate",
    "false_negative_share",
    "false_positive_rate",
    "positive_predictive_value",
    "selection_rate",
    "true_positive_rate",
]

Tally: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]  # counts (..., 2, 2) -> successes and trials, each (...)


def selection_rate(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(ŷ = 1)."""
    return counts[..., 1].sum(-1), counts.sum((-2, -1))


def base_rate(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(y = 1)."""
    return counts[..., 1, :].sum(-1), counts.sum((-2, -1))


def true_positive_rate(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(ŷ = 1 | y = 1)."""
    return counts[..., 1, 1], counts[..., 1, :].sum(-1)


def false_positive_rate(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(ŷ = 1 | y = 0)."""
    return counts[..., 0, 1], counts[..., 0, :].sum(-1)


def positive_predictive_value(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(y = 1 | ŷ = 1)."""
    return counts[..., 1, 1], counts[..., 1].sum(-1)


def false_negative_share(counts: Tensor) -> tuple[Tensor, Tensor]:
    """P(y = 1 | ŷ ≠ y): false negatives among all errors, FN / (FN + FP)."""
    return counts[..., 1, 0], counts[..., 1, 0] + counts[..., 0, 1]
