"""Mean squared error of the probabilities of an ordered outcome, added up from the first level on."""

from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average, indicators

__all__ = ["ranked_probability_score"]


def ranked_probability_score(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """How far the predicted distribution lies from what came, far levels costing more; 0 when foretold with certainty, 1 at worst.

    mean 1/(K − 1)·Σ_{c<K} (1{y ≤ c} − F̂_c)², F̂_c = ŷ_1 + ... + ŷ_c of K levels in their order: of two it is the binary Brier score.

    Args:
        y: positions of ordered levels, shape (n,).
        y_hat: probabilities of the levels, shape (n, levels).
        weights: of the people, shape (n,); all the same if None.

    Source: Epstein (1969), A scoring system for probability forecasts of ranked categories; Murphy (1971), A note on the ranked
    probability score, whose sum it is, over K − 1.
    """
    levels = y_hat.shape[-1]
    apart = (indicators(y, levels) - y_hat).cumsum(-1)[..., :-1]
    return average(apart.square().sum(-1) / (levels - 1), weights)
