"""Gradient boosting of an outcome with several levels: a sum of trees for each."""

from typing import ClassVar, Self

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor
from torch.nn.functional import one_hot

from cfair.errors import FitError
from cfair.families import Kind
from cfair.heads.base import Batches, Standard, standard_of
from cfair.heads.forest import Forest, learned_trees
from cfair.heads.levels import shares_of
from cfair.heads.whole import CLOSE, STEPS, sorted_rows

__all__ = ["BoostedLevels"]

WHERE = "boosted_levels head"


class BoostedLevels(Forest):
    """P(level c) = exp(s_c) / Σ_d exp(s_d), s_c = b_c + Σ_t tree_tc(x): for each level 100 trees of up to 31 leaves, at rate 0.1.

    Learned as ``boosted`` is. The intercepts b are set last, so that mean predictions are the shares of the levels; with no features each
    is. A level that nobody has who was learned from has probability 0.

    Source: Friedman (2001), Greedy function approximation: a gradient boosting machine, Algorithm 6; Ke et al. (2017), LightGBM.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"category", "ordinal"})

    def __init__(self, inputs: int, levels: int = 2) -> None:
        super().__init__(inputs, levels, outputs=levels)

    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k), positions of levels (m,) and perhaps weights (m,); all rows are held at once.

        Raises:
            FitError: there are no rows of weight above 0, a value is infinite or NaN, an outcome is no level, or all are the same.
        """
        standard = standard_of(batches, WHERE)
        shares = shares_of(batches, standard, self.levels, WHERE)
        self.sign.copy_(_signs(batches, standard, shares))
        rows = sorted_rows(batches, standard, self.sign)
        self.intercept.copy_(shares.log())
        if self.inputs:
            self.intercept.copy_(self.hold(learned_trees(rows, self.sign, levels=True)))
            self.blur(standard)
            self.intercept.copy_(_centred(self.score(rows.features), rows.outcome, rows.weights, self.intercept))
        return self

    def hold(self, learned: HistGradientBoostingClassifier) -> Tensor:
        """Take over the trees of a fitted estimator of scikit-learn, and give the intercepts that it adds them to, shape (levels,).

        Of two levels it has one sum, that of the second; a level that it has not seen has none, and an intercept of -inf.
        """
        seen = torch.from_numpy(learned.classes_.astype(np.int64))
        own = seen if len(seen) > 2 else seen[1:]
        for t, trees in enumerate(learned._predictors):
            for level, tree in zip(own.tolist(), trees, strict=True):
                self.plant(t * self.levels + level, tree.nodes)
        start = torch.full((self.levels,), -torch.inf, dtype=torch.float64)
        start[seen] = 0.0
        start[own] = torch.from_numpy(np.ravel(learned._baseline_prediction).astype(np.float64))
        return start

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to probabilities (..., levels)."""
        return self.score(features).softmax(-1)

    def score(self, features: Tensor) -> Tensor:
        """The s of features (..., k), shape (..., levels)."""
        return self.sums(features)


def _signs(batches: Batches, standard: Standard, shares: Tensor) -> Tensor:
    """-1 for each feature that falls as the level with which it hangs together most gets likelier, else 1, shape (k,)."""
    together = torch.zeros(len(shares), len(standard.mean) - 1, dtype=torch.float64)
    for features, outcome, weights in standard.apply(batches):
        together = together + (weights[:, None] * (one_hot(outcome.long(), len(shares)) - shares)).T @ features
    strongest = together.gather(0, together.abs().argmax(0, keepdim=True)).squeeze(0)
    return torch.where(strongest < 0, -1.0, 1.0).double()


def _centred(score: Tensor, y: Tensor, weights: Tensor, start: Tensor) -> Tensor:
    """The intercepts, shape (levels,), under which mean probabilities are the shares of levels, weighted.

    They minimise the log-loss of the trees' sums plus an intercept per level: Newton's method, steps halved where one overshoots.

    Args:
        score: the trees' sums with the intercepts to start from, (n, levels); -inf of a level that does not occur.
        y: positions of levels, (n,).
        weights: (n,).
        start: those intercepts, (levels,).

    Raises:
        FitError: they do not settle.
    """
    present = start.isfinite().nonzero().squeeze(-1)
    own, level = score[:, present], one_hot(y.long(), len(start))[:, present].double()
    share, moved = weights / weights.sum(), torch.zeros(len(present), dtype=torch.float64)

    def loss(by: Tensor) -> Tensor:
        total: Tensor = share @ ((own + by).logsumexp(-1) - ((own + by) * level).sum(-1))
        return total

    for _ in range(STEPS):
        p = (own + moved).softmax(-1)
        gradient = share @ (p - level)
        step = torch.linalg.lstsq(((share @ p).diag() - (p * share[:, None]).T @ p)[1:, 1:], gradient[1:]).solution
        step = torch.cat([step.new_zeros(1), step])
        while loss(moved - step) > loss(moved) + CLOSE:
            step = step / 2
        moved = moved - step
        if step.abs().max() <= CLOSE * (1 + moved.abs().max()):
            return start.index_copy(0, present, start[present] + moved)
    raise FitError(WHERE, "the intercepts do not settle", "look for features of extreme size")
