"""Whether two numbers depend on one another in any way: distance correlation in O(n log n)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Correlated", "distance_correlation", "distance_correlation_p", "distance_sums"]

LEAST = 4  # people without whom there is no unbiased estimate
REPLICATES = 199
GRID = 64  # bins of either number, of permuted people
LEAST_SPREAD = 1e-12  # relative to the largest: values within it of one another are one number that was rounded
ROUNDING = 1e-12  # relative: permutations that are as far count as such


class Correlated(NamedTuple):
    """A bias-corrected squared distance correlation with its jackknife interval; None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums of distances a = |x_i − x_j| and b = |y_i − y_j| over j, for each person i, each of shape (n,)."""

    a: Tensor
    b: Tensor
    ab: Tensor
    a_of_b: Tensor  # Σ_j a_j·b_ij, with a_j the sum of j's distances
    b_of_a: Tensor  # Σ_j b_j·a_ij


def distance_correlation(x: Tensor, y: Tensor, strata: Tensor | None = None, *, level: float = 0.95) -> Correlated:
    """R*² = V*(x, y) / √(V*(x, x)·V*(y, y)), with V* the unbiased squared distance covariance: 0 on average where x and y are independent,
    whatever their number, and positive in the limit where they depend on one another in any way; at most 1.

    V* = (S_ab − 2·Σ_i a_i·b_i/(n − 2) + S_a·S_b/((n − 1)(n − 2))) / (n(n − 3)), S the sums over all ordered pairs. With strata, V* is the
    mean of the strata's, weighted by their people: dependence given the stratum. The interval is the jackknife's: each person is left
    out exactly, still in O(n log n). It means little near independence, where a permutation p-value is the thing to look at.

    Args:
        x: shape (n,).
        y: shape (n,).
        strata: index of each person's stratum, shape (n,); strata of fewer than four people are left out.
        level: what the interval should cover.

    Returns:
        None throughout where x or y does not vary, or there are too few people.

    Source: Székely & Rizzo (2014), Partial distance correlation with methods for dissimilarities, definition 2 and proposition 1; Huo &
    Székely (2016), Fast computing for distance covariance, for the O(n log n) sums.
    """
    parts = [(x[own], y[own]) for own in _members(strata, len(x))]
    values, without = zip(*(_covariances(*part) for part in parts), strict=True) if parts else ((), ())
    if not values or (whole := torch.stack(values).sum(0))[1] <= 0 or whole[2] <= 0:
        return Correlated(None)
    left = torch.cat([whole - value + each for value, each in zip(values, without, strict=True)])  # (n, 3)
    value = float(whole[0] / (whole[1] * whole[2]).sqrt())
    others = left[:, 0] / (left[:, 1] * left[:, 2]).clamp(min=torch.finfo(torch.float64).tiny).sqrt()
    n = len(others)
    margin = NormalDist().inv_cdf((1 + level) / 2) * float((others - others.mean()).square().sum() * (n - 1) / n) ** 0.5
    return Correlated(value, value - margin, value + margin)


def distance_correlation_p(
    x: Tensor, y: Tensor, strata: Tensor | None = None, *, replicates: int = REPLICATES, seed: int = 0
) -> float | None:
    """The permutation p-value of independence, (1 + b)/(1 + B), of the distance covariance; None where that is undefined.

    y is exchanged among the people of one stratum, who for this stand in 64 bins of equal count by either number, at the bin's mean: a
    table of counts then tells the covariance, Σ_kl H_kl·(A·H·B)_kl, whatever the number of people. The p-value stays exact, and
    dependence within a bin goes unseen.

    Args:
        x: shape (n,).
        y: shape (n,).
        strata: as of ``distance_correlation``.
        replicates: B.
        seed: of the permutations.

    Source: Székely, Rizzo & Bakirov (2007), Measuring and testing dependence by correlation of distances, section 5.
    """
    if distance_correlation(x, y, strata).value is None:
        return None
    generator, drawn = torch.Generator().manual_seed(seed), torch.zeros(1 + replicates, dtype=torch.float64)
    for own in _members(strata, len(x)):
        here, there = _binned(x[own]), _binned(y[own])
        drawn += len(own) * _grid_covariances(here, there, replicates, generator)
    return (1 + int((drawn[1:] >= drawn[0] - ROUNDING * drawn[0].abs()).sum())) / (1 + replicates)


def distance_sums(x: Tensor, y: Tensor) -> Tensor:
    """Σ_j |x_i − x_j|·|y_i − y_j| of each person i, of the shape of y, (..., n), in O(n log n).

    Each product is (x_i − x_j)(y_i − y_j), signed where the order by x and the order by y disagree. Over all j, and over those before i in
    either order, the products add up from cumulative sums. Over those before i in both, T, they do by bits of the rank by y: people stand
    in the order by x; those whose ranks agree but for the bits from b on, and differ in bit b, are neighbours of one block, in which the
    one with the bit reads off sums over those without it and before them. The sum is then 4·T + T_all − 2·T_x − 2·T_y.

    Args:
        x: shape (n,).
        y: shape (..., n).

    Source: Huo & Székely (2016), theorem 3.2, for the decomposition; Chaudhuri & Hu (2019), A fast algorithm for computing distance
    correlation, for merging.
    """
    by_x = _order(x)
    x, y = (x - x.mean())[by_x].expand_as(y), (y - y.mean(-1, keepdim=True))[..., by_x]
    by_y = _order(y)
    rank = torch.empty_like(by_y).scatter(-1, by_y, torch.arange(y.shape[-1]).expand_as(by_y))
    terms = torch.stack([torch.ones_like(y), x, y, x * y])  # (4, ..., n)
    before_x = terms.cumsum(-1) - terms
    ordered = terms.gather(-1, by_y.expand_as(terms))
    before_y = torch.empty_like(terms).scatter(-1, by_y.expand_as(terms), ordered.cumsum(-1) - ordered)
    everyone = terms.sum(-1, keepdim=True)
    sums = 4 * _before_both(terms, rank) + everyone - 2 * before_x - 2 * before_y
    products = sums[0] * x * y - x * sums[2] - y * sums[1] + sums[3]
    return torch.empty_like(products).scatter(-1, by_x.expand_as(products), products)


def _before_both(terms: Tensor, rank: Tensor) -> Tensor:
    """Sums of terms (4, ..., n) over those who stand before each one and have a lower rank, (..., n); of that shape."""
    n, depth = rank.shape[-1], max(rank.shape[-1] - 1, 1).bit_length()
    more = 2**depth - n
    place = torch.cat([rank, torch.arange(n, n + more).expand(*rank.shape[:-1], more)], -1)
    moved, found = torch.nn.functional.pad(terms, (0, more)), torch.zeros(*terms.shape[:-1], 2**depth, dtype=terms.dtype)
    for bit in reversed(range(depth)):
        one = ((place >> bit) & 1).unflatten(-1, (-1, 2 ** (bit + 1)))  # blocks of ranks that agree above the bit
        zero = 1 - one
        own = moved.unflatten(-1, one.shape[-2:])
        below = (own * zero).cumsum(-1) * one
        found = found + below.flatten(-2)
        to = torch.where(one == 1, 2**bit + one.cumsum(-1), zero.cumsum(-1)) - 1
        place = torch.empty_like(place).unflatten(-1, one.shape[-2:]).scatter(-1, to, place.unflatten(-1, one.shape[-2:])).flatten(-2)
        across = to.expand_as(own)
        moved = torch.empty_like(own).scatter(-1, across, own).flatten(-2)
        found = torch.empty_like(own).scatter(-1, across, found.unflatten(-1, one.shape[-2:])).flatten(-2)
    return found.gather(-1, rank.expand(*terms.shape))  # at the end everyone stands at their rank


def _grid_covariances(x: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], replicates: int, generator: torch.Generator) -> Tensor:
    """V* of binned people, and of as many permutations of them, shape (1 + replicates,)."""
    (row, rows), (column, columns) = x, y
    n, across, down = len(row), (columns.unsqueeze(1) - columns).abs(), (rows.unsqueeze(1) - rows).abs()
    a, b = (d @ torch.bincount(place, minlength=len(d)).double() for d, place in ((down, row), (across, column)))
    found = []
    for k in range(1 + replicates):
        order = torch.randperm(n, generator=generator) if k else torch.arange(n)
        table = torch.bincount(row * len(columns) + column[order], minlength=len(rows) * len(columns)).double().reshape(len(rows), -1)
        found.append(_unbiased((table * (down @ table @ across)).sum(), a @ table @ b, a[row].sum(), b[column].sum(), n))
    return torch.stack(found)


def _binned(values: Tensor) -> tuple[Tensor, Tensor]:
    """Each person's bin of equal count, (n,), equal values together, and the mean of each bin, (bins,)."""
    ordered = values[_order(values)]
    first, last = (torch.searchsorted(ordered, values, right=right) for right in (False, True))  # the same of equal values
    _, place = ((first + last) * GRID // (2 * len(values))).unique(return_inverse=True)
    size = torch.bincount(place).double()
    return place, torch.bincount(place, weights=values) / size


def _covariances(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """n·V* of x with y, of x and of y, shape (3,), and the same with each person left out, (n, 3)."""
    n, x, y = len(x), _steady(x), _steady(y)
    pairs = (_sums(x, y), _sums_of_one(x), _sums_of_one(y))
    whole = [_unbiased(s.ab.sum(), s.a @ s.b, s.a.sum(), s.b.sum(), n) for s in pairs]
    left = []
    for s in pairs:
        rows = s.a @ s.b - s.a * s.b - s.a_of_b - s.b_of_a + s.ab
        left.append(_unbiased(s.ab.sum() - 2 * s.ab, rows, s.a.sum() - 2 * s.a, s.b.sum() - 2 * s.b, n - 1))
    return n * torch.stack(whole), n * torch.stack(left, -1)


def _steady(x: Tensor) -> Tensor:
    """The same values, shape (n,); 0 where they differ by rounding alone, as means of a constant do: only distances count."""
    return torch.zeros_like(x) if x.max() - x.min() <= LEAST_SPREAD * x.abs().max() else x


def _unbiased(total: Tensor, rows: Tensor, a: Tensor, b: Tensor, n: int) -> Tensor:
    """V* of Σ a_ij·b_ij, Σ a_i·b_i, Σ a_ij and Σ b_ij."""
    return (total - 2 * rows / (n - 2) + a * b / ((n - 1) * (n - 2))) / (n * (n - 3))


def _sums(x: Tensor, y: Tensor) -> _Sums:
    a, b = _row_sums(x), _row_sums(y)
    return _Sums(a, b, distance_sums(x, y), _row_sums(y, a), _row_sums(x, b))


def _sums_of_one(x: Tensor) -> _Sums:
    """The same of x with itself: Σ_j (x_i − x_j)² needs no order."""
    x = x - x.mean()
    a = _row_sums(x)
    weighted = _row_sums(x, a)
    return _Sums(a, a, len(x) * x.square() + x.square().sum(), weighted, weighted)


def _row_sums(x: Tensor, weights: Tensor | None = None) -> Tensor:
    """Σ_j w_j·|x_i − x_j| of each person i, shape (n,)."""
    order = _order(x)
    own, w = x[order], torch.ones_like(x) if weights is None else weights[order]
    weight, moment = w.cumsum(0), (w * own).cumsum(0)
    sums = own * (2 * weight - weight[-1]) - 2 * moment + moment[-1]
    return torch.empty_like(sums).scatter(0, order, sums)


def _order(x: Tensor) -> Tensor:
    """Positions in ascending order along the last dimension."""
    return torch.from_numpy(np.argsort(x.numpy(), axis=-1))


def _members(strata: Tensor | None, n: int) -> Sequence[Tensor]:
    """The people of each stratum that has enough of them."""
    if strata is None:
        return [torch.arange(n)] if n > LEAST else []
    each = [(strata == stratum).nonzero().squeeze(-1) for stratum in strata.unique()]
    return [own for own in each if len(own) > LEAST]
