"""Which columns carry an attribute: how well it is predicted from each of them, for people of whom nothing was learned."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics import METRICS

__all__ = ["FOLDS", "Feature", "carried_by", "folds_of", "macro_auc", "told_apart"]

FOLDS = 5
BINS = 32  # of a number at most; fewer where people are few
TWICE = 2**0.5  # standard errors, of a variance that counts each pair of folds twice
PRIOR = 1.0  # people like everyone who are added to each bin: an empty one then says what is known of everyone


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """A column from which an attribute may be predicted.

    Args:
        name: of the column.
        values: shape (n,), float64: numbers, or places of levels; NaN where there is no entry, which may tell something, too.
        leveled: whether these are places of levels.
    """

    name: str
    values: Tensor
    leveled: bool

    @property
    def constant(self) -> bool:
        """Whether it is the same of everyone."""
        return bool(self.values.isnan().all()) or bool((self.values == self.values[0]).all())


def folds_of(member: Tensor, seed: int, folds: int = FOLDS) -> Tensor:
    """Each person's fold, shape (n,), int64: at random, every level of the attribute in equal shares in each.

    Args:
        member: each person's level, shape (n,), int64.
        seed: of the order.
        folds: how many.
    """
    shuffled = torch.randperm(len(member), generator=torch.Generator().manual_seed(seed))
    ordered = shuffled[torch.argsort(member[shuffled], stable=True)]
    return torch.empty_like(member).scatter(0, ordered, torch.arange(len(member)) % folds)


def told_apart(member: Tensor, levels: int, folds: int = FOLDS) -> list[int]:
    """The levels of which every fold has somebody: only these can be told from the others in each."""
    return [k for k, people in enumerate(torch.bincount(member, minlength=levels).tolist()) if people >= folds]


def carried_by(feature: Feature, member: Tensor, levels: int, fold: Tensor, weights: Tensor | None = None) -> Measured:
    """How well one column tells the levels of an attribute apart: ``macro_auc`` of the frequencies in bins of it.

    P(A = k | bin) is the frequency of level k among the people of the other folds in that bin, one person like all of these added; a
    number's bins are bounded by quantiles of its values there, and of its distinct ones, n^⅓ of each and at most 32, and a value that is a
    bound has a bin of its own, as heaps are; a column's levels, and no entry, are bins by themselves.

    Args:
        feature: the column.
        member: each person's level, shape (n,), int64.
        levels: of the attribute.
        fold: each person's, shape (n,), int64.
        weights: of the people, above 0, shape (n,).
    """
    own = torch.ones(len(member), dtype=torch.float64) if weights is None else weights
    chance = torch.empty(len(member), levels, dtype=torch.float64)
    for k in fold.unique().tolist():
        known, asked = fold != k, fold == k
        bins = _bins(feature, known)
        counts = torch.zeros(int(bins.max()) + 1, levels, dtype=torch.float64)
        counts.index_put_((bins[known], member[known]), own[known] / own[known].mean(), accumulate=True)
        everyone = counts.sum(0) / counts.sum()
        frequencies = (counts + PRIOR * everyone) / (counts.sum(1, keepdim=True) + PRIOR)
        chance[asked] = frequencies[bins[asked]]
    return macro_auc(chance, member, fold, weights)


def macro_auc(chance: Tensor, member: Tensor, fold: Tensor, weights: Tensor | None = None) -> Measured:
    """The mean, over levels of an attribute and folds, of the area under the ROC curve of one level against the others within a fold.

    People are compared within their fold only: predictions of different folds come from different people. A person's influence is that of
    DeLong on their fold's areas, times √2. For where nothing can be told, a fold's area is the agreement of its chance pattern with those
    of the other folds, so that each pair of folds counts twice, as the one learns from the other and the other from the one: the variance
    is twice what areas of rules that were learned elsewhere would have (measured: a standard error too small by 1.3 to 1.5). Where much
    can be told the interval is wider than need be.

    Args:
        chance: P(A = k) as predicted for each person by others, shape (n, levels).
        member: each person's level, shape (n,), int64; two levels at least are in each fold.
        fold: each person's, shape (n,), int64.
        weights: of the people, above 0, shape (n,).

    Source: LeDell, Petersen & van der Laan (2015), Computationally efficient confidence intervals for cross-validated area under the ROC
    curve estimates, section 4; Hand & Till (2001) for averages over levels, here each against the others.
    """
    folds, asked = fold.unique().tolist(), _levels(told_apart(member, chance.shape[1]))
    influence, total = torch.zeros(len(member), dtype=torch.float64), 0.0
    for k in folds:
        inside = (fold == k).nonzero().squeeze(-1)
        own = None if weights is None else weights[inside]
        for level in asked:
            found = METRICS["roc_auc"]((member[inside] == level).double(), chance[inside, level], own)
            total += found.value
            influence[inside] += found.influence * (len(member) / len(inside))
    count = len(folds) * len(asked)
    return Measured(total / count, TWICE * influence / count, len(member))


def _levels(apart: Sequence[int]) -> Sequence[int]:
    """Of two levels one says all."""
    return apart[1:] if len(apart) == 2 else apart


def _bins(feature: Feature, known: Tensor) -> Tensor:
    """Each person's bin, shape (n,), int64, as the ``known`` people, a mask of shape (n,), bound them; the last is that of no entry."""
    values, gone = feature.values, feature.values.isnan()
    if feature.leveled:
        count = int(values[~gone].max()) + 1 if (~gone).any() else 0
        return torch.where(gone, float(count), values).long()
    some = values[known & ~gone]
    count = min(BINS, max(4, round(len(some) ** (1 / 3))))
    at = torch.linspace(0, 1, count + 1, dtype=torch.float64)[1:-1]
    edges = torch.cat([torch.quantile(each, at) for each in (some, some.unique())]).unique() if len(some) else some
    values = values.nan_to_num(0.0)
    place = torch.searchsorted(edges, values) + torch.searchsorted(edges, values, right=True)  # a value that is an edge has its own bin
    return torch.where(gone, 2 * len(edges) + 1, place)
