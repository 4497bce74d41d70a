"""What is meant by a difference between several groups, where libraries mean different things."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cfair.errors import QueryError

__all__ = ["OURS", "Definition"]

GAPS, ERRORS, STRATA = ("max-min", "mean pairwise", "signed"), ("FN/FP", "FP/FN"), ("max", "mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """How the rates of several groups, in one stratum or two, become one difference and one ratio.

    Args:
        gap: of several groups: the largest difference and the smallest ratio ("max-min", as in fairlearn); the mean over all pairs of
            |difference| and of the smaller ratio; or, signed, the later group less the earlier one, and divided by it, in the pair that
            lies farthest apart (with two groups, in their order, as in AIF360).
        errors: of treatment equality: false negatives per false positive (Berk et al. 2021), or its inverse.
        strata: of equalized odds: the larger over y = 0 and y = 1, or their mean, as fairlearn's ``agg``.

    Raises:
        QueryError: one of them is not known.
    """

    gap: Literal["max-min", "mean pairwise", "signed"] = "max-min"
    errors: Literal["FN/FP", "FP/FN"] = "FN/FP"
    strata: Literal["max", "mean"] = "max"

    def __post_init__(self) -> None:
        for name, value, known in (("gap", self.gap, GAPS), ("errors", self.errors, ERRORS), ("strata", self.strata, STRATA)):
            if value not in known:
                raise QueryError(f"definition.{name}", f"'{value}' is not known", f"use one of: {', '.join(known)}")

    def difference(self, rates: Tensor) -> Tensor:
        """One difference, shape (...), of rates (..., strata, groups); NaN where a rate is."""
        if self.gap == "max-min":
            return self.over_strata(rates.amax(-1) - rates.amin(-1))
        earlier, later = pairs_of(rates.shape[-1])
        apart = rates[..., later] - rates[..., earlier]
        return self.over_strata(apart.abs().mean(-1) if self.gap == "mean pairwise" else _at(apart, farthest(apart)))

    def ratio(self, rates: Tensor) -> Tensor:
        """One ratio, shape (...), of rates (..., strata, groups); NaN marks 0/0, or where a rate is NaN."""
        if self.gap == "max-min":
            return self.over_strata(rates.amin(-1) / rates.amax(-1), smallest=True)
        earlier, later = pairs_of(rates.shape[-1])
        times, apart = rates[..., later] / rates[..., earlier], rates[..., later] - rates[..., earlier]
        if self.gap == "signed":
            place = farthest(apart)
            each = _at(times, place)
            return each.mean(-1) if self.strata == "mean" else _at(each, farthest(_at(apart, place)))
        return self.over_strata(torch.minimum(times, 1 / times).mean(-1), smallest=True)

    def over_strata(self, each: Tensor, *, smallest: bool = False) -> Tensor:
        """One of the strata's values (..., strata): their mean, or the largest, the smallest or, if signed, the farthest from 0."""
        if self.strata == "mean":
            return each.mean(-1)
        if self.gap == "signed":
            return _at(each, farthest(each))
        return each.amin(-1) if smallest else each.amax(-1)


OURS = Definition()


def pairs_of(groups: int) -> tuple[Tensor, Tensor]:
    """Positions of the earlier and of the later group of each pair, both of shape (pairs,)."""
    earlier, later = torch.triu_indices(groups, groups, offset=1)
    return earlier, later


def farthest(apart: Tensor) -> Tensor:
    """The position of the value farthest from 0 among the last dimension, shape (...); NaN counts as farthest, as in a maximum."""
    return apart.abs().argmax(-1)


def _at(values: Tensor, position: Tensor) -> Tensor:
    return values.gather(-1, position.unsqueeze(-1)).squeeze(-1)
