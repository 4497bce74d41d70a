"""A count found by its distribution function: where a guess is wrong, a bracket doubled until it holds the answer, then halved."""

from collections.abc import Callable

import torch
from torch import Tensor

from cfair.mechanisms.tails import Step

__all__ = ["searched"]


def searched(guess: Tensor, u: Tensor, step: Callable[..., Step], *parameters: Tensor) -> Tensor:
    """min{k : log-odds F(k) ≥ u} from a guess at it, all of shape (m,).

    Args:
        guess: counts, right or not.
        u: log-odds.
        step: of the distribution function at counts, given ``parameters``.
        parameters: of each person's distribution.
    """
    count = guess.clone()
    below, upto = step(count, *parameters).ends()
    wrong = ~((below < u) & (u <= upto))
    if wrong.any():
        own = [parameter[wrong] for parameter in parameters]
        count[wrong] = _bisected(count[wrong], u[wrong], (upto < u)[wrong], lambda k: step(k, *own).ends()[1])
    return count


def _bisected(guess: Tensor, u: Tensor, too_low: Tensor, upto: Callable[[Tensor], Tensor]) -> Tensor:
    """min{k : log-odds F(k) ≥ u}, from a guess that is ``too_low``, or too high."""
    low, high = torch.where(too_low, guess, -1.0), torch.where(too_low, torch.inf, guess)
    step = torch.ones_like(guess)
    while (high - low > 1).any():
        middle = torch.where(high.isinf(), low + step, torch.where(low < 0, high - step, (low + high) / 2))
        middle = torch.minimum(torch.maximum(middle.floor(), low + 1), high)
        reached = upto(middle) >= u
        low, high = torch.where(reached, low, middle), torch.where(reached, middle, high)
        step = 2 * step
    return high
