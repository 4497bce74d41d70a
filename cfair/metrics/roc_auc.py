"""Area under the receiver operating characteristic."""

import torch
from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import need_variation

__all__ = ["roc_auc"]


def roc_auc(y: Tensor, y_hat: Tensor) -> Measured:
    """The chance that someone with the second level is predicted higher than someone with the first, ties counting half.

    AUC = P(ŷ₁ > ŷ₀) + ½·P(ŷ₁ = ŷ₀). A person's placement is the share of the other level on the right side of them,
    V₁(ŷ) = P(ŷ₀ < ŷ) + ½·P(ŷ₀ = ŷ),  V₀(ŷ) = P(ŷ₁ > ŷ) + ½·P(ŷ₁ = ŷ); both average to the AUC, and
    the influence is (n/n_y)·(V_y(ŷ) − AUC). One sort: O(n log n).

    Args:
        y: binary outcomes, 0 or 1, shape (n,).
        y_hat: probabilities of the second level, or any score that orders people, shape (n,).

    Raises:
        QueryError: everybody has the same outcome.

    Source: DeLong, DeLong & Clarke-Pearson (1988), Comparing the areas under correlated curves, the structural components V10 and V01.
    """
    need_variation("roc_auc", y)
    _, tie = torch.unique(y_hat, return_inverse=True)  # place of each person's ŷ among the distinct ones, in order
    ones, zeros = torch.bincount(tie, weights=y), torch.bincount(tie, weights=1 - y)
    n_ones, n_zeros = ones.sum(), zeros.sum()
    placement_one = (zeros.cumsum(0) - zeros / 2) / n_zeros
    placement_zero = 1 - (ones.cumsum(0) - ones / 2) / n_ones
    area = (placement_one * ones).sum() / n_ones
    share = torch.where(y == 1, n_ones, n_zeros) / len(y)
    placement = torch.where(y == 1, placement_one[tie], placement_zero[tie])
    return Measured(area.item(), (placement - area) / share)
