"""The largest mean payoff of each group of rows within which couplings are shared."""

import torch
from torch import Tensor

from cfair.effects.bounds_program import best
from cfair.effects.bounds_relaxed import Relaxed, attained, relaxed
from cfair.effects.bounds_rows import Pairs
from cfair.effects.bounds_states import States

__all__ = ["highest"]


def highest(states: States, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """The largest mean payoff of each group, (groups,), and whether a coupling attains it.

    Row by row first; where no single coupling has that for a group's rows together, by a program for the group.
    """
    bound = relaxed(states)
    value, exact = pairs.mean(bound.value), attained(states, bound, pairs)
    ends = torch.searchsorted(pairs.group, torch.arange(pairs.groups + 1))
    for group in (~exact).nonzero().squeeze(-1).tolist():
        some = slice(int(ends[group]), int(ends[group + 1]))
        rows = pairs.row[some]
        own = Relaxed(bound.value[rows], tuple(decision[:, rows] for decision in bound.decisions))
        found = best(states.rows(rows), pairs.weight[some], own)
        value[group], exact[group] = found.value, found.exact
    return value, exact
