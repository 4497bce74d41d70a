"""Softmax regression: an outcome of several levels."""

from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from cfair.errors import FitError, QueryError
from cfair.families import Kind
from cfair.heads.base import Batches, Head, Standard, standard_of
from cfair.heads.levels import shares_of

__all__ = ["Multinomial"]

RIDGE = 0.01  # as if each difference of two levels' standardised weights had a Normal(0, 10²) prior, which of two levels is ``logistic``'s
TOLERANCE = 1e-8  # Newton decrement at which to stop, in standard errors of the weights; the last step then squares it
STEPS = 100  # far above the ten or so that a convex problem takes
ROUNDING = 1e-11  # relative error of a sum over people: a smaller rise of the loss is not one


class _Loss(NamedTuple):
    """The penalised negative log-likelihood at some weights (levels − 1, k + 1), flattened."""

    value: Tensor  # ()
    gradient: Tensor  # ((levels − 1)·(k + 1),)
    curvature: Tensor  # square


class Multinomial(Head):
    """P(level c) = exp(s_c) / Σ_d exp(s_d), s_c = b_c + Σ_j w_cj·x_j, of greatest likelihood less ½·0.01·2·Σ_cj (w_cj − w̄_j)².

    w̄_j is the mean over levels, weights are those of standardised features: the penalty treats levels alike, and with two of them it is
    that of ``logistic``. Intercepts are not penalised, so that mean predictions are the shares of the levels; with no features each is.
    ``intercept`` b, shape (levels,), and ``coefficients`` w, shape (levels, k), are 0 for the first level that occurs. A level that
    nobody has who was learned from has probability 0. Weights of people enter with mean 1.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"category", "ordinal"})
    intercept: Tensor
    coefficients: Tensor

    def __init__(self, inputs: int, levels: int = 2) -> None:
        super().__init__(inputs, levels)
        self.register_buffer("intercept", torch.full((levels,), torch.nan, dtype=torch.float64))  # until it is fitted
        self.register_buffer("coefficients", torch.zeros(levels, inputs, dtype=torch.float64))

    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k), positions of levels (m,) and perhaps weights (m,), one walk per Newton step.

        Memory is that of one batch, and of ((levels − 1)·(k + 1))² numbers.

        Raises:
            FitError: there are no rows of weight above 0, a value is infinite or NaN, an outcome is no level, or all are the same.

        Source: McCullagh & Nelder (1989), Generalized Linear Models, sections 2.5 and 5.2.4.
        """
        standard = standard_of(batches, "multinomial head")
        shares = shares_of(batches, standard, self.levels, "multinomial head")
        present = shares.nonzero().squeeze(-1)
        weights = torch.zeros(len(present) - 1, self.inputs + 1, dtype=torch.float64)
        weights[:, 0] = (shares[present[1:]] / shares[present[0]]).log()
        position = torch.zeros(self.levels, dtype=torch.int64).scatter(0, present, torch.arange(len(present)))
        weights = _minimise(batches, standard, weights, position)
        raw = weights[:, 1:] / standard.scale[:-1]
        self.coefficients.zero_()
        self.intercept.fill_(-torch.inf)
        self.coefficients[present[1:]] = raw
        self.intercept[present[0]] = 0.0
        self.intercept[present[1:]] = weights[:, 0] - raw @ standard.mean[:-1]
        return self

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to probabilities (..., levels)."""
        return self.score(features).softmax(-1)

    def score(self, features: Tensor) -> Tensor:
        """The s of features (..., k), shape (..., levels); added up feature by feature: a person's is the same bits in any batch."""
        if self.intercept.isnan().any():
            raise QueryError("head", "it has not been fitted", "call fit first")
        score = self.intercept.expand(*features.shape[:-1], self.levels).clone()
        for feature, coefficients in zip(features.unbind(-1), self.coefficients.T, strict=True):
            score += feature.unsqueeze(-1) * coefficients
        return score


def _minimise(batches: Batches, standard: Standard, weights: Tensor, position: Tensor) -> Tensor:
    """The weights (levels − 1, k + 1) of least loss, by Newton's method with halved steps where a full one overshoots."""
    here = _loss(batches, standard, weights, position)
    for _ in range(STEPS):
        step: Tensor = torch.linalg.solve(here.curvature, here.gradient)
        if step @ here.gradient <= TOLERANCE**2:
            return weights - step.reshape(weights.shape)
        there = _loss(batches, standard, weights - step.reshape(weights.shape), position)
        while there.value > here.value + ROUNDING * (1 + here.value):
            step = step / 2
            there = _loss(batches, standard, weights - step.reshape(weights.shape), position)
        weights, here = weights - step.reshape(weights.shape), there
    raise FitError("multinomial head", f"no minimum after {STEPS} Newton steps", "look for features of extreme size")


def _loss(batches: Batches, standard: Standard, weights: Tensor, position: Tensor) -> _Loss:
    """Σ_i v_i·(log Σ_c exp(s_ic) − s_iy) + ½·ridge·2·Σ_cj (w_cj − w̄_j)², with its first two derivatives; v_i is the weight of row i.

    Args:
        batches: to be walked.
        standard: of their features.
        weights: of each level that occurs but the first, which has none, shape (levels − 1, k + 1), the intercept first.
        position: of each declared level among those that occur, shape (all levels,).
    """
    others, columns = weights.shape
    apart = 2 * RIDGE * (torch.eye(others, dtype=torch.float64) - 1 / (others + 1))  # of the penalty: Σ_c (w_c − w̄)² = w'(I − 11'/levels)w
    pulled = torch.ones(columns, dtype=torch.float64)
    pulled[0] = 0
    pull = apart @ weights * pulled
    value, gradient, curvature = (pull * weights).sum() / 2, pull, torch.kron(apart, pulled.diag())
    for features, y, v in standard.apply(batches):
        design = torch.cat([torch.ones_like(y)[:, None], features], -1)
        score = torch.cat([torch.zeros_like(y)[:, None], design @ weights.T], -1)
        p, level = score.softmax(-1)[:, 1:], position[y.long()]
        value = value + v @ (score.logsumexp(-1) - score.gather(-1, level[:, None])[:, 0])
        gradient = gradient + (v[:, None] * (p - one_hot(level, others + 1)[:, 1:])).T @ design
        curvature = curvature + _curvature(design, p, v)
    return _Loss(value, gradient.flatten(), curvature)


def _curvature(design: Tensor, p: Tensor, v: Tensor) -> Tensor:
    """Σ_i v_i·(diag(p_i) − p_i·p_i') ⊗ x_i·x_i', of design (m, k + 1), probabilities p (m, levels − 1) and weights v (m,)."""
    others, columns = p.shape[1], design.shape[1]
    whole = torch.empty(others, columns, others, columns, dtype=torch.float64)
    for c in range(others):
        for d in range(c + 1):
            spread = p[:, c] * (1 - p[:, c]) if c == d else -p[:, c] * p[:, d]
            block = (design.T * (v * spread)) @ design
            whole[c, :, d], whole[d, :, c] = block, block
    return whole.reshape(others * columns, others * columns)
