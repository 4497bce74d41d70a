"""A change shared out among the players that make it, whatever they are: paths, or mediators."""

from collections.abc import Callable
from itertools import combinations
from math import comb

import torch
from torch import Tensor

__all__ = ["EXACT", "PERMUTATIONS", "shares"]

EXACT = 8  # players up to whom every coalition is asked, 256 of them; beyond, orders are sampled
PERMUTATIONS = 64  # orders of many players, half of them the others reversed

Gain = Callable[[frozenset[int]], Tensor]


def shares(players: int, gain: Gain, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Tensor:
    """Each player's Shapley value, the mean over all orders of what the change grows by when the player joins, shape (players, ...).

    φ_j = Σ_{S ∌ j} |S|!·(p − |S| − 1)!/p! · (gain(S ∪ j) − gain(S)). The values add up to gain(all) − gain(nobody) however many orders
    are walked, since each order telescopes to it.

    Args:
        players: how many, p.
        gain: of a coalition, by position, shape (...), the same for all; computed from scratch for each, so it is asked once.
        permutations: orders walked where p is above ``EXACT``; an even number, each order followed by its reverse.
        seed: of the orders.

    Source: Shapley (1953), A value for n-person games; Castro, Gómez & Tejada (2009) for sampled orders; Mitchell, Cooper, Frank &
    Holmes (2022) for reversed ones.
    """
    nobody = gain(frozenset())
    found = torch.zeros(players, *nobody.shape, dtype=torch.float64)
    return _over_coalitions(found, nobody, gain) if players <= EXACT else _over_orders(found, nobody, gain, permutations, seed)


def _over_coalitions(found: Tensor, nobody: Tensor, gain: Gain) -> Tensor:
    """Exact values: each coalition's gain counts for its members, and against everybody else."""
    players = len(found)
    for size in range(1, players + 1):
        joined = 1 / (players * comb(players - 1, size - 1))  # (size − 1)!·(p − size)!/p!
        without = 1 / (players * comb(players - 1, size)) if size < players else 0.0
        for members in combinations(range(players), size):
            value = gain(frozenset(members)) - nobody
            for j in range(players):
                found[j] += (joined if j in members else -without) * value
    return found


def _over_orders(found: Tensor, nobody: Tensor, gain: Gain, permutations: int, seed: int) -> Tensor:
    """Means over sampled orders and their reverses."""
    source = torch.Generator().manual_seed(seed)
    halves = [torch.randperm(len(found), generator=source).tolist() for _ in range(max(permutations // 2, 1))]
    orders = [order for half in halves for order in (half, half[::-1])]
    for order in orders:
        before = nobody
        for place, j in enumerate(order):
            after = gain(frozenset(order[: place + 1]))
            found[j] += (after - before) / len(orders)
            before = after
    return found
