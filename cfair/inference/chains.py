"""Whether chains agree, and how many independent draws they are worth.

Source: Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Rank-normalization, folding, and localization: an improved R-hat.
"""

import math

import torch
from pyro.ops.stats import effective_sample_size, split_gelman_rubin
from torch import Tensor

__all__ = ["bulk_ess", "r_hat"]


def r_hat(chains: Tensor) -> float:
    """The larger of the split R-hats of the ranks of draws (chains, length), and of how far they are from the median (equation 14)."""
    folded = (chains - chains.median()).abs()
    return max(float(split_gelman_rubin(_normal_scores(each))) for each in (chains, folded))


def bulk_ess(chains: Tensor) -> float:
    """The effective number of draws of the ranks of chains (chains, length), each split in two.

    At most S·log₁₀ S of S draws, as in Stan: where neighbouring draws lie on opposite sides, the estimated autocorrelation time of a
    short chain may be next to nothing, or below it.
    """
    half = chains.shape[1] // 2
    split = torch.cat([chains[:, :half], chains[:, -half:]])
    most = split.numel() * math.log10(split.numel())
    found = float(effective_sample_size(_normal_scores(split)))
    return found if 0 < found < most else most


def _normal_scores(chains: Tensor) -> Tensor:
    """Normal quantiles of the ranks of all draws together: Φ⁻¹((r − 3/8)/(S + 1/4)), of the same shape."""
    ranks = torch.empty(chains.numel(), dtype=torch.float64)
    ranks[chains.flatten().argsort()] = torch.arange(1, chains.numel() + 1, dtype=torch.float64)
    scores: Tensor = torch.special.ndtri((ranks - 0.375) / (chains.numel() + 0.25))
    return scores.reshape(chains.shape)
