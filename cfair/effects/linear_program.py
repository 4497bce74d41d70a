"""Joint distributions of a node's levels under several parent configurations that make a linear payoff as large as it can be."""

from collections.abc import Sequence
from itertools import permutations, product
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, kron, vstack
from torch import Tensor

from cfair.errors import FitError

__all__ = ["Edge", "best_plans", "best_responses", "filled", "vertices"]

Floats: TypeAlias = NDArray[np.float64]
Edge: TypeAlias = tuple[int, int]  # two parent configurations, by position

AT_ONCE = 256  # pairs in one program
SMALLEST = torch.finfo(torch.float64).tiny  # what is divided by is not 0
TOLERANCE = 1e-10  # of HiGHS, the smallest that it takes


def filled(gain: Tensor, capacity: Tensor) -> Tensor:
    """The distribution x that makes Σ_j gain_j·x_j largest where 0 ≤ x_j ≤ capacity_j: the best entries filled first.

    With capacity_j = q_j/p, q the probabilities of a node's levels under another configuration and p that of the level that a person has,
    x is the conditional distribution P(v' = j | v). For the gain 1[j = l] it is Fréchet's: P(v' = l | v) ≤ min(p, q_l)/p, and for the gain
    −1[j = l], P(v' = l | v) ≥ max(0, p + q_l − 1)/p.

    Args:
        gain: shape (..., levels).
        capacity: of the same shape, summing to 1 or more.

    Source: Fréchet (1951), the bounds on joint distributions with given margins; Dantzig (1957) for the order of filling.
    """
    order = gain.argsort(dim=-1, descending=True, stable=True)
    room = capacity.clamp(max=1.0).gather(-1, order)
    upto = room.cumsum(-1).clamp(max=1.0)
    share = torch.cat([upto[..., :1], upto.diff(dim=-1)], -1)
    return torch.zeros_like(gain).scatter(-1, order, share / share.sum(-1, keepdim=True))


def best_plans(gain: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """For each pair of margins the joint distribution π that makes Σ_uv gain_uv·π_uv largest: optimal transport.

    In closed form for two levels, and where only one level of the first or of the second has a gain; else by linear programming.

    Args:
        gain: shape (pairs, levels, levels).
        first: margins Σ_v π_uv, shape (pairs, levels).
        second: margins Σ_u π_uv, shape (pairs, levels).

    Returns:
        π, shape (pairs, levels, levels).
    """
    if gain.shape[-1] == 2:
        return _two_levels(gain, first, second)
    plans = torch.empty_like(gain)
    rows, columns = gain.any(2), gain.any(1)
    by_row = rows.sum(1) <= 1
    by_column = ~by_row & (columns.sum(1) == 1)
    others = (~by_row & ~by_column).nonzero().squeeze(-1)
    plans[by_row] = _one_row(gain[by_row], first[by_row], second[by_row], rows[by_row].long().argmax(1))
    turned = gain[by_column].transpose(1, 2)
    plans[by_column] = _one_row(turned, second[by_column], first[by_column], columns[by_column].long().argmax(1)).transpose(1, 2)
    for start in range(0, len(others), AT_ONCE):
        some = others[start : start + AT_ONCE]
        plans[some] = _transport(gain[some], first[some], second[some])
    return plans


def _two_levels(gain: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """π is known by π_00, whose gain is that of agreeing less that of differing; it lies between Fréchet's bounds."""
    agrees = gain[:, 0, 0] + gain[:, 1, 1] > gain[:, 0, 1] + gain[:, 1, 0]
    p, q = first[:, 0], second[:, 0]
    both = torch.where(agrees, torch.minimum(p, q), (p + q - 1).clamp(min=0.0))
    rows = torch.stack([both, p - both, q - both, 1 - p - q + both], -1)
    return rows.clamp(min=0.0).reshape(-1, 2, 2)


def _transport(gain: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """All pairs in one program, which falls apart into theirs; each pair's gain in a unit of its own."""
    pairs, levels, _ = gain.shape
    ones = np.ones((1, levels))
    sums = vstack([kron(np.eye(levels), ones), kron(ones, np.eye(levels))]).tocsr()[:-1]  # the last follows from the others
    totals = torch.cat([first, second[:, :-1]], 1)
    scaled = gain / gain.abs().amax((1, 2), keepdim=True).clamp(min=SMALLEST)
    return _maximised(scaled.flatten(), csr_array(kron(eye_array(pairs), sums)), totals.flatten()).reshape(pairs, levels, levels)


def _one_row(gain: Tensor, first: Tensor, second: Tensor, row: Tensor) -> Tensor:
    """The row of the only level with a gain by filling; the others share what is left in proportion to their probability.

    Args:
        gain: shape (pairs, levels, levels).
        first: margins, shape (pairs, levels).
        second: margins, shape (pairs, levels).
        row: the level, shape (pairs,).
    """
    here = torch.nn.functional.one_hot(row, first.shape[1]).bool()
    mass = first[here].unsqueeze(-1)
    own = torch.where(mass > 0, mass * filled(gain[here], second / mass.clamp(min=SMALLEST)), 0.0)
    others = first.masked_fill(here, 0.0)
    share = others / others.sum(1, keepdim=True).clamp(min=SMALLEST)
    return torch.where(here.unsqueeze(-1), own.unsqueeze(1), share.unsqueeze(-1) * (second - own).clamp(min=0.0).unsqueeze(1))


def best_responses(gains: Sequence[Tensor], edges: Sequence[Edge], margins: Tensor) -> list[Tensor]:
    """As ``best_plans`` for pairs that hang together: the margins, over pairs, of one distribution of response functions.

    A response function gives a node's level under each configuration; the program's variables are the probabilities of all of them
    that the margins do not rule out.

    Args:
        gains: per pair, shape (levels, levels).
        edges: the pairs, as positions among the configurations.
        margins: of each configuration, shape (configurations, levels).

    Returns:
        Per pair the joint distribution of its two levels, shape (levels, levels).

    Source: Balke & Pearl (1994), Counterfactual probabilities: computational methods, bounds and applications.
    """
    levels = margins.shape[1]
    possible = [margin.nonzero().squeeze(-1).tolist() for margin in margins]
    functions = torch.tensor(list(product(*possible)))  # (functions, configurations)
    gain = torch.zeros(len(functions), dtype=torch.float64)
    for own, (a, b) in zip(gains, edges, strict=True):
        gain = gain + own[functions[:, a], functions[:, b]]
    rows = [(configuration, level) for configuration, known in enumerate(possible) for level in (known if not configuration else known[1:])]
    sums = np.array([(functions[:, configuration] == level).numpy() for configuration, level in rows], dtype=float)
    share = _maximised(gain, csr_array(sums), torch.stack([margins[row] for row in rows]))
    plans = []
    for a, b in edges:
        cells = functions[:, a] * levels + functions[:, b]
        plans.append(torch.zeros(levels * levels, dtype=torch.float64).index_add(0, cells, share).reshape(levels, levels))
    return plans


def _maximised(gain: Tensor, sums: csr_array, totals: Tensor) -> Tensor:
    """The x ≥ 0 with sums·x = totals that makes gain·x largest.

    Raises:
        FitError: HiGHS found none, which rounding alone can do.
    """
    scale = float(gain.abs().max()) or 1.0
    found = linprog(
        -(gain / scale).numpy(),
        A_eq=cast("Floats", sums),  # it may be sparse, which its stubs do not say
        b_eq=totals.numpy(),
        options={"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE},
    )
    if found.x is None:
        raise FitError(
            "bounds over couplings", f"the linear program was not solved: {found.message}", "ask of fewer people or nodes at once"
        )
    return torch.from_numpy(found.x).clamp(min=0.0)


def vertices(first: Tensor, second: Tensor, rows: Sequence[int]) -> list[Tensor] | None:
    """The joint distributions of two margins between which the ``rows`` of all others lie; None where they are not listed.

    Of one row they are what filling in any order gives. Of several rows of at most three levels they are what the north-west corner
    rule gives for any order of rows and columns: each tree on three and three levels is a caterpillar, which is what the rule walks along.
    """
    levels = len(first)
    if levels > (5 if len(rows) == 1 else 3):
        return None
    orders = list(permutations(range(levels)))
    if len(rows) == 1:
        ranks = torch.tensor(orders, dtype=torch.float64)
        each = (len(orders), levels)
        gains = ranks.unsqueeze(1).expand(*each, levels)
        found = list(_one_row(gains, first.expand(each), second.expand(each), torch.full((len(orders),), rows[0])))
    else:
        found = [_corner(first, second, above, beside) for above, beside in product(orders, orders)]
    kept: list[Tensor] = []
    for plan in found:
        if not any(torch.allclose(plan[list(rows)], other[list(rows)], rtol=0, atol=1e-12) for other in kept):
            kept.append(plan)
    return kept


def _corner(first: Tensor, second: Tensor, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
    """The north-west corner rule: as much as fits, cell by cell, in these orders of rows and columns."""
    plan = torch.zeros(len(first), len(second), dtype=torch.float64)
    left, room = first.clone(), second.clone()
    for row, column in product(rows, columns):
        moved = torch.minimum(left[row], room[column])
        plan[row, column] = moved
        left[row] -= moved
        room[column] -= moved
    return plan
