"""The quantile of a count by adding up its probabilities from 0, many times faster than by its distribution function."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["counted"]

DOUBT = 1e-9  # nearer than this to a step it is not known on which side rounding put it; the sums are right to 1e-11
SMALLEST = 1e-290  # probability of 0 from which the others can be computed: below it digits are lost
SHARE = 1_000  # one person in so many, for whom it is not worth going on


def counted(u: Tensor, first: Tensor, growth: Tensor, *, factor: Callable[[int], float], longest: int) -> Tensor:
    """min{k : F(k) ≥ sigmoid(u)} where P(k) = P(k − 1)·growth·factor(k), NaN where it was not reached, or rounding could decide.

    Each person's count is the number of k with F(k) below sigmoid(u); it is clear where DOUBT on either side makes no difference.

    Args:
        u: log-odds, shape (m,).
        first: P(0), shape (m,); 0 gives a person up.
        growth: shape (m,).
        factor: of k, for everybody.
        longest: about the largest count that is looked for.
    """
    count = torch.full_like(u, torch.nan)
    people, k = (first >= SMALLEST).nonzero().squeeze(-1), 0
    p, mass, growth = (each.index_select(0, people) for each in (torch.sigmoid(u), first, growth))
    total, least, most, low, high = mass.clone(), p - DOUBT, p + DOUBT, torch.zeros_like(p), torch.zeros_like(p)
    while len(people) > len(u) // SHARE and k < longest:
        below = torch.empty_like(p)
        for _ in range(max(4, k // 4)):  # then those who are done leave
            k += 1
            low += torch.lt(total, least, out=below)
            high += torch.lt(total, most, out=below)
            total += mass.mul_(growth).mul_(factor(k))
        done, on = (total >= most).nonzero().squeeze(-1), (total < most).nonzero().squeeze(-1)
        count[people[done]] = torch.where(low[done] == high[done], low[done], torch.nan)
        people, p, mass, growth, total, least, most, low, high = (
            each.index_select(0, on) for each in (people, p, mass, growth, total, least, most, low, high)
        )
    return count
