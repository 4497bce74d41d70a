"""Gradient boosting of trees, by scikit-learn's histograms; the trees are kept as arrays."""

from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from torch import Tensor

from cfair.errors import FitError, QueryError
from cfair.families import Kind
from cfair.heads.base import Batch, Batches, Head, Standard, standard_of

__all__ = ["Boosted"]

EDGE = 1e-10  # of a feature's sd: values that differ by rounding alone, as residuals in two worlds, fall on one side of a threshold
TREES, LEAVES = 100, 31  # scikit-learn's defaults
NODES = 2 * LEAVES - 1  # of a tree of so many leaves
RATE, LEAF = 0.1, 20  # how far each tree goes, and the fewest rows of a leaf, whatever they weigh: scikit-learn's defaults
CHUNK = 4_096  # rows that go down all trees together: what they need on the way fits the processor's cache
STEPS, CLOSE = 100, 1e-13  # of Newton's method for the intercept, and how near to the mean outcome it ends


class Boosted(Head):
    """s = b + Σ_t tree_t(x), ŷ = s of a number or 1 / (1 + exp(−s)) of two levels: 100 trees of up to 31 leaves, at rate 0.1.

    Features are binned into 255 quantiles, weighted as rows are. A leaf has 20 rows at least, however much they weigh, so that a row of
    weight 2 is not quite two rows. The intercept b is set last, so that predictions average to the mean outcome. With no features each
    prediction is that mean. Rows are sorted before they are learned from, so that their order changes nothing.

    Source: Friedman (2001), Greedy function approximation: a gradient boosting machine; Ke et al. (2017), LightGBM.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real", "count", "binary"})
    intercept: Tensor  # b, ()
    feature: Tensor  # of which a node asks, (trees, nodes)
    threshold: Tensor  # at or below which rows go left, (trees, nodes)
    left: Tensor  # node below, counted through all trees; a leaf's is itself, (trees, nodes)
    right: Tensor
    value: Tensor  # of a leaf, (trees, nodes)
    depth: Tensor  # of the deepest leaf, ()
    binary: Tensor  # whether s is a logit, ()
    sign: Tensor  # by which features are multiplied first, (k,): so that the direction of a scale changes nothing

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs)
        here = torch.arange(TREES * NODES).reshape(TREES, NODES)
        self.register_buffer("intercept", torch.tensor(torch.nan, dtype=torch.float64))  # until it is fitted
        self.register_buffer("feature", torch.zeros_like(here))
        self.register_buffer("threshold", torch.zeros(TREES, NODES, dtype=torch.float64))
        self.register_buffer("left", here.clone())
        self.register_buffer("right", here.clone())
        self.register_buffer("value", torch.zeros(TREES, NODES, dtype=torch.float64))
        self.register_buffer("depth", torch.zeros((), dtype=torch.int64))
        self.register_buffer("binary", torch.zeros((), dtype=torch.bool))
        self.register_buffer("sign", torch.ones(inputs, dtype=torch.float64))

    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k), outcomes (m,) and perhaps weights (m,); all rows are held at once.

        Outcomes that are all 0 or 1 are taken for levels.

        Raises:
            FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome of two levels is the same.
        """
        standard = standard_of(batches, "boosted head")
        self.sign.copy_(_signs(batches, standard))
        x, y, weights = _sorted(batches, standard, self.sign)
        levels = bool(((y == 0) | (y == 1)).all())
        if levels and standard.scale[-1].isinf():
            problem = f"all {standard.n} outcomes to learn from are {y[0]:.0f}"
            raise FitError("boosted head", problem, "give rows with both levels of the outcome")
        self.binary.fill_(levels)
        start = standard.mean[-1].logit() if levels else standard.mean[-1]
        if self.inputs and standard.scale[-1].isfinite():
            learned = (HistGradientBoostingClassifier if levels else HistGradientBoostingRegressor)(
                learning_rate=RATE,
                max_iter=TREES,
                max_leaf_nodes=LEAVES,
                min_samples_leaf=LEAF,
                categorical_features=None,
                early_stopping=False,
                random_state=0,
            ).fit((x * self.sign).numpy(), y.numpy(), sample_weight=weights.numpy())
            start = self.hold(learned)
            self.threshold += EDGE * standard.scale[:-1].nan_to_num(posinf=0.0)[self.feature]  # a threshold may be somebody's value
        self.intercept.copy_(start)
        self.intercept.copy_(_centred(self.score(x), y, weights, start, levels=levels))
        return self

    def hold(self, learned: HistGradientBoostingClassifier | HistGradientBoostingRegressor) -> Tensor:
        """Take over the trees of a fitted estimator of scikit-learn, and give the intercept that it adds them to, shape ()."""
        for t, (tree,) in enumerate(learned._predictors):
            self._plant(t, tree.nodes)
        return torch.tensor(float(np.ravel(learned._baseline_prediction)[0]), dtype=torch.float64)

    @property
    def span(self) -> tuple[float, float]:
        """Of probabilities; of numbers the sums of all trees' smallest and largest leaves, or beyond."""
        if self.binary:
            return 0.0, 1.0
        return float(self.intercept + self.value.amin(1).sum()), float(self.intercept + self.value.amax(1).sum())

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to predicted values, or probabilities of the second level (...)."""
        return self.score(features).sigmoid() if self.binary else self.score(features)

    def score(self, features: Tensor) -> Tensor:
        """The s of features (..., k), shape (...); added up tree by tree, so that a person's is the same bits in any batch."""
        if self.intercept.isnan():
            raise QueryError("head", "it has not been fitted", "call fit first")
        rows = features.reshape(features.shape[:-1].numel(), features.shape[-1])
        parts = [self._down(part) for part in rows.split(CHUNK)]
        return torch.cat(parts).reshape(features.shape[:-1]) if parts else features.new_zeros(features.shape[:-1])

    def _down(self, rows: Tensor) -> Tensor:
        """The s of rows (m, k), shape (m,): each goes down every tree at once."""
        score = self.intercept.expand(len(rows)).clone()
        if not self.inputs:
            return score
        turned = (rows * self.sign).T.contiguous()
        node = torch.arange(0, TREES * NODES, NODES)[:, None].expand(TREES, len(rows))  # the roots, (trees, m)
        feature, threshold, left, right = (each.reshape(-1) for each in (self.feature, self.threshold, self.left, self.right))
        for _ in range(int(self.depth)):
            below = turned.gather(0, feature[node]) <= threshold[node]
            node = torch.where(below, left[node], right[node])
        for of_tree in self.value.reshape(-1)[node]:
            score += of_tree
        return score

    def _plant(self, t: int, nodes: NDArray[np.void]) -> None:
        """Write the nodes of a tree of scikit-learn into its row of the arrays."""
        count, leaf = len(nodes), torch.from_numpy(nodes["is_leaf"].astype(bool))
        own = t * NODES + torch.arange(count)
        self.feature[t, :count] = torch.from_numpy(nodes["feature_idx"].astype(np.int64)).where(~leaf, 0)
        self.threshold[t, :count] = torch.from_numpy(nodes["num_threshold"].astype(np.float64)).where(~leaf, 0.0)
        for side, below in (("left", self.left), ("right", self.right)):
            below[t, :count] = torch.where(leaf, own, t * NODES + torch.from_numpy(nodes[side].astype(np.int64)))
        self.value[t, :count] = torch.from_numpy(nodes["value"].astype(np.float64))
        self.depth.copy_(torch.maximum(self.depth, torch.tensor(int(nodes["depth"].max()))))


def _signs(batches: Batches, standard: Standard) -> Tensor:
    """-1 for each feature that falls as the outcome rises, else 1, shape (k,)."""
    together = torch.zeros(len(standard.mean) - 1, dtype=torch.float64)
    for features, outcome, weights in standard.apply(batches):
        together = together + (weights * (outcome - standard.mean[-1])) @ features
    return torch.where(together < 0, -1.0, 1.0).double()


def _sorted(batches: Batches, standard: Standard, signs: Tensor) -> Batch:
    """All rows of weight above 0 in an order of their own: by features, then outcome, then weight, whatever order they came in.

    Features are as they are, and sorted by as they are learned from. Weights have mean 1, rounded so that their unit leaves no trace.
    """
    whole = [(*rows, *(() if len(rows) == 3 else (torch.ones_like(rows[1]),))) for rows in batches]
    x, y, weights = (torch.cat([part[i] for part in whole]) for i in range(3))
    counts = weights > 0
    x, y, weights = x[counts], y[counts], (weights[counts] * (standard.n / standard.total)).float().double()
    order = torch.from_numpy(np.lexsort((weights.numpy(), y.numpy(), *(x * signs).T.numpy())))
    return Batch(x[order], y[order], weights[order])


def _centred(score: Tensor, y: Tensor, weights: Tensor, start: Tensor, *, levels: bool) -> Tensor:
    """The intercept, shape (), under which predictions average to the mean outcome, weighted: Newton's method on the mean."""
    intercept, trees, total = start.clone(), score - start, weights.sum()
    for _ in range(STEPS):
        predicted = (trees + intercept).sigmoid() if levels else trees + intercept
        slope = weights @ (predicted * (1 - predicted)) / total if levels else torch.ones_like(intercept)
        step = weights @ (y - predicted) / total / slope
        intercept = intercept + step
        if step.abs() <= CLOSE * (1 + intercept.abs()):
            break
    return intercept
