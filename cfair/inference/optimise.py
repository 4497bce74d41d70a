"""The highest point of a log density of a few hundred parameters: L-BFGS in coordinates whitened by the curvature."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from cfair.errors import FitError

__all__ = ["ROUNDING", "Peak", "maximise", "whitening"]

ROUNDS = 8  # of whitening: one is enough near the top, a start far from it wants more
NEAR = 100.0  # sds of a start within which its sds are trusted: farther off, a posterior sd may be another
GRADIENT = 1e-5  # largest slope left, per posterior sd of a parameter: its error in posterior sds
ROUNDING = 1e-3  # slope that a sum over many rows may leave
FLATTEST = 1e-24  # curvature of a parameter that hardly matters: a step of 10¹² is one sd
SINGULAR = 1e-10  # share of their own curvatures that several parameters together may have


class Peak(NamedTuple):
    """A point, and the largest slope left there per posterior sd of a parameter."""

    theta: Tensor
    slope: float

    def check(self, where: str, rounding: float = ROUNDING) -> None:
        """Say that this is no top.

        Raises:
            FitError: the slope is more than ``rounding``, that which a sum over many rows leaves, or no number.
        """
        if not math.isfinite(self.slope):
            raise FitError(where, "the log posterior or its curvature is no finite number", "look for an extreme value, or a wide prior")
        if not self.slope <= rounding:
            problem = f"the log posterior still rises by {self.slope:.2g} per posterior sd"
            raise FitError(where, problem, "give priors, or fix a parameter: the data do not determine them")


def maximise(
    value_and_slope: Callable[[Tensor], tuple[float, Tensor]],
    start: Tensor,
    *,
    curvature: Callable[[Tensor], Tensor],
    gradient: float = GRADIENT,
) -> Peak:
    """The argmax of a log density, shape (p,), to ``gradient`` posterior sds, or where it rises no more.

    Of the points that whitenings near them lead to it is the flattest: along a ridge, steps that gain nothing wander.

    Args:
        value_and_slope: parameters (p,) -> log density and its gradient (p,).
        start: where to begin, shape (p,).
        curvature: parameters (p,) -> Hessian of the log density (p, p), which may be an estimate from some of the rows.
        gradient: largest slope that may be left, per posterior sd of a parameter.
    """
    theta, reached, flattest = start, -math.inf, Peak(start, math.inf)
    for _ in range(ROUNDS):
        hessian, begin = curvature(theta), theta
        if not hessian.isfinite().all():
            return Peak(theta, math.inf)
        stretch = whitening(hessian)
        theta, value, slope = _ascend(value_and_slope, theta, stretch, gradient)
        steepest = float((stretch.T @ slope).abs().max())
        near = float(torch.linalg.solve(stretch, theta - begin).abs().max()) <= NEAR
        if near and steepest <= flattest.slope:
            flattest = Peak(theta, steepest)
        if (steepest <= gradient and near) or value <= reached:
            break
        reached = value
    return flattest if math.isfinite(flattest.slope) else Peak(theta, steepest)


def _ascend(
    value_and_slope: Callable[[Tensor], tuple[float, Tensor]], theta: Tensor, stretch: Tensor, gradient: float
) -> tuple[Tensor, float, Tensor]:
    """One run of L-BFGS from ``theta`` in the coordinates θ + stretch·φ; the point reached, its log density and gradient (p,)."""
    seen: dict[bytes, tuple[float, Tensor]] = {}

    def loss(phi: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slope = value_and_slope(theta + stretch @ torch.from_numpy(phi))
        if not np.isfinite(value) or not slope.isfinite().all():
            return 1e300, np.zeros_like(phi)  # the line search turns back
        seen[phi.tobytes()] = value, slope
        return -value, -(stretch.T @ slope).numpy()

    result = minimize(
        loss,
        np.zeros(len(theta)),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 20, "ftol": 1e-15, "gtol": gradient, "maxiter": 50},
    )
    reached = theta + stretch @ torch.from_numpy(result.x)
    return reached, *(seen.get(result.x.tobytes()) or value_and_slope(reached))


def whitening(hessian: Tensor) -> Tensor:
    """Columns that stretch unit steps to posterior sds; where the density is not concave, the size of the curvature counts."""
    own = hessian.diagonal().abs().clamp(min=FLATTEST).rsqrt()  # scales that differ by orders first: eigenvectors know the largest only
    scaled = own.unsqueeze(1) * hessian * own
    values, vectors = torch.linalg.eigh((scaled + scaled.T) / 2)
    stretch: Tensor = own.unsqueeze(1) * vectors * values.abs().clamp(min=SINGULAR).rsqrt()
    return stretch
