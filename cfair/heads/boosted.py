"""Gradient boosting of trees, by scikit-learn's histograms; the trees are kept as arrays."""

from typing import ClassVar, Self

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from torch import Tensor

from cfair.errors import FitError
from cfair.families import Kind
from cfair.heads.base import Batches, standard_of
from cfair.heads.forest import Forest, learned_trees
from cfair.heads.whole import centred, signs_of, sorted_rows

__all__ = ["Boosted"]


class Boosted(Forest):
    """s = b + Σ_t tree_t(x), ŷ = s of a number or 1 / (1 + exp(−s)) of two levels: 100 trees of up to 31 leaves, at rate 0.1.

    Features are binned into 255 quantiles, weighted as rows are. A leaf has 20 rows at least, however much they weigh, so that a row of
    weight 2 is not quite two rows. The intercept b is set last, so that predictions average to the mean outcome. With no features each
    prediction is that mean. Rows are sorted before they are learned from, so that their order changes nothing.

    Source: Friedman (2001), Greedy function approximation: a gradient boosting machine; Ke et al. (2017), LightGBM.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real", "count", "binary"})
    binary: Tensor  # whether s is a logit, ()

    def __init__(self, inputs: int, levels: int = 2) -> None:
        super().__init__(inputs, levels, outputs=1)
        self.register_buffer("binary", torch.zeros((), dtype=torch.bool))

    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k), outcomes (m,) and perhaps weights (m,); all rows are held at once.

        Outcomes that are all 0 or 1 are taken for levels.

        Raises:
            FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome of two levels is the same.
        """
        standard = standard_of(batches, "boosted head")
        self.sign.copy_(signs_of(batches, standard))
        rows = sorted_rows(batches, standard, self.sign)
        y = rows.outcome
        levels = bool(((y == 0) | (y == 1)).all())
        if levels and standard.scale[-1].isinf():
            problem = f"all {standard.n} outcomes to learn from are {y[0]:.0f}"
            raise FitError("boosted head", problem, "give rows with both levels of the outcome")
        self.binary.fill_(levels)
        start = standard.mean[-1].logit() if levels else standard.mean[-1]
        if self.inputs and standard.scale[-1].isfinite():
            start = self.hold(learned_trees(rows, self.sign, levels=levels))
            self.blur(standard)
        self.intercept.copy_(start)
        self.intercept.copy_(centred(self.score(rows.features), y, rows.weights, start, levels=levels))
        return self

    def hold(self, learned: HistGradientBoostingClassifier | HistGradientBoostingRegressor) -> Tensor:
        """Take over the trees of a fitted estimator of scikit-learn, and give the intercept that it adds them to, shape ()."""
        for t, (tree,) in enumerate(learned._predictors):
            self.plant(t, tree.nodes)
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
        """The s of features (..., k), shape (...)."""
        return self.sums(features).squeeze(-1)
