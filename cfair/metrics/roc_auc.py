"""Area under the receiver operating characteristic."""

import torch
from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import count_people, need_variation

__all__ = ["roc_auc", "roc_auc_of_levels"]


def roc_auc(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """The chance that someone with the second level is predicted higher than someone with the first, ties counting half.

    AUC = P(ŷ₁ > ŷ₀) + ½·P(ŷ₁ = ŷ₀). A person's placement is the share of the other level on the right side of them,
    V₁(ŷ) = P(ŷ₀ < ŷ) + ½·P(ŷ₀ = ŷ),  V₀(ŷ) = P(ŷ₁ > ŷ) + ½·P(ŷ₁ = ŷ); both average to the AUC, and
    the influence is (n/n_y)·(V_y(ŷ) − AUC). With weights every share is one of weight, and the influence m·w/W_y·(V_y(ŷ) − AUC), with
    m people of weight above 0 and W_y the weight of outcome y. One sort: O(n log n).

    Args:
        y: binary outcomes, 0 or 1, shape (n,).
        y_hat: probabilities of the second level, or any score that orders people, shape (n,).
        weights: of the people, shape (n,); all the same if None.

    Raises:
        QueryError: everybody has the same outcome.

    Source: DeLong, DeLong & Clarke-Pearson (1988), Comparing the areas under correlated curves, the structural components V10 and V01.
    """
    need_variation("roc_auc", y, weights)
    w = torch.ones_like(y) if weights is None else weights
    _, tie = torch.unique(y_hat, return_inverse=True)  # place of each person's ŷ among the distinct ones, in order
    ones, zeros = torch.bincount(tie, weights=w * y), torch.bincount(tie, weights=w * (1 - y))
    all_ones, all_zeros = ones.sum(), zeros.sum()
    placement_one = (zeros.cumsum(0) - zeros / 2) / all_zeros
    placement_zero = 1 - (ones.cumsum(0) - ones / 2) / all_ones
    area = (placement_one * ones).sum() / all_ones
    people = count_people(y, weights)
    share = people * w / torch.where(y == 1, all_ones, all_zeros)
    placement = torch.where(y == 1, placement_one[tie], placement_zero[tie])
    return Measured(area.item(), share * (placement - area), people)


def roc_auc_of_levels(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """The mean over levels of the chance that someone with the level has a higher probability of it than someone without, ties half.

    One against the rest, macro: each level that occurs among people of weight above 0 counts the same, however many have it.

    Args:
        y: positions of levels, shape (n,).
        y_hat: probabilities of the levels, shape (n, levels).
        weights: of the people, shape (n,); all the same if None.

    Raises:
        QueryError: everybody has the same outcome.

    Source: Provost & Domingos (2003), Tree induction for probability-based ranking, section 2, with equal weights.
    """
    need_variation("roc_auc", y, weights)
    occurring = (y if weights is None else y[weights > 0]).unique().long().tolist()
    areas = [roc_auc((y == level).to(y_hat.dtype), y_hat[:, level], weights) for level in occurring]
    value = sum(area.value for area in areas) / len(areas)
    return Measured(value, torch.stack([area.influence for area in areas]).mean(0), areas[0].people)
