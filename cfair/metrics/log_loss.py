"""Mean negative log-likelihood of an outcome with levels."""

from torch import Tensor

from cfair.interfaces import Measured
from cfair.metrics.base import average

__all__ = ["log_loss", "log_loss_of_levels"]

CLOSEST = 1e-15  # to 0 or 1: one prediction that is certain and wrong would make the whole mean infinite


def log_loss(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """How surprising the outcomes are under the predicted probabilities, in nats; 0 when each was foretold with certainty.

    mean −[y·log ŷ + (1 − y)·log(1 − ŷ)], ŷ kept ``CLOSEST`` away from 0 and 1.

    Args:
        y: binary outcomes, 0 or 1, shape (n,).
        y_hat: probabilities of the second level, shape (n,).
        weights: of the people, shape (n,); all the same if None.
    """
    p = y_hat.clamp(CLOSEST, 1 - CLOSEST)
    return average(-(y * p.log() + (1 - y) * (-p).log1p()), weights)


def log_loss_of_levels(y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """How surprising the outcomes are under the predicted probabilities, in nats; 0 when each was foretold with certainty.

    mean −log ŷ_y, ŷ_y the probability of the level that came, kept ``CLOSEST`` above 0. Of two levels it is the binary one.

    Args:
        y: positions of levels, shape (n,).
        y_hat: probabilities of the levels, shape (n, levels).
        weights: of the people, shape (n,); all the same if None.
    """
    return average(-y_hat.gather(-1, y.long().unsqueeze(-1)).squeeze(-1).clamp(min=CLOSEST).log(), weights)
