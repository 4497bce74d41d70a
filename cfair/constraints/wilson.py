"""The score interval of a share."""

from statistics import NormalDist

from torch import Tensor

__all__ = ["wilson", "wilson_at"]


def wilson(successes: Tensor, trials: Tensor, level: float = 0.95) -> tuple[Tensor, Tensor]:
    """Low and high of the share that ``successes`` of ``trials`` estimate, each of their shape and within [0, 1]; neither need be whole.

    (s + z²/2 ± z·√(s·(n − s)/n + z²/4)) / (n + z²): keeps its coverage near 0 and 1 and in small groups; of no trials it says [0, 1].

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    return wilson_at(successes, trials, NormalDist().inv_cdf((1 + level) / 2))


def wilson_at(successes: Tensor, trials: Tensor, z: float) -> tuple[Tensor, Tensor]:
    """The same at the critical value ``z`` of a normal variable."""
    failures = (trials - successes) / trials.where(trials > 0, 1)  # as a share; of no trials none, not 0/0
    spread = (successes * failures + z**2 / 4).sqrt()
    centre, scale = successes + z**2 / 2, trials + z**2
    low, high = (centre - z * spread) / scale, (centre + z * spread) / scale
    return low.clamp(min=0).where(successes > 0, 0.0), high.clamp(max=1).where(successes < trials, 1.0)  # exactly, at s = 0 and s = n
