"""How far every two groups lie apart, with intervals that cover all pairs, in all strata, at once."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cfair.constraints.base import Cells, Constraint
from cfair.constraints.definition import OURS, Definition, pairs_of
from cfair.constraints.simultaneous import largest_of, max_t
from cfair.constraints.tallies import Tally
from cfair.constraints.wilson import wilson_at

__all__ = ["Pairs", "Range", "Sample", "apart", "pairwise", "sample"]

HALF = 0.5  # a success and a failure of half a person each are added where a rate of 0 or 1 would leave no spread at all


class Range(NamedTuple):
    """Values with both ends of their intervals, all of one shape; NaN marks what is undefined."""

    value: Tensor
    low: Tensor
    high: Tensor


class Sample(NamedTuple):
    """A share as people of equal weight would tell it: successes, trials, and the variance of the share; all of one shape."""

    successes: Tensor
    trials: Tensor
    variance: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every two groups of each stratum.

    Args:
        earlier: position of each pair's earlier group, shape (pairs,).
        later: of its later group.
        difference: r_later − r_earlier, shape (strata, pairs).
        ratio: r_later / r_earlier, shape (strata, pairs).
        inverse: r_earlier / r_later, shape (strata, pairs).
    """

    earlier: Tensor
    later: Tensor
    difference: Range
    ratio: Range
    inverse: Range


def sample(cells: Cells, tally: Tally) -> Sample:
    """Successes and trials of as many people of equal weight as tell as much about the share, with its variance.

    With S, T the weights of successes and of trials, Q_S, Q_T their squares, and a success and a failure of half a person of weight
    u = Q_T/T added: v = ((1 − r)²·(Q_S + u²/2) + r²·(Q_T − Q_S + u²/2)) / (T + u)², the variance of a ratio of sums each of which has
    variance Σ w², and n = r·(1 − r)/v − 1. Of equal weights n is their number and v = r(1 − r)/(n + 1).

    Source: Binder (1983), On the variances of asymptotically normal estimators from complex surveys; Agresti & Caffo (2000), Simple and
    effective confidence intervals for proportions and differences of proportions, for adding people.
    """
    (successes, trials), (squared, squares) = tally(cells.weight), tally(cells.square)
    some = trials > 0
    unit = squares / trials.where(some, 1)
    total = (trials + unit).where(some, 1)
    r = (successes + HALF * unit) / total
    variance = ((1 - r).square() * (squared + HALF * unit.square()) + r.square() * (squares - squared + HALF * unit.square())) / total**2
    people = (r * (1 - r) / variance.where(some, 1) - 1).clamp(min=0).where(some, 0)
    return Sample(successes / trials.where(some, 1) * people, people, variance.where(some, torch.nan))


def pairwise(constraint: Constraint, cells: Cells, *, level: float = 0.95, seed: int = 0, definition: Definition = OURS) -> Pairs:
    """The difference and the ratio of every two groups in every stratum.

    A difference of shares has Newcombe's hybrid of two score intervals, which stays within [−1, 1] and keeps its coverage at shares of 0
    and 1 and in small groups, with the critical value of all pairs and strata together (``max_t``). Odds have the logit interval with half
    a person added to each cell: log(s/f) ± c·√(1/s + 1/f). Ratios of shares have the range that is left while every share stays in its
    score interval, all of these at once.

    Args:
        constraint: of decisions.
        cells: of shape (groups, 2, 2).
        level: what all intervals of differences together should cover, and all of ratios.
        seed: of the draws for the critical value.
        definition: which way round odds are.

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions, method 10; Agresti (1999), On logit
    confidence intervals for the odds ratio with small samples; Zou & Donner (2008), Construction of confidence limits about effect
    measures, for differences of odds.
    """
    own = sample(cells, constraint.tally)
    make = _shares if constraint.scale == "share" else _odds
    return make(constraint, cells, own, level=level, seed=seed, definition=definition)


def _shares(constraint: Constraint, cells: Cells, own: Sample, *, level: float, seed: int, definition: Definition) -> Pairs:
    rate = constraint.rates(cells.weight, definition)
    known = own.trials > 0
    critical = max_t([v[k] for v, k in zip(own.variance, known, strict=True)], level, seed=seed)
    low, high = wilson_at(own.successes, own.trials, critical)
    difference = apart(Range(rate, low, high))
    low, high = wilson_at(own.successes, own.trials, largest_of(int(known.sum()), level))
    g, h = pairs_of(rate.shape[-1])
    ratio, inverse = (Range(rate[:, a] / rate[:, b], low[:, a] / high[:, b], high[:, a] / low[:, b]) for a, b in ((h, g), (g, h)))
    return Pairs(g, h, difference, ratio, inverse)


def _odds(constraint: Constraint, cells: Cells, own: Sample, *, level: float, seed: int, definition: Definition) -> Pairs:
    rate = constraint.rates(cells.weight, definition)
    known = own.trials > 0
    sign = 1 if definition.errors == "FN/FP" else -1
    success, failure = own.successes + HALF, own.trials - own.successes + HALF
    log, variance = sign * (success / failure).log(), 1 / success + 1 / failure
    critical = max_t([v[k] for v, k in zip(variance, known, strict=True)], level, seed=seed)
    margin = critical * variance.sqrt()
    difference = apart(_holding(rate, (log - margin).exp(), (log + margin).exp()))
    g, h = pairs_of(rate.shape[-1])
    margin = critical * (variance[:, h] + variance[:, g]).sqrt()
    ratio, inverse = (
        _holding(rate[:, a] / rate[:, b], (log[:, a] - log[:, b] - margin).exp(), (log[:, a] - log[:, b] + margin).exp())
        for a, b in ((h, g), (g, h))
    )
    return Pairs(g, h, difference, ratio, inverse)


def apart(rates: Range) -> Range:
    """Differences of independent estimates, each of shape (..., groups), whose own intervals need not lie evenly around them.

    d ± √((r_h − low_h)² + (high_g − r_g)²), and the other way round above.
    """
    g, h = pairs_of(rates.value.shape[-1])
    below, above = rates.value - rates.low, rates.high - rates.value
    between = rates.value[..., h] - rates.value[..., g]
    return Range(between, between - torch.hypot(below[..., h], above[..., g]), between + torch.hypot(above[..., h], below[..., g]))


def _holding(value: Tensor, low: Tensor, high: Tensor) -> Range:
    """An interval around an estimate with people added, widened where it would not hold the estimate without them."""
    return Range(value, torch.minimum(low, value), torch.maximum(high, value))
