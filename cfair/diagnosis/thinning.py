"""Rows with weights as rows without: some of them, kept in proportion to their weights."""

import torch

from cfair.errors import DataError
from cfair.interfaces import Columns

__all__ = ["thinned"]


def thinned(columns: Columns, *, least: int, generator: torch.Generator) -> Columns:
    """The rows that are kept, each by itself with probability w/max w, so that each kept row stands for as many people as any other.

    If rows came from the people that they stand for with chances in proportion to 1/w, the kept ones came with equal chances: tests
    made for rows of equal weight have their stated error rates on them, where a test with weights in its sums would need the
    joint distribution of weights and values. It is paid for by power: Σw/max w rows are kept on average, fewer than Kish's
    effective number (Σw)²/Σw². All rows where weights are equal.

    Args:
        columns: the rows.
        least: that must be kept.
        generator: of the draws.

    Raises:
        DataError: fewer are kept.

    Source: von Neumann (1951), Various techniques used in connection with random digits: rejection sampling.
    """
    if columns.weights is None:
        return columns
    chances = columns.weights / columns.weights.max()
    kept = (torch.rand(columns.n, generator=generator, dtype=torch.float64) < chances).nonzero().squeeze(-1)
    if len(kept) < least:
        problem = f"weights are so unequal that {len(kept)} of {columns.n} rows stand for as many people each, and {least} are needed"
        raise DataError(columns.facts.name, problem, "give more rows, or trim the largest weights")
    some = columns.take(kept)
    return Columns(some.coded, some.rows, some.facts, None, some.missing)
