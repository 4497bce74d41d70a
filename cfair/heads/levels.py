"""What heads of outcomes with several levels share: how large a share of people has each level."""

import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.heads.base import Batches, Standard

__all__ = ["shares_of"]


def shares_of(batches: Batches, standard: Standard, levels: int, where: str) -> Tensor:
    """The share of each level among the outcomes, weighted, shape (levels,); 0 of one that nobody has.

    Raises:
        FitError: an outcome is no position of a level, or everybody has the same; ``where`` says for whom.
    """
    weight = torch.zeros(levels, dtype=torch.float64)
    for _, y, v in standard.apply(batches):
        if not ((y >= 0) & (y < levels) & (y == y.floor())).all():
            problem = f"an outcome is no position of one of {levels} levels"
            raise FitError(where, problem, f"give whole numbers from 0 to {levels - 1}")
        weight += torch.bincount(y.long(), weights=v, minlength=levels)
    if (weight > 0).sum() < 2:
        problem = f"all {standard.n} outcomes to learn from are of level {int(weight.argmax())}"
        raise FitError(where, problem, "give rows with at least two levels of the outcome")
    return weight / weight.sum()
