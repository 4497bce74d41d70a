"""People by score: each group's in bins of equal count, as sums that calibration is read from."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cfair.errors import QueryError

__all__ = ["BINS", "Scored", "bin_scores"]

BINS = 10
PARTS = 8  # of a bin: where it has few errors, people of one part are given their mean score when outcomes are drawn from scores

ROUNDING = 1e-9  # of a share of people: who stands on the edge of two bins is in the upper one, whatever the unit of weights


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Sums over the people of each group, bin and part of a bin, each of shape (groups, bins, parts); all but ``people`` weighted.

    Args:
        people: how many have a weight above 0.
        weight: Σ w.
        square: Σ w².
        score: Σ w·s.
        outcome: Σ w·y.
        noise: Σ w²·s·(1 − s), the variance of Σ w·y where the score is true.
    """

    people: Tensor
    weight: Tensor
    square: Tensor
    score: Tensor
    outcome: Tensor
    noise: Tensor

    def __getitem__(self, groups: Tensor) -> "Scored":
        """Those of several groups, by a mask of shape (groups,)."""
        return Scored(*(getattr(self, name)[groups] for name in self.__slots__))

    @property
    def binned(self) -> "Scored":
        """The sums over whole bins, each of shape (groups, bins)."""
        return Scored(*(getattr(self, name).sum(-1) for name in self.__slots__))


def bin_scores(y: Tensor, score: Tensor, group: Tensor, groups: int, weights: Tensor | None = None, *, bins: int = BINS) -> Scored:
    """Each group's people in ``bins`` bins of equal count, or weight, by their score; equal scores are never parted.

    A score of which a share m of the group's weight is below, half of its own people counted, belongs to bin ⌊m · bins⌋: without ties
    these are the group's quantile bins, and a score that many share fills a bin, leaving empty those that it would have filled too.

    Args:
        y: outcomes, 0 or 1, shape (n,).
        score: probabilities of outcome 1, shape (n,).
        group: index of each person's group, shape (n,).
        groups: how many there are.
        weights: not negative, shape (n,); all 1 if None.
        bins: how many of each group.

    Raises:
        QueryError: a score is no probability.
    """
    if len(score) and not ((score >= 0) & (score <= 1)).all():
        raise QueryError("score", "calibration needs probabilities, and one of the scores is not in [0, 1]", "give probabilities")
    w = torch.ones_like(score) if weights is None else weights
    order = torch.from_numpy(np.argsort(score.numpy()))  # five times faster than torch's; equal scores are summed, so that none comes first
    order = order[group[order].argsort(stable=True)]
    g, s, v = group[order].long(), score[order], w[order]
    total = torch.bincount(g, weights=v, minlength=groups)
    new = torch.ones(len(g), dtype=torch.bool)
    new[1:] = (g.diff() != 0) | (s.diff() != 0)
    run = new.cumsum(0) - 1  # equal scores of one group
    own = torch.bincount(run, weights=v) if len(run) else v
    below = own.cumsum(0) - own / 2 - (total.cumsum(0) - total)[g[new]]
    share = below / total[g[new]].where(total[g[new]] > 0, 1)
    place = ((share * bins * PARTS + ROUNDING).long().clamp(0, bins * PARTS - 1) + g[new] * bins * PARTS)[run]

    def summed(each: Tensor) -> Tensor:
        return torch.bincount(place, weights=each, minlength=groups * bins * PARTS).reshape(groups, bins, PARTS)

    outcome, squared = y[order].to(v.dtype), v.square()
    return Scored(*map(summed, ((v > 0).to(v.dtype), v, squared, v * s, v * outcome, squared * s * (1 - s))))
