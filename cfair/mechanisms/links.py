"""Links from a linear predictor to a probability, each as the log-odds that it gives: these keep both tails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.mechanisms.tails import log1mexp, log_ndtr

__all__ = ["LINKS", "Link"]

SMALL = -30.0  # of η in the complementary log-log, below which exp(−exp(η)) = 1 − exp(η) to rounding
LARGE = 700.0  # of η there, above which exp(η) is not finite
ENDLESS = 1e100  # of η in the probit, whose square is finite


@dataclass(frozen=True, slots=True)
class Link:
    """P(event) = F(η), increasing in η, log F and log(1 − F) concave.

    Args:
        log_odds: η to log F(η) − log(1 − F(η)).
        predictor: a probability in (0, 1) to η.
    """

    log_odds: Callable[[Tensor], Tensor]
    predictor: Callable[[Tensor], Tensor]


def _same(eta: Tensor) -> Tensor:
    return eta


def _probit(eta: Tensor) -> Tensor:
    """The log-odds of Φ(η)."""
    held = eta.clamp(-ENDLESS, ENDLESS)
    return log_ndtr(held) - log_ndtr(-held)


def _cloglog(eta: Tensor) -> Tensor:
    """The log-odds of 1 − exp(−exp(η))."""
    rate = eta.clamp(SMALL, LARGE).exp()
    return torch.where(eta < SMALL, eta, log1mexp(-rate) + rate)


def _ndtri(p: Tensor) -> Tensor:
    quantile: Tensor = torch.special.ndtri(p)
    return quantile


def _twice_log(p: Tensor) -> Tensor:
    return (-torch.log1p(-p)).log()


LINKS: Mapping[str, Link] = {
    "logit": Link(_same, torch.logit),
    "probit": Link(_probit, _ndtri),
    "cloglog": Link(_cloglog, _twice_log),
}
