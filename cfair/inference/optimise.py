"""The highest point of a log density of a few hundred parameters: L-BFGS in coordinates whitened by the curvature."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from cfair.errors import FitError

__all__ = ["maximise"]

ROUNDS = 8  # of whitening: one is enough near the top, a start far from it wants more
GRADIENT = 1e-5  # largest slope left, per posterior sd of a parameter: its error in posterior sds


def maximise(
    value_and_slope: Callable[[Tensor], tuple[float, Tensor]], start: Tensor, *, curvature: Callable[[Tensor], Tensor], where: str
) -> Tensor:
    """argmax of a log density, shape (p,), to GRADIENT posterior sds.

    Args:
        value_and_slope: parameters (p,) -> log density and its gradient (p,).
        start: where to begin, shape (p,).
        curvature: parameters (p,) -> Hessian of the log density (p, p), which may be an estimate from some of the rows.
        where: what is being learned, for the message.

    Raises:
        FitError: no top was found.
    """
    theta = start
    for _ in range(ROUNDS):
        stretch = _whitening(curvature(theta))
        theta, slope = _ascend(value_and_slope, theta, stretch)
        if slope <= GRADIENT:
            return theta
    if slope <= 100 * GRADIENT:
        return theta  # the last digits are lost to rounding in a sum over many rows
    raise FitError(
        where, f"the log posterior still rises by {slope:.2g} per posterior sd", "give priors, or fix a parameter: the data do not determine them"
    )


def _ascend(value_and_slope: Callable[[Tensor], tuple[float, Tensor]], theta: Tensor, stretch: Tensor) -> tuple[Tensor, float]:
    """One run of L-BFGS from ``theta`` in the coordinates θ + stretch·φ; the point reached and the largest whitened slope there."""

    def loss(phi: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = value_and_slope(theta + stretch @ torch.from_numpy(phi))
        if not np.isfinite(value) or not slope.isfinite().all():
            return 1e300, np.zeros_like(phi)  # the line search turns back
        return -value, -(stretch.T @ slope).numpy()

    result = minimize(loss, np.zeros(len(theta)), jac=True, method="L-BFGS-B", options={"maxcor": 20, "ftol": 1e-15, "gtol": GRADIENT, "maxiter": 200})
    return theta + stretch @ torch.from_numpy(result.x), float(np.abs(result.jac).max(initial=0.0))


def _whitening(hessian: Tensor) -> Tensor:
    """Columns that stretch unit steps to posterior sds; where the density is not concave, the size of the curvature counts."""
    values, vectors = torch.linalg.eigh((hessian + hessian.T) / 2)
    floor = 1e-10 * values.abs().max().clamp(min=1e-300)
    return vectors * values.abs().clamp(min=floor).rsqrt()
