"""What is computed of a table, observed or replicated, for every node, pair of nodes and group at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from cfair.diagnosis.groups import Groups
from cfair.interfaces import Values
from cfair.spec import ModelSpec

__all__ = ["Form", "Key", "Summaries", "Yardstick", "per_group", "summarise", "yardstick"]

TAIL = 0.005  # of the model's own distribution, beyond which a value lies in a tail, on either side

Form = Literal["mean", "positive", "covariance", "share", "tails"]  # decides the scale of a test and of an effect
Summaries: TypeAlias = dict["Key", Tensor]


class Key(NamedTuple):
    """A statistic of a node, or of two."""

    statistic: str
    form: Form
    node: str
    other: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Yardstick:
    """The model's own spread of each node in each group, node -> (groups,); NaN where a group has no people.

    Args:
        low: the quantile TAIL.
        high: the quantile 1 − TAIL.
        sd: the standard deviation.
    """

    low: Mapping[str, Tensor]
    high: Mapping[str, Tensor]
    sd: Mapping[str, Tensor]


def per_group(x: Tensor, members: Tensor) -> Tensor:
    """The sum of x, shape (draws, n), over the members of each group, shape (draws | 1, n, groups), to (draws, groups)."""
    return x @ members[0] if len(members) == 1 else (x.unsqueeze(-2) @ members).squeeze(-2)


def yardstick(values: Values, members: Tensor) -> Yardstick:
    """The model's spread, pooled over replicated tables: node -> (draws, n), and members (draws | 1, n, groups)."""
    found: dict[str, list[Tensor]] = {node: [] for node in values}
    for node, column in values.items():
        for g in range(members.shape[-1]):
            mine = column[(members[..., g] > 0).expand_as(column)]
            found[node].append(_spread(mine))
    stacked = {node: torch.stack(spreads, -1) for node, spreads in found.items()}
    low, high, sd = ({node: spread[i] for node, spread in stacked.items()} for i in range(3))
    return Yardstick(low, high, sd)


def summarise(
    spec: ModelSpec, values: Values, groups: Groups, members: Tensor, *, model: Yardstick, center: Mapping[str, float]
) -> Summaries:
    """Every statistic of some tables, each (draws, groups); NaN where a group has too few people.

    A real node has a mean, a variance, a share in its tails; a count a mean, a dispersion (variance / mean), a share of zeros and tails;
    a node with levels the share of each level, but the first where there are two; two nodes with numbers, a covariance.

    Args:
        spec: the declared model.
        values: node -> (draws, n), of the nodes in question.
        groups: of the people.
        members: who is in which, shape (draws | 1, n, groups).
        model: the model's own spread.
        center: node -> a number near its mean, taken off before squaring.
    """
    size = per_group(torch.ones(1, members.shape[1], dtype=torch.float64).expand(len(members), -1), members)
    moved = {node: column - center[node] for node, column in values.items()}
    mean = {node: per_group(x, members) / size for node, x in moved.items()}
    found: Summaries = {}
    for node, x in values.items():
        kind = spec.nodes[node].kind
        if levels := spec.nodes[node].levels:
            for j in range(1 if len(levels) == 2 else 0, len(levels)):
                found[Key(f"share of {levels[j]}", "share", node)] = per_group((x == j).to(x.dtype), members) / size
            continue
        variance = _covariance(moved[node], moved[node], mean[node], mean[node], members, size)
        found[Key("mean", "mean", node)] = mean[node] + center[node]
        if kind == "count":
            found[Key("dispersion", "positive", node)] = variance / (mean[node] + center[node])
            found[Key("share of zeros", "share", node)] = per_group((x == 0).to(x.dtype), members) / size
        else:
            found[Key("variance", "positive", node)] = variance
        found[Key("share in the tails", "tails", node)] = _outside(x, groups, members, model.low[node], model.high[node]) / size
    numbers = [node for node in values if spec.nodes[node].kind != "category"]
    for first, second in combinations(numbers, 2):
        key = Key("covariance", "covariance", first, second)
        found[key] = _covariance(moved[first], moved[second], mean[first], mean[second], members, size)
    return found


def _spread(values: Tensor) -> Tensor:
    """The two ends and the standard deviation of some values, shape (3,)."""
    if len(values) < 2:
        return torch.full((3,), torch.nan, dtype=torch.float64)
    ordered, last = values.sort().values, len(values) - 1
    return torch.stack([ordered[round(TAIL * last)], ordered[round((1 - TAIL) * last)], values.std()])


def _covariance(x: Tensor, y: Tensor, x_mean: Tensor, y_mean: Tensor, members: Tensor, size: Tensor) -> Tensor:
    """Unbiased, of each group: (draws, groups)."""
    return (per_group(x * y, members) - size * x_mean * y_mean) / (size - 1)


def _outside(x: Tensor, groups: Groups, members: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How many people of each group lie beyond that group's own ends, each (groups,): (draws, groups)."""
    return torch.cat([_beyond(x, members[..., part], low[part], high[part]) for part in groups.blocks()], -1)


def _beyond(x: Tensor, members: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The same for groups that part the people, so that each person has one low and one high end."""
    own_low, own_high = members @ low.nan_to_num(), members @ high.nan_to_num()
    return per_group(((x < own_low) | (x > own_high)).to(x.dtype), members)
