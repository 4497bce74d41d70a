"""The points of a trade-off: which are on its front, and which is accepted."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf, isfinite
from typing import Literal, TypeAlias

from cfair.errors import QueryError, nearest
from cfair.metrics import nadeau_bengio

__all__ = ["GAP", "Accepted", "Part", "Point", "Policy", "accepted", "by_point", "over_splits", "policy_of", "with_front"]

GAP = "gap_reabducted"  # the counterfactual gap of each point, of the worst pair of groups, on test rows
ODDS = ("treatment_equality_difference",)  # the measures that are no share, nor a difference of some
POLICY = re.compile(r"\s*([\w\[\]]+)\s*(<=|>=)\s*([0-9.eE+-]+)\s*")

Part: TypeAlias = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measure of one predictor on one part of the people: a row of ``tradeoff.json``.

    Args:
        constraint: that is trained in; several with ``+`` between them.
        mitigation: by which; or the name of a predictor without one, for comparison.
        strength: the setting of its dial: of ``penalty`` and ``adversarial`` their strength; else the share of the violation that is to
            go. None of a predictor without one.
        split: whom it was measured on: train, validation or test. Gaps are measured on test rows.
        measure: accuracy, ``<constraint>_difference`` or GAP.
        value: the mean over splits if there are several.
        low: end of the 95 % interval over people, or over splits.
        high: its other end.
        pareto: whether no other point of this mitigation has on validation rows at least its accuracy and at most its largest difference.
    """

    constraint: str
    mitigation: str
    strength: float | None
    split: Part
    measure: str
    value: float | None
    low: float | None
    high: float | None
    pareto: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """``measure <= bound``, or ``>=``: what a point must keep to be accepted."""

    measure: str
    at_most: bool
    bound: float

    def keeps(self, value: float | None) -> bool:
        """Whether a value keeps it; one that is undefined does not."""
        return value is not None and (value <= self.bound if self.at_most else value >= self.bound)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The most accurate point that keeps a policy on validation rows, if any does.

    Args:
        rows: all of its measures; none where no point keeps the policy.
        kept_on_test: whether it keeps it on test rows, too.
    """

    rows: tuple[Point, ...]
    kept_on_test: bool


def policy_of(text: str, points: Sequence[str]) -> Policy:
    """What ``equalized_odds_difference<=0.05`` says.

    Args:
        text: as typed.
        points: measures that there are.

    Raises:
        QueryError: it says no such thing, or of another measure.
    """
    found = POLICY.fullmatch(text)
    try:
        bound = float(found[3]) if found else None
    except ValueError:
        bound = None
    if found is None or bound is None or not isfinite(bound):
        raise QueryError("--accept", f"'{text}' bounds nothing", 'write it as "equalized_odds_difference<=0.05"')
    if found[1] not in points:
        raise QueryError("--accept", f"'{found[1]}' is not measured here", nearest(found[1], points))
    return Policy(found[1], found[2] == "<=", bound)


def accepted(rows: Sequence[Point], policy: Policy) -> Accepted:
    """The most accurate of the points with a mitigation, among those that keep a policy on validation rows."""
    found: tuple[float, tuple[Point, ...]] | None = None
    for _, own in by_point(row for row in rows if row.strength is not None):
        accuracy = _value(own, "validation", "accuracy")
        keeps = policy.keeps(_value(own, "validation", policy.measure))
        if keeps and accuracy is not None and (found is None or accuracy > found[0]):
            found = accuracy, own
    if found is None:
        return Accepted((), False)
    return Accepted(found[1], policy.keeps(_value(found[1], "test", policy.measure)))


def by_point(rows: Iterable[Point]) -> Iterator[tuple[tuple[str, float | None], tuple[Point, ...]]]:
    """All measures of one point after the other."""
    ordered = sorted(rows, key=lambda row: (row.mitigation, -1.0 if row.strength is None else row.strength))
    for key, own in groupby(ordered, key=lambda row: (row.mitigation, row.strength)):
        yield key, tuple(own)


def _value(rows: Iterable[Point], part: str, measure: str) -> float | None:
    return next((row.value for row in rows if (row.split, row.measure) == (part, measure)), None)


def with_front(rows: Sequence[Point]) -> Iterator[Point]:
    """The rows, those of points on the Pareto front of validation rows marked."""
    found = {key: _plane(own) for key, own in by_point(rows) if key[1] is not None}
    front = {key for key, own in found.items() if own and not any(other and _dominates(other, own) for other in found.values())}
    yield from (replace(row, pareto=(row.mitigation, row.strength) in front) for row in rows)


def _plane(rows: Sequence[Point]) -> tuple[float, float] | None:
    """Accuracy and the largest difference on validation rows; None where one is undefined."""
    accuracy = _value(rows, "validation", "accuracy")
    apart = [row.value for row in rows if row.split == "validation" and row.measure.endswith("_difference")]
    known = [value for value in apart if value is not None]
    return None if accuracy is None or len(known) < len(apart) or not apart else (accuracy, max(known))


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether it is as accurate and as equal, and more of one."""
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def over_splits(found: Sequence[Sequence[Point]], test_share: float, training_share: float) -> list[Point]:
    """The mean of each measure over the splits that have it, with its interval, given the shares of people in each part."""
    rows: dict[tuple[str, float | None, str, str], list[Point]] = {}
    for each in found:
        for row in each:
            rows.setdefault((row.mitigation, row.strength, row.split, row.measure), []).append(row)
    return [_mean(own, test_share, training_share) for own in rows.values()]


def _mean(rows: Sequence[Point], test_share: float, training_share: float) -> Point:
    values = [row.value for row in rows if row.value is not None]
    if len(values) < 2:
        return replace(rows[0], value=values[0] if values else None, low=None, high=None)
    mean, low, high = nadeau_bengio(values, test_share, training_share)
    most = inf if rows[0].measure in ODDS else 1.0
    return replace(rows[0], value=mean, low=max(low, 0.0), high=min(high, most))
