"""Whether the observed parents of a node tell its levels apart without fail, whatever its latent parents are: by linear programming."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from cfair.interfaces import Values
from cfair.spec import ModelSpec

__all__ = ["separating_columns", "told_apart"]

SOME = 500  # rows that a programme begins with, and that are added to it at a time
CLEAR = 1e-6  # of a margin, where columns have sd 1 and no weight is above 1: well above the solver's tolerance of 1e-7


def separating_columns(spec: ModelSpec, node: str, values: Values) -> Tensor:
    """The columns of ``node``'s linear predictor that no latent enters, of mean 0 and sd 1, shape (n, k)."""
    groups = [*((parent,) for parent in spec.nodes[node].parents), *spec.nodes[node].interactions]
    seen = [column for group in groups if not set(group) & set(spec.latents) for column in _products(spec, group, values)]
    columns = torch.stack(seen, 1) if seen else torch.zeros(len(values[node]), 0, dtype=torch.float64)
    centered = columns - columns.mean(0)
    return centered / centered.square().mean(0).sqrt().clamp(min=torch.finfo(torch.float64).tiny)


def told_apart(columns: Tensor, level: Tensor) -> bool:
    """Whether one score parts all levels, in their order: w and c with c_{m-1} < wᵀx < c_m in every row of level m.

    The margin of the worst row is maximised over |w_j| ≤ 1, by a linear programme over some rows; those that its answer puts on the
    wrong side are added until none is. If some rows cannot be parted, all cannot.

    Args:
        columns: of mean 0 and sd 1, shape (n, k).
        level: 0, 1, ... of each row, each of them somebody's, shape (n,), int64.

    Source: Albert & Anderson (1984), On the existence of maximum likelihood estimates in logistic regression models, section 2.
    """
    cuts = int(level.max())
    kept = torch.zeros(len(level), dtype=torch.bool)
    kept[torch.randperm(len(level), generator=torch.Generator().manual_seed(0))[:SOME]] = True
    while True:
        weights, at, margin = _widest(columns[kept], level[kept], cuts)
        if margin <= CLEAR:
            return False
        short = _shortfall(columns @ weights, level, at)
        wrong = short.ge(0) & ~kept
        if not wrong.any():
            return bool((short < 0).all())
        kept[torch.where(wrong, short, -torch.inf).topk(min(SOME, int(wrong.sum()))).indices] = True


def _widest(columns: Tensor, level: Tensor, cuts: int) -> tuple[Tensor, Tensor, float]:
    """w, (k,), c, (cuts,), and the margin t of the worst row, the largest that there is."""
    k, sides = columns.shape[1], []
    for cut in range(cuts):
        for sign, mine in ((1.0, level == cut + 1), (-1.0, level == cut)):  # the levels next to a cut hold all others off it
            place = torch.zeros(int(mine.sum()), cuts, dtype=torch.float64)
            place[:, cut] = -1.0
            sides.append(-sign * torch.cat([columns[mine], place], 1))
    wrong = torch.cat(sides).numpy()
    goal = np.r_[np.zeros(k + cuts), -1.0]
    bounds = [(-1, 1)] * k + [(None, None)] * cuts + [(None, 1)]
    found = linprog(goal, np.c_[wrong, np.ones(len(wrong))], np.zeros(len(wrong)), bounds=bounds, method="highs")
    if found.x is None:
        return torch.zeros(k, dtype=torch.float64), torch.zeros(cuts, dtype=torch.float64), 0.0
    answer = torch.from_numpy(found.x)
    return answer[:k], answer[k:-1], float(answer[-1])


def _shortfall(score: Tensor, level: Tensor, at: Tensor) -> Tensor:
    """How far each score, (n,), is beyond the nearer end of its level's range, (n,); below 0 where it lies inside."""
    ends = torch.cat([torch.tensor([-torch.inf], dtype=torch.float64), at, torch.tensor([torch.inf], dtype=torch.float64)])
    return torch.maximum(ends[level] - score, score - ends[level + 1])


def _products(spec: ModelSpec, group: tuple[str, ...], values: Values) -> Iterator[Tensor]:
    """The columns of a product of parents: each level's indicator but the first's, or the number, of one times those of the others."""
    first, *others = group
    levels = len(spec.nodes[first].levels)
    own = [(values[first] == j).double() for j in range(1, levels)] if levels else [values[first]]
    rest = [*_products(spec, tuple(others), values)] if others else [torch.ones_like(values[first])]
    yield from (mine * other for mine in own for other in rest)
