"""Trees of scikit-learn's histogram gradient boosting, kept as arrays."""

from abc import ABC

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from torch import Tensor

from cfair.errors import QueryError
from cfair.heads.base import Batch, Head, Standard

__all__ = ["Forest", "learned_trees"]

EDGE = 1e-10  # of a feature's sd: values that differ by rounding alone, as residuals in two worlds, fall on one side of a threshold
TREES, LEAVES = 100, 31  # scikit-learn's defaults
NODES = 2 * LEAVES - 1  # of a tree of so many leaves
RATE, LEAF = 0.1, 20  # how far each tree goes, and the fewest rows of a leaf, whatever they weigh: scikit-learn's defaults
CHUNK = 4_096  # rows that go down all trees together: what they need on the way fits the processor's cache


class Forest(Head, ABC):
    """s_c = b_c + Σ_t tree_tc(x): sums of 100 trees of up to 31 leaves each, one sum per output.

    Args:
        inputs: number of features k.
        levels: of the outcome.
        outputs: how many sums.
    """

    intercept: Tensor  # b, () where there is one sum, else (outputs,)
    feature: Tensor  # of which a node asks, (trees, nodes); the trees of an iteration stand together
    threshold: Tensor  # at or below which rows go left, (trees, nodes)
    left: Tensor  # node below, counted through all trees; a leaf's is itself, (trees, nodes)
    right: Tensor
    value: Tensor  # of a leaf, (trees, nodes)
    depth: Tensor  # of the deepest leaf, ()
    sign: Tensor  # by which features are multiplied first, (k,): so that the direction of a scale changes nothing

    def __init__(self, inputs: int, levels: int, *, outputs: int) -> None:
        super().__init__(inputs, levels)
        self._outputs = outputs
        trees = TREES * outputs
        here = torch.arange(trees * NODES).reshape(trees, NODES)
        self.register_buffer("intercept", torch.full((outputs,), torch.nan, dtype=torch.float64).squeeze(0))  # until it is fitted
        self.register_buffer("feature", torch.zeros_like(here))
        self.register_buffer("threshold", torch.zeros(trees, NODES, dtype=torch.float64))
        self.register_buffer("left", here.clone())
        self.register_buffer("right", here.clone())
        self.register_buffer("value", torch.zeros(trees, NODES, dtype=torch.float64))
        self.register_buffer("depth", torch.zeros((), dtype=torch.int64))
        self.register_buffer("sign", torch.ones(inputs, dtype=torch.float64))

    def sums(self, features: Tensor) -> Tensor:
        """The s of features (..., k), shape (..., outputs); added up tree by tree, so that a person's is the same bits in any batch."""
        if self.intercept.isnan().any():
            raise QueryError("head", "it has not been fitted", "call fit first")
        rows = features.reshape(features.shape[:-1].numel(), features.shape[-1])
        parts = [self._down(part) for part in rows.split(CHUNK)]
        return (torch.cat(parts) if parts else features.new_zeros(0)).reshape(*features.shape[:-1], self._outputs)

    def _down(self, rows: Tensor) -> Tensor:
        """The s of rows (m, k), shape (m, outputs): each goes down every tree at once."""
        score = self.intercept.reshape(-1, 1).expand(self._outputs, len(rows)).clone()
        if not self.inputs:
            return score.T
        trees = TREES * self._outputs
        turned = (rows * self.sign).T.contiguous()
        node = torch.arange(0, trees * NODES, NODES)[:, None].expand(trees, len(rows))  # the roots, (trees, m)
        feature, threshold, left, right = (each.reshape(-1) for each in (self.feature, self.threshold, self.left, self.right))
        for _ in range(int(self.depth)):
            below = turned.gather(0, feature[node]) <= threshold[node]
            node = torch.where(below, left[node], right[node])
        for of_iteration in self.value.reshape(-1)[node].reshape(TREES, self._outputs, len(rows)):
            score += of_iteration
        return score.T

    def blur(self, standard: Standard) -> None:
        """Move thresholds off the values that somebody may have."""
        self.threshold += EDGE * standard.scale[:-1].nan_to_num(posinf=0.0)[self.feature]

    def plant(self, tree: int, nodes: NDArray[np.void]) -> None:
        """Write the nodes of a tree of scikit-learn into its row of the arrays."""
        count, leaf = len(nodes), torch.from_numpy(nodes["is_leaf"].astype(bool))
        own = tree * NODES + torch.arange(count)
        self.feature[tree, :count] = torch.from_numpy(nodes["feature_idx"].astype(np.int64)).where(~leaf, 0)
        self.threshold[tree, :count] = torch.from_numpy(nodes["num_threshold"].astype(np.float64)).where(~leaf, 0.0)
        for side, below in (("left", self.left), ("right", self.right)):
            below[tree, :count] = torch.where(leaf, own, tree * NODES + torch.from_numpy(nodes[side].astype(np.int64)))
        self.value[tree, :count] = torch.from_numpy(nodes["value"].astype(np.float64))
        self.depth.copy_(torch.maximum(self.depth, torch.tensor(int(nodes["depth"].max()))))


def learned_trees(rows: Batch, signs: Tensor, *, levels: bool) -> HistGradientBoostingClassifier | HistGradientBoostingRegressor:
    """Scikit-learn's estimator, fitted on rows in an order of their own."""
    return (HistGradientBoostingClassifier if levels else HistGradientBoostingRegressor)(
        learning_rate=RATE,
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=LEAF,
        categorical_features=None,
        early_stopping=False,
        random_state=0,
    ).fit((rows.features * signs).numpy(), rows.outcome.numpy(), sample_weight=rows.weights.numpy())
