"""Rates that are linear in decisions, made equal by a lottery among thresholds: a linear program over the hulls of ROC curves."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from torch import Tensor

from cfair.constraints import Constraint
from cfair.errors import FitError
from cfair.mitigations.ladders import Ladder

__all__ = ["best_mixture", "hull"]

Floats: TypeAlias = NDArray[np.float64]

TOLERANCE = 1e-10  # of HiGHS, the smallest that it takes
NEGLIGIBLE = 1e-11  # a share that is rounding


def hull(ladder: Ladder) -> Tensor:
    """Places of the thresholds at the corners of the upper hull of (false positives, true positives), nobody and everybody among them."""
    false, true = ladder.counts[:, 0, 0, 1].tolist(), ladder.counts[:, 0, 1, 1].tolist()
    corners: list[int] = []
    for i in reversed(range(len(false))):  # from nobody to everybody
        while len(corners) > 1:
            a, b = corners[-2:]
            turn = (false[b] - false[a]) * (true[i] - true[a]) - (true[b] - true[a]) * (false[i] - false[a])
            if turn < 0:
                break
            corners.pop()
        corners.append(i)
    return torch.tensor(corners[::-1])


def best_mixture(found: Sequence[Ladder], constraints: Sequence[Constraint], tolerance: float) -> list[tuple[Tensor, Tensor]]:
    """Of each group the places of up to three thresholds, ascending, and their shares: of all mixtures under which every rate is equal
    across groups but for the tolerance, in expectation, the most accurate.

    Largest is Σ_gv λ_gv·correct_gv under Σ_v λ_gv = 1 and m_s ≤ Σ_v λ_gv·rate_sgv ≤ m_s + τ, over the corners v of each group's hull; a
    corner of these constraints gives a group three shares at most, as its rates and its accuracy are a point in the plane.

    Raises:
        FitError: the linear program was not solved.

    Source: Hardt, Price & Srebro (2016), Equality of opportunity in supervised learning, section 3.2.
    """
    corners = [hull(ladder) for ladder in found]
    pairs = list(zip(found, corners, strict=True))
    rates = [torch.cat([constraint.rates(ladder.counts[at])[..., 0] for constraint in constraints], -1) for ladder, at in pairs]
    correct = torch.cat([ladder.correct[at] for ladder, at in pairs])
    strata = rates[0].shape[1]
    of_group = torch.block_diag(*(torch.ones(1, len(at), dtype=torch.float64) for at in corners))
    of_rate = torch.block_diag(*(each.T for each in rates))  # (groups · strata, corners)
    lowest = torch.eye(strata, dtype=torch.float64).repeat(len(found), 1)
    within = torch.cat([torch.cat([of_rate, -lowest], 1), torch.cat([-of_rate, lowest], 1)]).numpy()
    bounds = np.repeat([tolerance, 0.0], len(of_rate))
    total = torch.cat([of_group, of_group.new_zeros(len(found), strata)], 1).numpy()
    gain = torch.cat([correct / correct.max(), correct.new_zeros(strata)]).numpy()
    shares = torch.from_numpy(_solved(-gain, within, bounds, total))[: len(correct)]
    return [_kept(at, own) for at, own in zip(corners, shares.split([len(at) for at in corners]), strict=True)]


def _solved(cost: Floats, within: Floats, bounds: Floats, total: Floats) -> Floats:
    done = linprog(
        cost,
        A_ub=within,
        b_ub=bounds,
        A_eq=total,
        b_eq=np.ones(len(total)),
        options={"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE},
    )
    if not done.success:
        raise FitError("threshold", f"the linear program was not solved: {done.message}", "look for scores of extreme size")
    return np.asarray(done.x, dtype=np.float64)


def _kept(corners: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    some = shares > NEGLIGIBLE
    return corners[some], shares[some] / shares[some].sum()
