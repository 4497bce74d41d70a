"""How far scores are from the share of people who have the second level of the outcome, group by group."""

import math
from statistics import NormalDist
from typing import NamedTuple

import torch
from torch import Tensor

from cfair.constraints.pairwise import Range
from cfair.constraints.scores import Scored
from cfair.constraints.wilson import wilson

__all__ = ["Curve", "calibrated", "calibration_curve", "calibration_error", "expected_error", "raw_error"]

REPLICATES = 1_000
NORMAL = 25.0  # variance of the number of people with outcome 1, from which a bin's is as good as normal
ROUNDING = 1e-9  # of a statistic: replicates that are as far count as such
HALF_NORMAL_MEAN = math.sqrt(2 / math.pi)  # of |Normal(0, 1)|
HALF_NORMAL_VARIANCE = 1 - 2 / math.pi
HALF_NORMAL_SKEWNESS = math.sqrt(2) * (4 - math.pi) / (math.pi - 2) ** 1.5


class Curve(NamedTuple):
    """A group's calibration curve; each of shape (groups, bins), NaN where a bin is empty.

    Args:
        score: mean score of the bin.
        observed: share of its people with outcome 1.
        low: lower end of the 95 % Wilson interval of that share.
        high: upper end.
        people: how many they are.
    """

    score: Tensor
    observed: Tensor
    low: Tensor
    high: Tensor
    people: Tensor


def raw_error(scored: Scored) -> Tensor:
    """The expected calibration error as it is usually given, shape (groups,): Σ_b |Σ_b w·(y − s)| / Σ w.

    Never 0 by chance alone: ``expected_error`` is what a perfect score has. NaN marks a group without people.

    Source: Naeini, Cooper & Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian binning, equation (8).
    """
    apart, _, total = _bins(scored)
    return apart.abs().sum(-1) / total


def expected_error(scored: Scored) -> Tensor:
    """The raw error that a perfect score has on average, shape (groups,): √(2/π) · Σ_b √(Σ_b w²·s·(1 − s)) / Σ w.

    The mean of |Normal(0, σ_b²)|, with σ_b² the variance of the bin's Σ w·(y − s) for y ~ B(s).

    Source: Bröcker & Smith (2007), Increasing the reliability of reliability diagrams, for the scatter of a perfect score.
    """
    _, noise, total = _bins(scored)
    return HALF_NORMAL_MEAN * noise.sqrt().sum(-1) / total


def calibration_error(scored: Scored, *, level: float = 0.95) -> Range:
    """The debiased calibration error of each group, shape (groups,), with its interval.

    With d_b = Σ_b w·(y − s) and σ_b² = Σ_b w²·s·(1 − s): Σ_b (|d_b| − (2/√π)·σ_b·exp(−d_b²/2σ_b²)) / Σ w. What is subtracted is on average
    the ``expected_error`` where the score is perfect, so that the error then has mean 0 (and is sometimes below it), and nothing in a bin
    that is clearly off. Errors of about σ_b come out too small: no estimate of |E d_b| is without bias. The mean of 0 is that of the normal
    limit: in groups of 30, whose bins hold three people, 0.011 is left.

    The interval holds for any error. The raw error is at least Σ_b sign(E d_b)·d_b, which has mean Σ_b |E d_b| and variance Σ_b v_b, so
    that the true error is below raw + z·√(Σ_b v_b); and it is at most Σ_b |d_b − E d_b| above the true one, whose quantile is by Cornish
    and Fisher. It covers 0 wherever a perfect score would be as far off; v_b is the larger of σ_b² and the variance by the bin's outcomes.

    Args:
        scored: of shape (groups, bins, parts).
        level: what each interval should cover.
    """
    apart, noise, total = _bins(scored)
    gone = (2 / math.sqrt(math.pi)) * noise.sqrt() * (-apart.square() / (2 * noise.where(noise > 0, 1))).exp()
    raw, value = apart.abs().sum(-1) / total, (apart.abs() - gone).sum(-1) / total
    z, spread = NormalDist().inv_cdf((1 + level) / 2), torch.maximum(noise, _variance(scored.binned)).sqrt()
    low = raw - _quantile(spread, z) / total
    high = raw + z * spread.square().sum(-1).sqrt() / total
    return Range(value, torch.minimum(low, value), high.clamp(max=1))


def calibrated(scored: Scored, *, replicates: int = REPLICATES, seed: int = 0) -> tuple[float | None, Tensor]:
    """p-values of the hypothesis that scores are calibrated: in all groups at once, and in each, shape (groups,); None and NaN: nobody.

    (1 + b)/(1 + B), with b of B tables of outcomes y* ~ B(s) whose raw error, less its expectation and in units of its standard
    deviation, is as large: of all groups, the largest. A bin's sum of outcomes is normal where its variance is large; else outcomes of
    people in one part of a bin are drawn with their mean score, and with weights, of as many people as tell as much.

    Args:
        scored: of shape (groups, bins, parts).
        replicates: B.
        seed: of the draws.

    Source: Bröcker & Smith (2007), Increasing the reliability of reliability diagrams, section 3: resampling outcomes from the forecasts.
    """
    _, noise, total = _bins(scored)
    some = total > 0
    if not some.any():
        return None, torch.full_like(total, torch.nan)
    drawn = _redrawn(scored, replicates, torch.Generator().manual_seed(seed))
    mean, scale = expected_error(scored), (HALF_NORMAL_VARIANCE * noise.sum(-1)).sqrt() / total
    scale = scale.where(scale > 0, 1)  # scores of 0 and 1 only: no outcome but theirs is possible
    observed, exchanged = (raw_error(scored) - mean) / scale, (drawn / total - mean) / scale
    each = (1 + (exchanged >= observed - ROUNDING).double().sum(0)) / (1 + replicates)
    most = (exchanged[:, some].amax(-1) >= observed[some].amax() - ROUNDING).sum()
    return (1 + int(most)) / (1 + replicates), each.where(some, torch.nan)


def calibration_curve(scored: Scored) -> Curve:
    """The mean score and the share of outcome 1 in each bin, with Wilson intervals that go by the effective number of people."""
    bins = scored.binned
    some = bins.weight > 0
    weight, people = bins.weight.where(some, 1), bins.weight.square() / bins.square.where(some, 1)
    low, high = wilson(bins.outcome / weight * people, people)
    score, observed, low, high = (each.where(some, torch.nan) for each in (bins.score / weight, bins.outcome / weight, low, high))
    return Curve(score, observed, low, high, bins.people)


def _bins(scored: Scored) -> tuple[Tensor, Tensor, Tensor]:
    """Σ w·(y − s) and its variance under a perfect score, both (groups, bins), and the groups' Σ w, (groups,)."""
    bins = scored.binned
    return bins.outcome - bins.score, bins.noise, bins.weight.sum(-1)


def _variance(bins: Scored) -> Tensor:
    """The variance of Σ w·y in each bin by its own outcomes, half a person with each outcome added, shape (groups, bins)."""
    unit = bins.square / bins.weight.where(bins.weight > 0, 1)
    rate = (bins.outcome + unit / 2) / (bins.weight + unit).where(bins.weight > 0, 1)
    return rate * (1 - rate) * bins.square


def _quantile(spread: Tensor, z: float) -> Tensor:
    """The quantile of Σ_b |Normal(0, σ_b²)|, shape (groups,), of σ of shape (groups, bins), that a normal variable has at z.

    Source: Cornish & Fisher (1938), Moments and cumulants in the specification of distributions, to the third cumulant.
    """
    sd: Tensor = (HALF_NORMAL_VARIANCE * spread.square().sum(-1)).sqrt()
    third = HALF_NORMAL_SKEWNESS * HALF_NORMAL_VARIANCE**1.5 * spread.pow(3).sum(-1)
    skewness: Tensor = third / sd.where(sd > 0, 1).pow(3)
    half: Tensor = HALF_NORMAL_MEAN * spread.sum(-1)
    return half + sd * (z + (z**2 - 1) / 6 * skewness)


def _redrawn(scored: Scored, replicates: int, generator: torch.Generator) -> Tensor:
    """Σ_b |Σ_b w·(y* − s)| of outcomes drawn from the scores, shape (replicates, groups): normal in bins where that is what they are."""
    bins = scored.binned
    unit = bins.square / bins.weight.where(bins.weight > 0, 1)
    normal = bins.noise >= NORMAL * unit.square()
    drawn = torch.randn(replicates, *bins.noise.shape, generator=generator, dtype=torch.float64) * bins.noise.sqrt()
    some = (scored.people > 0) & ~normal.unsqueeze(-1)
    weight = scored.weight[some]
    people = (weight.square() / scored.square[some]).round().clamp(min=1).expand(replicates, -1).contiguous()
    score = (scored.score[some] / weight).clamp(0, 1).expand(replicates, -1).contiguous()
    apart = drawn.new_zeros(replicates, *scored.people.shape)
    apart[:, some] = torch.binomial(people, score, generator=generator) / people * weight - scored.score[some]
    return torch.where(normal, drawn, apart.sum(-1)).abs().sum(-1)
