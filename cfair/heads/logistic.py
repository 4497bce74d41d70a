"""Logistic regression."""

from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.families import Kind
from cfair.heads.base import Batches, LinearHead, Standard, standard_of

__all__ = ["Logistic"]

RIDGE = 0.01  # as if each standardised weight had a Normal(0, 10²) prior: keeps separable and collinear data finite, moves others little
TOLERANCE = 1e-8  # Newton decrement at which to stop, in standard errors of the weights; the last step then squares it
STEPS = 100  # far above the ten or so that a convex problem takes
ROUNDING = 1e-11  # relative error of a sum over people: a smaller rise of the loss is not one


class _Loss(NamedTuple):
    """The penalised negative log-likelihood at some weights."""

    value: Tensor  # ()
    gradient: Tensor  # (k + 1,)
    curvature: Tensor  # (k + 1, k + 1)


class Logistic(LinearHead):
    """P(second level) = 1 / (1 + exp(−b − Σ_j w_j·x_j)), of greatest likelihood less ½·0.01·Σ_j w_j² on standardised features.

    The intercept is not penalised, so that predictions average to the base rate; with no features each is the base rate. Weights enter
    with mean 1, so that against the penalty n rows count as n, whatever the unit of their weights.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary"})

    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k), outcomes (m,), 0 or 1, and perhaps weights (m,), one walk per Newton step.

        Memory is that of one batch.

        Raises:
            FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome is the same.

        Source: McCullagh & Nelder (1989), Generalized Linear Models, section 2.5.
        """
        standard = standard_of(batches, "logistic head")
        if standard.scale[-1].isinf():
            problem = f"all {standard.n} outcomes to learn from are {standard.mean[-1]:.0f}"
            raise FitError("logistic head", problem, "give rows with both levels of the outcome")
        weights = torch.zeros_like(standard.mean)  # the intercept first
        weights[0] = standard.mean[-1].logit()
        weights = _minimise(batches, standard, weights)
        return self.hold(weights[0], weights[1:], standard)

    @property
    def span(self) -> tuple[float, float]:
        """Of probabilities."""
        return 0.0, 1.0

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to probabilities of the second level (...)."""
        return self.score(features).sigmoid()


def _minimise(batches: Batches, standard: Standard, weights: Tensor) -> Tensor:
    """The weights of least loss, by Newton's method with halved steps where a full one overshoots."""
    here = _loss(batches, standard, weights)
    for _ in range(STEPS):
        step: Tensor = torch.linalg.solve(here.curvature, here.gradient)
        if step @ here.gradient <= TOLERANCE**2:
            return weights - step
        there = _loss(batches, standard, weights - step)
        while there.value > here.value + ROUNDING * (1 + here.value):
            step = step / 2
            there = _loss(batches, standard, weights - step)
        weights, here = weights - step, there
    raise FitError("logistic head", f"no minimum after {STEPS} Newton steps", "look for features of extreme size")


def _loss(batches: Batches, standard: Standard, weights: Tensor) -> _Loss:
    """Σ_i v_i·(log(1 + exp(s_i)) − y_i·s_i) + ½·ridge·Σ_j w_j², with its first two derivatives; v_i is the weight of row i."""
    ridge = torch.full_like(weights, RIDGE)
    ridge[0] = 0
    value, gradient, curvature = (ridge * weights.square()).sum() / 2, ridge * weights, ridge.diag()
    for features, y, v in standard.apply(batches):
        design = torch.cat([torch.ones_like(y)[:, None], features], -1)
        score = design @ weights
        p, q = score.sigmoid(), (-score).sigmoid()
        value = value + v @ (torch.logaddexp(score, torch.zeros_like(score)) - y * score)
        gradient = gradient + design.T @ (v * (p - y))
        curvature = curvature + (design.T * (v * p * q)) @ design
    return _Loss(value, gradient, curvature)
