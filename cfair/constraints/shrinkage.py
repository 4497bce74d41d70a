"""Rates of groups drawn towards one another: what small groups' rates most likely are, given the others."""

import torch
from scipy.special import betaincinv
from torch import Tensor

from cfair.constraints.pairwise import Range

__all__ = ["shrunken"]

LEAST = 1.0  # people that the prior is worth at least
GRID, STEPS, ROUNDS = 16, 6, 3  # prior strengths tried at once, steps of Newton's method at each, and times the grid closes in


def shrunken(successes: Tensor, trials: Tensor, level: float = 0.95) -> Range:
    """Posterior means of the groups' rates with posterior intervals, each of the shape of ``successes``, (..., groups).

    s_g ~ Binomial(n_g, p_g), p_g ~ Beta(μ·κ, (1 − μ)·κ): E p_g = (s_g + μ·κ)/(n_g + κ). Their mean μ and the prior's strength κ, in
    people, are those that make the table most likely, p integrated out (empirical Bayes); κ lies between 1 and all people there are,
    and μ half a person at least from 0 and 1. Where nobody is a success, or everybody, nothing tells groups apart, and κ is all people.
    A group without trials has the prior's mean. Intervals take μ and κ as known, and are too narrow where groups are few.

    They stand beside raw rates and never enter a difference: they pull groups together.

    Args:
        successes: s, need not be whole.
        trials: n, not all 0.
        level: what posterior intervals hold.

    Source: Efron & Morris (1975), Data analysis using Stein's estimator; Kleinman (1973), Proportions with extraneous variance: single and
    multiple observations, for the beta-binomial likelihood.
    """
    mean, strength = _prior(successes, trials)
    a, b = successes + mean * strength, trials - successes + (1 - mean) * strength
    ends = (torch.from_numpy(betaincinv(a.numpy(), b.numpy(), share)) for share in ((1 - level) / 2, (1 + level) / 2))
    return Range(a / (a + b), *ends)


def _prior(successes: Tensor, trials: Tensor) -> tuple[Tensor, Tensor]:
    """μ and κ of greatest marginal likelihood, both of shape (..., 1): a grid over log κ that closes in on its best point."""
    s, n = successes.unsqueeze(-2), trials.unsqueeze(-2)  # (..., 1, groups): a row per strength tried
    total = trials.sum(-1, keepdim=True)
    one_sided = (successes.sum(-1, keepdim=True) == 0) | (successes.sum(-1, keepdim=True) == total)
    high = total.clamp(min=LEAST).log()
    low = high.where(one_sided, torch.full_like(total, LEAST).log())
    step = torch.linspace(0, 1, GRID, dtype=trials.dtype)
    for _ in range(ROUNDS):
        log = low + (high - low) * step  # (..., GRID)
        mean, likelihood = _best_mean(s, n, log.exp().unsqueeze(-1))
        best = likelihood.argmax(-1, keepdim=True)
        low, high = log.gather(-1, (best - 1).clamp(min=0)), log.gather(-1, (best + 1).clamp(max=GRID - 1))
    return mean.squeeze(-1).gather(-1, best), log.gather(-1, best).exp()


def _best_mean(s: Tensor, n: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
    """μ of greatest likelihood at each strength κ (..., GRID, 1), of that shape, and the log-likelihood there, (..., GRID)."""
    digamma = torch.special.digamma
    people = n.sum(-1, keepdim=True)
    half = 0.5 / (people + 1)
    mean = ((s.sum(-1, keepdim=True) + 0.5) / (people + 1)).expand_as(strength)
    for _ in range(STEPS):
        a, b = mean * strength, (1 - mean) * strength
        slope = strength * (digamma(s + a) - digamma(a) - digamma(n - s + b) + digamma(b)).sum(-1, keepdim=True)
        bend = strength.square() * (_trigamma(s + a) - _trigamma(a) + _trigamma(n - s + b) - _trigamma(b)).sum(-1, keepdim=True)
        mean = torch.clamp(mean - slope / bend.clamp(max=-torch.finfo(bend.dtype).tiny), half.expand_as(mean), 1 - half.expand_as(mean))
    a, b = mean * strength, (1 - mean) * strength
    likelihood = (s + a).lgamma() + (n - s + b).lgamma() - (n + strength).lgamma() + strength.lgamma() - a.lgamma() - b.lgamma()
    return mean, likelihood.sum(-1)


def _trigamma(x: Tensor) -> Tensor:
    curvature: Tensor = torch.special.polygamma(1, x)
    return curvature
