"""Sampling weights: how many people like them each person stands for. Only their ratios count."""

import torch
from torch import Tensor

from cfair.errors import QueryError

__all__ = ["check_weights", "effective_size", "evened"]


def check_weights(weights: Tensor, people: int) -> None:
    """Refuse what cannot be the weights of so many people.

    Raises:
        QueryError: there are more or fewer of them, one is negative, infinite or not a number, or none is above 0.
    """
    if weights.shape != (people,):
        raise QueryError("weights", f"{len(weights)} weights for {people} people", "give one weight per person, in their order")
    if not ((weights >= 0) & weights.isfinite()).all():
        raise QueryError("weights", "one of them is negative, infinite or not a number", "give finite weights of 0 or more")
    if not weights.any():
        raise QueryError("weights", "nobody has a weight above 0", "give somebody one, or leave the weights out")


def evened(weights: Tensor) -> Tensor:
    """The weights in the unit in which the positive ones have mean 1, shape (n,).

    m·w / Σw, with m the number of people of weight above 0. The unit of survey weights is the population behind one interview, and
    would drown every prior; in this one people of equal weight count one each, whatever that weight is, and people of weight 0 change
    nothing. Beside a prior a person of weight 2 therefore weighs twice as much as one of weight 1, yet n people in all never weigh more
    than n: they are not more evidence than that.

    Args:
        weights: finite, not negative, one of them above 0, shape (n,).

    Source: Savitsky & Toth (2016), Bayesian estimation under informative sampling: weights of the pseudo-posterior sum to the sample size.
    """
    shares = weights / weights.max()  # first, so that no sum overflows
    return shares * ((weights > 0).sum() / shares.sum())


def effective_size(weights: Tensor) -> float:
    """How many people of equal weight would tell as much about a mean, (Σw)² / Σw²; their number where all weights are equal.

    Args:
        weights: shape (n,).

    Source: Kish (1965), Survey Sampling: the loss of precision from unequal weights.
    """
    shares = weights / weights.max() if len(weights) else weights
    return float(shares.sum().square() / shares.square().sum().clamp(min=torch.finfo(torch.float64).tiny))
