"""The rates of one group, each with its interval."""

from collections.abc import Mapping
from typing import NamedTuple

from cfair.constraints.base import Cells, effective
from cfair.constraints.tallies import (
    Tally,
    base_rate,
    false_negative_share,
    false_positive_rate,
    positive_predictive_value,
    selection_rate,
    true_positive_rate,
)
from cfair.constraints.wilson import wilson

__all__ = ["APPLIES_TO", "GROUP_RATES", "GroupRate", "error_odds", "group_rate"]

GROUP_RATES: Mapping[str, Tally] = {
    "selection_rate": selection_rate,
    "base_rate": base_rate,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "positive_predictive_value": positive_predictive_value,
    "false_negative_share": false_negative_share,
}

APPLIES_TO: Mapping[str, str] = {  # in words, as in why a group has no such rate
    "selection_rate": "people",
    "base_rate": "people",
    "true_positive_rate": "people with outcome 1",
    "false_positive_rate": "people with outcome 0",
    "positive_predictive_value": "people with decision 1",
    "false_negative_share": "errors",
}


class GroupRate(NamedTuple):
    """A rate in one group, with its Wilson interval; value and ends are None where the group has nobody to whom it applies."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def group_rate(name: str, cells: Cells, level: float = 0.95) -> GroupRate:
    """The rate ``name`` of one group's cells, each of shape (2, 2), indexed [y, decision]; ``n`` counts the people to whom it applies."""
    successes, trials = effective(cells, GROUP_RATES[name])
    _, people = GROUP_RATES[name](cells.people)
    if people == 0:
        return GroupRate(None, None, None, 0)
    low, high = wilson(successes, trials, level)
    return GroupRate((successes / trials).item(), low.item(), high.item(), int(people))


def error_odds(cells: Cells, level: float = 0.95) -> GroupRate:
    """False negatives per false positive of one group's cells, each of shape (2, 2): the odds of their share, as are the interval's ends.

    All None where there is no false positive; ``n`` counts the errors.
    """
    share = group_rate("false_negative_share", cells, level)
    if share.value is None or share.value == 1:
        return GroupRate(None, None, None, share.n)
    low, high = (None if end is None or end == 1 else end / (1 - end) for end in (share.low, share.high))
    return GroupRate((cells.weight[1, 0] / cells.weight[0, 1]).item(), low, high, share.n)
