"""The law school model of ``models/law_school/dag.yaml`` written out in JAX, and its posterior by brute force: a second computation.

θ = ugpa's (intercept, 7 races, sex, loading, log σ), lsat's (intercept, 7 races, sex, loading), zfya's (7 races, sex, loading).
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = ["Data", "Moments", "Peak", "data", "log_joint", "log_prior", "normal_given", "peak", "reference"]

jax.config.update("jax_enable_x64", True)

Floats = NDArray[np.float64]

GRID = jnp.arange(-12, 12, 0.25)  # of the latent, which one person has near 7; its posterior sd is 0.5: right to rounding
DRAWS = 1_000  # of the parameters, in antithetic pairs: sd[K] moves by a tenth with them


class Data(NamedTuple):
    """Rows: indicators of race and sex, (n, 8), and the three scores, (n,)."""

    x: Array
    ugpa: Array
    lsat: Array
    zfya: Array


class Peak(NamedTuple):
    """The most probable θ, and a square root of the inverse curvature there."""

    theta: Floats
    root: Floats


class Moments(NamedTuple):
    """Each person's E[K | data] and sd[K | data], (n,), and how many independent draws of θ the estimate is worth."""

    mean: Floats
    sd: Floats
    ess: float


def data(columns: Mapping[str, Array]) -> Data:
    """Coded columns as the model reads them."""
    race, sex = jnp.asarray(columns["race"]), jnp.asarray(columns["sex"])
    x = jnp.concatenate([race[:, None] == jnp.arange(1, 8), sex[:, None] == 1], 1).astype(float)
    return Data(x, *(jnp.asarray(columns[node]) for node in ("ugpa", "lsat", "zfya")))


def log_prior(theta: Array) -> Array:
    """Intercepts, weights ~ Normal(0, 1); σ² ~ InverseGamma(1, 1), its density on the scale of log σ."""
    others = jnp.delete(theta, 10, assume_unique_indices=True)
    return -(others**2).sum() / 2 - 2 * theta[10] - jnp.exp(-2 * theta[10])


def _predictors(theta: Array, rows: Data) -> tuple[Array, Array, Array]:
    """The parts of the three linear predictors that do not hold the latent."""
    return theta[0] + rows.x @ theta[1:9], theta[11] + rows.x @ theta[12:20], rows.x @ theta[21:29]


def log_joint(theta: Array, rows: Data, k: Array) -> Array:
    """Log p(k, scores | race, sex, θ) per row, but for a constant; ``k`` of shape (..., n)."""
    ugpa, lsat, zfya = _predictors(theta, rows)
    log_rate = lsat + theta[20] * k
    total = -(k**2) / 2 + rows.lsat * log_rate - jnp.exp(log_rate) - (rows.zfya - zfya - theta[29] * k) ** 2 / 2
    return total - (rows.ugpa - ugpa - theta[9] * k) ** 2 / 2 * jnp.exp(-2 * theta[10]) - theta[10]


def normal_given(theta: Array, rows: Data) -> tuple[Array, Array]:
    """Mean and sd of K given θ and the row, (n,), were log(lsat) normal with variance 1/lsat."""
    ugpa, lsat, zfya = _predictors(theta, rows)
    weight, precision = theta[9] * jnp.exp(-2 * theta[10]), 1 + theta[9] ** 2 * jnp.exp(-2 * theta[10]) + theta[29] ** 2
    precision = precision + theta[20] ** 2 * rows.lsat
    center = weight * (rows.ugpa - ugpa) + theta[20] * rows.lsat * (jnp.log(rows.lsat) - lsat) + theta[29] * (rows.zfya - zfya)
    return center / precision, precision**-0.5


@jax.jit
def _log_marginal(theta: Array, rows: Data) -> Array:
    return log_prior(theta) + jax.nn.logsumexp(log_joint(theta, rows, GRID[:, None]), axis=0).sum()


@jax.jit
def _moments(theta: Array, rows: Data) -> tuple[Array, Array, Array]:
    """The log marginal, and E[K | row, θ] and E[K² | row, θ], (n,)."""
    joint = log_joint(theta, rows, GRID[:, None])
    top = joint.max(0)
    density = jnp.exp(joint - top)
    total = density.sum(0)
    return log_prior(theta) + (top + jnp.log(total)).sum(), GRID @ density / total, GRID**2 @ density / total


def peak(rows: Data) -> Peak:
    """The mode of p(θ | data), found from a rough start, and the curvature there."""
    start = np.zeros(30)
    start[[0, 9, 11, 20, 29]] = float(rows.ugpa.mean()), 0.1, float(jnp.log(rows.lsat.mean())), 0.1, 0.1
    slope = jax.jit(jax.grad(_log_marginal))
    scale = np.full(30, 0.05)
    found = minimize(
        lambda phi: -float(_log_marginal(start + scale * phi, rows)),
        np.zeros(30),
        jac=lambda phi: -scale * np.asarray(slope(start + scale * phi, rows)),
        method="BFGS",
        options={"gtol": 1e-3},
    )
    theta = start + scale * found.x
    curve = jax.jit(lambda v: jax.jvp(lambda at: slope(at, rows), (jnp.asarray(theta),), (v,))[1])
    hessian = np.stack([np.asarray(curve(v)) for v in np.eye(30)])
    values, vectors = np.linalg.eigh(-(hessian + hessian.T) / 2)
    return Peak(theta, vectors / np.sqrt(values))


def reference(rows: Data, at: Peak) -> Moments:
    """The latent integrated out on a grid, θ by importance sampling from the normal approximation at its peak."""
    half = np.random.default_rng(0).standard_normal((DRAWS // 2, 30))
    highest = float(_log_marginal(at.theta, rows))
    weights, first, second = [], np.zeros(len(rows.ugpa)), np.zeros(len(rows.ugpa))
    for phi in np.concatenate([half, -half]):
        height, mean, square = _moments(at.theta + at.root @ phi, rows)
        weights.append(np.exp(float(height) - highest + phi @ phi / 2))
        first, second = first + weights[-1] * np.asarray(mean), second + weights[-1] * np.asarray(square)
    total = sum(weights)
    mean = first / total
    return Moments(mean, np.sqrt(second / total - mean**2), float(total**2 / np.square(weights).sum()))
