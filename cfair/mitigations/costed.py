"""Logistic regressions of the same rows with one set of weights and labels after another."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import softplus

from cfair.errors import FitError
from cfair.heads.logistic import RIDGE

__all__ = ["Costed"]

TOLERANCE = 1e-4  # Newton decrement at which to stop, in standard errors of the weights; the last step then squares it
STEPS, ROUNDING = 100, 1e-11  # of Newton, far above the ten or so that are taken; and a rise of the loss that is none


@dataclass(frozen=True, slots=True, eq=False)
class Costed:
    """Rows to which a cost of deciding 1 is given, anew each time.

    Args:
        design: ones and standardised features, (n, k + 1).
        start: weights of the plain logistic regression, (k + 1,).
    """

    design: Tensor
    start: Tensor
    _known: dict[bytes, Tensor] = field(default_factory=dict)  # weights that were found last, by who had which label

    def least(self, costs: Tensor, cells: Tensor) -> Tensor:
        """Weights (k + 1,) of least log loss where each row weighs |cost| and the label 1 if its cost is negative; ridge as ``logistic``.

        Args:
            costs: of deciding 1, (n,); of both signs.
            cells: costs by cell, (cells,): regressions of rows whose cells have the same signs start from one another.

        Raises:
            FitError: features are of extreme size.

        Source: McCullagh & Nelder (1989), Generalized Linear Models, section 2.5.
        """
        label, weights = (costs < 0).to(torch.float64), costs.abs()
        weights = weights * ((weights > 0).sum() / weights.sum())
        signs = bytes((cells < 0).tolist())
        theta = self._known.get(signs, self.start)
        score = self.design @ theta
        value = self._loss(score, theta, label, weights)
        for _ in range(STEPS):
            step, decrement = self._step(score, theta, label, weights)
            if decrement <= TOLERANCE**2:
                self._known[signs] = theta - step
                return theta - step
            there = score - self.design @ step
            while (reached := self._loss(there, theta - step, label, weights)) > value + ROUNDING * (1 + value):
                step = step / 2
                there = score - self.design @ step
            theta, score, value = theta - step, there, reached
        raise FitError("mitigation", f"no minimum after {STEPS} Newton steps", "look for features of extreme size")

    def _ridge(self, theta: Tensor) -> Tensor:
        """What the ridge pulls each weight by, (k + 1,): the intercept not at all."""
        pull = RIDGE * theta
        pull[0] = 0
        return pull

    def _loss(self, score: Tensor, theta: Tensor, label: Tensor, weights: Tensor) -> Tensor:
        return weights @ (softplus(score) - label * score) + theta @ self._ridge(theta) / 2

    def _step(self, score: Tensor, theta: Tensor, label: Tensor, weights: Tensor) -> tuple[Tensor, float]:
        """Newton's step, (k + 1,), and its square length in standard errors."""
        p = score.sigmoid()
        gradient = self.design.T @ (weights * (p - label)) + self._ridge(theta)
        curvature = (self.design.T * (weights * p * (1 - p))) @ self.design + self._ridge(torch.ones_like(theta)).diag()
        step: Tensor = torch.linalg.solve(curvature, gradient)
        return step, float(step @ gradient)
