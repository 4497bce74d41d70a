"""Tables like the one seen, had other people been drawn: from its counts, without a row."""

import torch
from torch import Tensor

from cfair.constraints.base import Cells, Constraint
from cfair.constraints.definition import OURS, Definition

__all__ = ["REPLICATES", "descriptive_interval", "resampled"]

REPLICATES = 1_000


def resampled(cells: Cells, *, replicates: int = REPLICATES, seed: int = 0) -> Tensor:
    """Weighted counts of as many people drawn with replacement, of shape (replicates, *cells): the bootstrap of rows, in one draw a cell.

    Rows drawn with replacement fall into the cells by the multinomial distribution, which is drawn by halving: how many fall into one half
    of the cells, then into one half of that. With weights, a cell's sum has mean Σ w and variance Σ w²: u = Σ w² / Σ w times a Poisson
    variable of mean Σ w / u; what ties the cells to a fixed total is left out, which no rate depends on to first order.

    Args:
        cells: of any shape.
        replicates: how many tables.
        seed: of the draws.

    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 6; Præstgaard & Wellner (1993), Exchangeably weighted
    bootstraps of the general empirical process, example 3.2, for Poisson weights.
    """
    generator, weight = torch.Generator().manual_seed(seed), cells.weight.flatten()
    if torch.equal(cells.people, cells.weight):
        total = weight.sum().round().expand(replicates, 1)
        return _halved(weight, total, generator).reshape(replicates, *cells.weight.shape)
    unit = cells.square.flatten() / weight.where(weight > 0, 1)
    people = weight / unit.where(unit > 0, 1)
    return (torch.poisson(people.expand(replicates, -1), generator=generator) * unit).reshape(replicates, *cells.weight.shape)


def descriptive_interval(
    constraint: Constraint,
    cells: Cells,
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
    definition: Definition = OURS,
) -> tuple[float, float]:
    """The percentile interval of the difference over resampled tables: descriptive, of how it would scatter, and no confidence interval.

    Replicates of a largest difference are above it: where groups are equal it never holds 0. NaN where the difference is undefined in the
    table; tables in which it is are left out.

    Args:
        constraint: of decisions.
        cells: of shape (groups, 2, 2).
        level: share of the tables within it.
        replicates: how many tables.
        seed: of the draws.
        definition: what is meant by the difference of several groups.
    """
    drawn = constraint.difference(resampled(cells, replicates=replicates, seed=seed), definition)
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=drawn.dtype)
    low, high = torch.nanquantile(drawn, ends).where(~constraint.difference(cells.weight, definition).isnan(), torch.nan).tolist()
    return low, high


def _halved(weight: Tensor, total: Tensor, generator: torch.Generator) -> Tensor:
    """How many of each row's ``total`` people fall into each of the cells of so much weight; shape (replicates, cells).

    All halves of one depth are drawn at once: blocks of 2^k cells, from all cells together down to single ones.
    """
    depth = max(len(weight) - 1, 0).bit_length()
    sums = [torch.nn.functional.pad(weight, (0, 2**depth - len(weight)))]
    for _ in range(depth):
        sums.append(sums[-1].unflatten(0, (-1, 2)).sum(-1))
    drawn = total.contiguous()
    for parts in reversed(sums[:-1]):
        left, both = parts.unflatten(0, (-1, 2))[:, 0], parts.unflatten(0, (-1, 2)).sum(-1)
        share = (left / both.where(both > 0, 1)).clamp(max=1).expand_as(drawn).contiguous()
        first = torch.binomial(drawn, share, generator=generator)
        drawn = torch.stack([first, drawn - first], -1).flatten(-2)
    return drawn[:, : len(weight)]
