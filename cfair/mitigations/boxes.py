"""Several rates to be equal at once: thresholds of all groups whose rates lie in one box, near the most accurate such."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.ladders import Ladder, rungs

__all__ = ["start_in_a_box"]

BOXES = 20_000  # that are tried, on a grid of quantiles of all groups' rates
RUNGS = 200  # of a ladder that are tried
AT_ONCE = 2_000  # boxes, so that memory stays small
NARROWEST = 0.01  # width of a box, which a grid would miss if it were smaller
ROUNDING = 1e-12  # of a rate


def start_in_a_box(found: Sequence[Ladder], constraints: Sequence[Constraint], tolerance: float) -> Tensor:
    """The place of each group's threshold, (groups,), from which to search on.

    All rates are within τ of one another if some box Π_s [r_s, r_s + τ] holds those of every group, and within a box each group takes its
    most accurate threshold. Boxes and rungs are those of a grid, so that the best may be missed; where no box of the grid holds
    thresholds of all groups it is made twice as wide.
    """
    tried = [rungs(ladder, RUNGS) for ladder in found]
    rates = [_rates(ladder.counts[at], constraints) for ladder, at in zip(found, tried, strict=True)]
    correct = [ladder.correct[at] for ladder, at in zip(found, tried, strict=True)]
    boxes, width = _boxes(torch.cat(rates)), max(tolerance, NARROWEST)
    while True:
        chosen = [_within(boxes, width, rate, own) for rate, own in zip(rates, correct, strict=True)]
        total = torch.stack([most for _, most in chosen]).sum(0)
        best = total.argmax()
        if total[best] > -torch.inf:
            return torch.stack([at[place[best]] for at, (place, _) in zip(tried, chosen, strict=True)])
        width *= 2


def _rates(counts: Tensor, constraints: Sequence[Constraint]) -> Tensor:
    """Of counts (rungs, 1, 2, 2), shape (rungs, strata)."""
    return torch.cat([constraint.rates(counts)[..., 0] for constraint in constraints], -1)


def _boxes(rates: Tensor) -> Tensor:
    """The lower corners of the boxes, (boxes, strata), of all rates (rungs, strata)."""
    known = rates[rates.isfinite().all(1)]
    strata = rates.shape[1]
    levels = torch.linspace(0, 1, int(BOXES ** (1 / strata)), dtype=torch.float64)
    lows = [torch.quantile(known[:, s], levels, interpolation="lower").unique() for s in range(strata)]
    return torch.cartesian_prod(*lows).reshape(-1, strata)


def _within(boxes: Tensor, width: float, rates: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
    """A group's most accurate rung in each box, and the weight it decides on rightly, both (boxes,); −∞ where there is none."""
    found = []
    for low in boxes.unsqueeze(1).split(AT_ONCE):
        inside = ((rates >= low - ROUNDING) & (rates <= low + width + ROUNDING)).all(-1)
        found.append(torch.where(inside, correct, -torch.inf).max(1))
    return torch.cat([each.indices for each in found]), torch.cat([each.values for each in found])
