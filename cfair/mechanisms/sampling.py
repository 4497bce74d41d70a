"""Whether draws follow a log density: for real ones by their distribution function, for counts and levels by their frequencies."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["follows"]

GRID = 20_001  # points over which a density is added up
WORST = 2.7  # of √n·D, Kolmogorov's statistic: exceeded by one sample in a million
ERRORS = 5.0  # standard errors that a frequency may be off


def follows(draws: Tensor, log_prob: Callable[[Tensor], Tensor], *, is_real: bool) -> str:
    """How ``draws``, independent and of shape (n,), do not follow the density; "" where they do.

    Args:
        draws: of one distribution.
        log_prob: of points (m,), its log density there.
        is_real: whether the values are real numbers; else counts or levels.
    """
    return _real(draws, log_prob) if is_real else _whole(draws, log_prob)


def _real(draws: Tensor, log_prob: Callable[[Tensor], Tensor]) -> str:
    """Between the 1 % and the 99 % quantile: a tail that hardly anyone is in needs no grid."""
    low, high = (float(draws.quantile(share)) for share in (0.01, 0.99))
    inside = draws[(draws >= low) & (draws <= high)].sort().values
    grid = torch.linspace(low, high, GRID, dtype=torch.float64)
    density = log_prob(grid).exp()
    cdf = torch.cat([density.new_zeros(1), torch.cumulative_trapezoid(density, grid)])
    mass = float(cdf[-1])
    if abs(mass - 0.98) > ERRORS * (0.98 * 0.02 / len(draws)) ** 0.5:
        return f"98 % of them lie between {low:.4g} and {high:.4g}, by the density {mass:.2%}"
    at = cdf[torch.searchsorted(grid, inside).clamp(max=GRID - 1)] / mass
    ranks = torch.arange(1, len(inside) + 1, dtype=torch.float64) / len(inside)
    apart = (at - ranks).abs()
    if float(apart.max()) * len(inside) ** 0.5 <= WORST:
        return ""
    worst = int(apart.argmax())
    return f"{float(ranks[worst]):.1%} of them are at most {float(inside[worst]):.4g}, by the density {float(at[worst]):.1%}"


def _whole(draws: Tensor, log_prob: Callable[[Tensor], Tensor]) -> str:
    for value in draws.unique():
        share, expected = float((draws == value).double().mean()), float(log_prob(value.reshape(1)).exp())
        error = (max(expected * (1 - expected), 1e-9) / len(draws)) ** 0.5
        if abs(share - expected) > ERRORS * error + ERRORS**2 / len(draws):
            return f"{share:.2%} of them are {float(value):g}, by the density {expected:.2%}"
    return ""
