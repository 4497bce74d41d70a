"""Outcomes with several levels: each level against the rest, and the mean over levels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from cfair.comparing.people import Division, People
from cfair.comparing.rates import constraint_rows
from cfair.comparing.rows import Row
from cfair.constraints import CONSTRAINTS
from cfair.metrics import decide_level

__all__ = ["level_constraint_rows", "one_vs_rest"]

SCORED = ("calibration",)  # constraints of probabilities; the others are of decisions
AVERAGED = ("_difference", "_ratio")  # ends of the measures of which there is a mean over levels
RATES = ("true_positive_rate", "false_positive_rate", "positive_predictive_value")  # and the rates; a selection rate's is 1 / levels

Rated = tuple[Row, str | None]


def one_vs_rest(people: People, levels: Sequence[str]) -> Iterator[tuple[str, People]]:
    """Each level with the same people: whether they have it, and the probability of it, of whom all levels' are predicted."""
    for k, level in enumerate(levels):
        predictions = {name: y_hat[:, k] for name, y_hat in people.predictions.items()}
        yield level, replace(people, y=(people.y == k).to(people.y.dtype), predictions=predictions)


def level_constraint_rows(
    people: People, divisions: Iterable[Division], *, levels: Sequence[str], constraints: Sequence[str], min_group_size: int
) -> Iterator[Rated]:
    """The rows of ``constraint_rows`` for each level against the rest, as ``measure[Level]``, and the mean over levels, ``measure[macro]``.

    The decision is the likeliest level; for one level against the rest it is whether that is the one. Calibration is that of each
    level's probability. A mean counts levels alike, and is undefined where it is of one of them. Each end of its interval is the mean of
    the levels' ends: no narrower than an interval of the mean, as the standard error of a mean is at most the mean of the errors.

    Args:
        people: their outcomes as positions of levels, and probabilities of all levels, (n, levels).
        divisions: into groups.
        levels: names of the outcome's levels.
        constraints: names in ``CONSTRAINTS``; nothing where there is none.
        min_group_size: as of ``constraint_rows``.
    """
    divisions = tuple(divisions)
    decided = {name: decide_level(y_hat) for name, y_hat in people.predictions.items()}
    found: dict[tuple[str | None, ...], list[tuple[str, Rated]]] = {}
    for level, own in one_vs_rest(people, levels) if constraints else ():
        of_decisions = replace(own, predictions=_indicators(decided, list(levels).index(level)))
        for row, reason in _rows(own, of_decisions, divisions, constraints, min_group_size):
            yield replace(row, measure=f"{row.measure}[{level}]"), reason and f"{reason}; outcome 1 is {level}, 0 any other level"
            if row.measure in RATES or (row.measure.endswith(AVERAGED) and row.measure.rpartition("_")[0] in CONSTRAINTS):
                found.setdefault((row.predictor, row.measure, row.attribute, row.group), []).append((level, (row, reason)))
    yield from map(_macro, found.values())


def _indicators(decided: dict[str, Tensor], k: int) -> dict[str, Tensor]:
    """Whether a level is decided for, 1.0 or 0.0, predictor -> (n,)."""
    return {name: (decision == k).to(decision.dtype) for name, decision in decided.items()}


def _rows(
    probabilities: People, decisions: People, divisions: Sequence[Division], constraints: Sequence[str], min_group_size: int
) -> Iterator[Rated]:
    """The rows of one level against the rest."""
    scored = [name for name in constraints if name in SCORED]
    others = [name for name in constraints if name not in SCORED]
    yield from constraint_rows(decisions, divisions, constraints=others, min_group_size=min_group_size)
    for row, reason in constraint_rows(probabilities, divisions, constraints=scored, min_group_size=min_group_size):
        if row.measure.startswith(SCORED):
            yield row, reason


def _macro(found: Sequence[tuple[str, Rated]]) -> Rated:
    """The mean over levels of one measure."""
    rows = [row for _, (row, _) in found]
    whole = replace(rows[0], measure=f"{rows[0].measure}[macro]", n=max(row.n or 0 for row in rows))
    for level, (row, reason) in found:
        if row.value is None:
            return replace(whole, value=None, low=None, high=None), reason and f"it is of level '{level}'"
    value, low, high = (_mean([getattr(row, name) for row in rows]) for name in ("value", "low", "high"))
    return replace(whole, value=value, low=low, high=high), None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(values) if len(known) == len(values) else None
