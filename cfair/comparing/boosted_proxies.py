"""How well an attribute is predicted from all other columns together. Apart from the other proxies, for scikit-learn is slow to import."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from cfair.comparing.proxies import Feature, macro_auc
from cfair.interfaces import Measured

__all__ = ["carried_by_all"]

LEVELS = 200  # of a column, the most frequent; the others are one more: trees split at most 255 ways
ROUNDS = 60  # of boosting
RATE = 0.1  # of learning
LEAVES = 15  # of a tree


def carried_by_all(
    features: Sequence[Feature], member: Tensor, levels: int, fold: Tensor, weights: Tensor | None = None, *, seed: int = 0
) -> Measured:
    """How well all columns together tell the levels of an attribute apart: ``macro_auc`` of boosted trees learned from the other folds.

    Args:
        features: the columns.
        member: each person's level, shape (n,), int64.
        levels: of the attribute.
        fold: each person's, shape (n,), int64.
        weights: of the people, above 0, shape (n,).
        seed: of the trees.

    Source: Friedman (2001), Greedy function approximation: a gradient boosting machine; scikit-learn's histogram form.
    """
    x = np.stack([_column(feature) for feature in features], 1)
    leveled = [feature.leveled for feature in features]
    chance = torch.zeros(len(member), levels, dtype=torch.float64)
    for k in fold.unique().tolist():
        known, asked = (fold != k).numpy(), (fold == k).numpy()
        trees = HistGradientBoostingClassifier(
            max_iter=ROUNDS,
            learning_rate=RATE,
            max_leaf_nodes=LEAVES,
            categorical_features=leveled,
            early_stopping=False,
            random_state=seed,
        )
        trees.fit(x[known], member.numpy()[known], sample_weight=None if weights is None else weights.numpy()[known])
        found = torch.from_numpy(trees.predict_proba(x[asked]))
        chance[fold == k] = torch.zeros(len(found), levels, dtype=torch.float64).index_copy(1, torch.from_numpy(trees.classes_), found)
    return macro_auc(chance, member, fold, weights)


def _column(feature: Feature) -> NDArray[np.float64]:
    """A column's numbers, or the rank of its levels by how frequent they are, the rare ones as one; NaN where there is no entry."""
    values = feature.values
    if not feature.leveled:
        return values.numpy()
    known = ~values.isnan()
    places = values[known].long()
    rank = torch.bincount(places).argsort(descending=True, stable=True).argsort()
    ranked = torch.full_like(values, torch.nan)
    ranked[known] = rank[places].clamp(max=LEVELS).double()
    return ranked.numpy()
