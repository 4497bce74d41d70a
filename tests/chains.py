"""A long ensemble of chains on a confounded pair's posterior, written out in its own coordinates: it shares no code with the library.

x = b + α·a + λ·u + σ·e,  y = b' + α'·a + w·x + λ'·u + σ'·e',  u, e, e' ~ Normal(0, 1), all in standard units; coefficients
~ Normal(0, 10), variances ~ InverseGamma(1, 0.1). The data know (x, y) given a: two lines, V = λ² + σ², C = w·V + λλ' and the
variance U of y given x and a. What they leave open are λ/√V = tanh R and the share tanh Q of λ' in U.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["chains_of_a_confounded_pair"]

Floats = NDArray[np.float64]

WALKERS = 400


def chains_of_a_confounded_pair(a: Floats, x: Floats, y: Floats, *, steps: int, seed: int) -> Floats:
    """Draws (kept steps, WALKERS, 3) of the weight of x in y's equation and the loadings of x and y, turned so that y's is positive."""
    ones = np.ones_like(a)
    table = np.stack([ones, a, (x - x.mean()) / x.std(), (y - y.mean()) / y.std()])
    products, n, dice = table @ table.T, len(a), np.random.default_rng(seed)
    lines = np.linalg.solve(products[:2, :2], products[:2, 2:])
    left = (products[2:, 2:] - products[2:, :2] @ lines) / n
    slope = left[0, 1] / left[0, 0]
    center = np.array([np.log(left[0, 0]), 0, slope, np.log(left[1, 1] - slope * left[0, 1]), 0, *lines[:, 0], *lines[:, 1]])
    at = center + np.array([0.05, 1.5, 0.03, 0.05, 1.5, 0.03, 0.05, 0.03, 0.05]) * dice.standard_normal((WALKERS, 9))
    height, half, kept = _log_density(at, products, n), WALKERS // 2, []
    for step in range(steps):
        for mine, others in ((slice(0, half), at[half:]), (slice(half, None), at[:half])):  # ter Braak (2006), differential evolution
            pair = others[dice.integers(half, size=half)] - others[dice.integers(half, size=half)]
            tried = at[mine] + (0.55 if step % 2 else 0.25) * pair + 1e-4 * dice.standard_normal((half, 9))
            reached = _log_density(tried, products, n)
            risen = np.log(dice.random(half)) < reached - height[mine]
            at[mine], height[mine] = np.where(risen[:, None], tried, at[mine]), np.where(risen, reached, height[mine])
        if step >= steps // 4 and step % 10 == 0:
            _, w, own, other = _raw(at)
            kept.append(np.stack([w, own * np.sign(other), np.abs(other)], 1))
    return np.stack(kept)


def _raw(at: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """log σ, log σ' (2, W); w; λ; λ'."""
    log_v, r, slope, log_u, q = at.T[:5]
    own, other = np.tanh(r) * np.exp(log_v / 2), np.tanh(q) * np.exp(log_u / 2) * np.cosh(r)
    scales = np.stack([log_v / 2 - np.log(np.cosh(r)), log_u / 2 - np.log(np.cosh(q))])
    return scales, slope - own * other / np.exp(log_v), own, other


def _log_density(at: Floats, products: Floats, n: int) -> Floats:
    """Of the coordinates (W, 9): the likelihood by sums of products, the priors, and the volume √V·√U·cosh R of the change."""
    (log_v, r, slope, log_u), (bx, ax, by, ay) = at.T[:4], at.T[5:]
    scales, w, own, other = _raw(at)
    zeros, ones = np.zeros_like(bx), np.ones_like(bx)
    first, second = np.stack([-bx, -ax, ones, zeros], 1), np.stack([-by + slope * bx, -ay + slope * ax, -slope, ones], 1)
    misses = [np.einsum("wi,ij,wj->w", each, products, each) for each in (first, second)]  # of x, and of y given x
    likelihood = -n / 2 * (log_v + log_u) - misses[0] / np.exp(log_v) / 2 - misses[1] / np.exp(log_u) / 2
    coefficients = np.stack([bx, ax, own, by - w * bx, ay - w * ax, w, other])
    prior = -(coefficients**2).sum(0) / 200 - (2 * scales + 0.1 * np.exp(-2 * scales)).sum(0)
    return likelihood + prior + log_v / 2 + log_u / 2 + np.log(np.cosh(r))
