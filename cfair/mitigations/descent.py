"""The least of a differentiable objective of linear scores: L-BFGS in coordinates whitened by the curvature of the loss alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import softplus

from cfair.errors import FitError
from cfair.heads.base import standard_of
from cfair.heads.logistic import RIDGE, Logistic
from cfair.inference.optimise import whitening
from cfair.mitigations.base import Rows

__all__ = ["Descent", "Reached"]

STEPS = 60  # of L-BFGS in one stage
GRADIENT = 1e-6  # slope left, in standard errors of the weights by the square root of the rows


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """Where a descent came to rest.

    Args:
        theta: the weights on standardised features, the intercept first, shape (k + 1,).
        steps: how many it took.
        converged: whether the slope vanished.
    """

    theta: Tensor
    steps: int
    converged: bool


class Descent:
    """Logistic regression of rows, to whose loss a charge of its scores may be added.

    The loss is that of the head ``logistic``, per row: mean log loss, and ½·RIDGE·Σ_j w_j²/n on standardised features.

    ``design`` (n, k + 1) has ones and standardised features, ``ridge`` (k + 1,) is RIDGE/n but for the intercept, and ``start`` (k + 1,)
    are the weights of least loss.

    Raises:
        FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome is the same.
    """

    def __init__(self, rows: Rows) -> None:
        batches = [(rows.features, rows.outcome, rows.weights)]
        self._standard = standard_of(batches, "mitigation")
        if self._standard.scale[-1].isinf():
            raise FitError("mitigation", "all outcomes to learn from are the same", "give rows with both levels of the outcome")
        self._outcome, self._weights = rows.outcome, rows.weights / rows.weights.sum()
        features = (rows.features - self._standard.mean[:-1]) / self._standard.scale[:-1]
        self.design = torch.cat([torch.ones(rows.n, 1, dtype=torch.float64), features], 1)
        self.ridge = torch.full((self.design.shape[1],), RIDGE / self._standard.n, dtype=torch.float64)
        self.ridge[0] = 0
        head = Logistic(rows.features.shape[1]).fit(batches)
        raw = head.coefficients * self._standard.scale[:-1].nan_to_num(posinf=0.0)
        self.start = torch.cat([(head.intercept + head.coefficients @ self._standard.mean[:-1]).reshape(1), raw])
        p = self.scores(self.start).sigmoid()
        curvature = (self.design.T * (self._weights * p * (1 - p))) @ self.design + self.ridge.diag()
        self._stretch = whitening(-curvature)

    @property
    def held_out(self) -> None:
        """No rows: the least of loss and charge is where it stops."""
        return

    def scores(self, theta: Tensor) -> Tensor:
        """Log-odds, (n,), of weights (k + 1,)."""
        return self.design @ theta

    def loss(self, scores: Tensor) -> Tensor:
        """The mean log loss of log-odds (n,), shape ()."""
        return self._weights @ (softplus(scores) - self._outcome * scores)

    def least(self, charge: Callable[[Tensor], Tensor], theta: Tensor, steep: Tensor | None = None) -> Reached:
        """The weights at which loss and ``charge``, of log-odds (n,) to (), are least together, from ``theta`` on.

        Args:
            charge: what is added to the loss.
            theta: the weights to start from, (k + 1,).
            steep: F of a charge whose curvature is about FᵀF, (m, k + 1), by which coordinates are whitened, too.
        """
        stretch = self._stretch if steep is None else _narrowed(self._stretch, steep)

        def value(phi: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            here = theta + stretch @ torch.from_numpy(phi)
            scores = self.scores(here).requires_grad_()
            with torch.enable_grad():
                total = self.loss(scores) + charge(scores)
            (slope,) = torch.autograd.grad(total, scores)
            by_theta = self.design.T @ slope + self.ridge * here
            return float(total.detach() + (self.ridge * here.square()).sum() / 2), (stretch.T @ by_theta).numpy()

        found = minimize(
            value,
            np.zeros(len(theta)),
            jac=True,
            method="L-BFGS-B",
            options={"maxcor": 20, "ftol": 1e-12, "gtol": GRADIENT, "maxiter": STEPS},
        )
        return Reached(theta + stretch @ torch.from_numpy(found.x), int(found.nit), bool(found.success))

    def slopes(self, of: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
        """How each of some numbers, of log-odds (n,) to (m,), changes with the weights, (m, k + 1)."""
        scores = self.scores(theta).requires_grad_()
        with torch.enable_grad():
            values = of(scores)
        return torch.stack([torch.autograd.grad(each, scores, retain_graph=True)[0] for each in values]) @ self.design

    def head(self, theta: Tensor) -> Logistic:
        """The head that these weights are."""
        return Logistic(self.design.shape[1] - 1).hold(theta[0], theta[1:], self._standard)


def _narrowed(stretch: Tensor, steep: Tensor) -> Tensor:
    """L(I + (FL)ᵀFL)^(−½), (k + 1, k + 1), which whitens (LLᵀ)⁻¹ + FᵀF: by the singular vectors of FL, few if F is flat."""
    _, size, along = torch.linalg.svd(steep @ stretch, full_matrices=False)
    narrowed: Tensor = stretch + (stretch @ along.T) * ((1 + size.square()).rsqrt() - 1) @ along
    return narrowed
