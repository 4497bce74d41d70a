"""What happened and what was predicted, read as the columns themselves say."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cfair.data.coding import Floats, canonical, numbers
from cfair.data.levels import Levels, is_number, level_places, read_levels
from cfair.data.table import Table, shown
from cfair.errors import DataError, QueryError, nearest
from cfair.spec import ModelSpec
from cfair.surveying.question import Question
from cfair.surveying.records import Judged, Outcome

__all__ = ["MOST_LEVELS", "Coded", "judgements_of", "outcome_of", "read_outcome", "read_prediction"]

MOST_LEVELS = 200  # of a column that is taken by its levels
TRUTH = {("0", "1"): ("false", "true"), ("false", "true"): ("0", "1")}  # two ways to write the same decisions
Coded = tuple[Floats, tuple[str, ...]]  # values, NaN where there is no entry, and levels; none of a number


def read_outcome(table: Table, question: Question, spec: ModelSpec | None) -> Coded:
    """The outcome's column: numbers if it is one, or else places of levels.

    Raises:
        DataError: it has one value, or too many levels; or an entry is no number, where numbers were asked for.
    """
    column, node = question.outcome, spec.nodes.get(question.outcome) if spec is not None else None
    declared = node.levels if node is not None else ()
    found = read_levels(table, column, declared)
    number = is_number(table, column) and len(found.names) > 2 and not declared and question.positive is None
    if question.kind == "number" or (question.kind == "auto" and number):
        _check_varies(table, column, found)
        return numbers(table, column), ()
    if len(found.names) == 1 and (both := _with_the_other(table, found.names[0], question)):
        return level_places(table, column, both, what="a level"), both
    _check_varies(table, column, found)
    if len(found.names) > MOST_LEVELS:
        problem = f"the outcome has {len(found.names):,} levels"
        raise DataError(f"{table.place}, column '{shown(column)}'", problem, "merge some of them, or name another column")
    return found.floats, found.names


def _with_the_other(table: Table, level: str, question: Question) -> tuple[str, ...]:
    """Both levels of an outcome of which everyone has one: as decisions are written, or as predictions have them; none if neither tells."""
    for pair in TRUTH:
        if level in pair:
            return pair
    predicted = {text for name in question.predictions for text in read_levels(table, name, ()).names}
    return tuple(sorted({level, *predicted})) if len({level, *predicted}) == 2 else ()


def outcome_of(values: Floats, levels: tuple[str, ...], question: Question) -> Outcome:
    """The outcomes of people who all have one.

    Raises:
        QueryError: the positive level is none of the outcome's.
    """
    y, name = torch.from_numpy(values + 0.0), question.outcome
    if not levels:
        if question.positive is not None:
            raise QueryError("positive", f"'{name}' is a number and has no levels", "leave it out, or use kind 'levels'")
        return Outcome(name, "real", (), y)
    if question.positive is None and len(levels) > 2:
        return Outcome(name, "category", levels, y)
    positive = levels[1] if question.positive is None else _positive(levels, question.positive)
    why = "the second of its two levels" if question.positive is None else "as was asked for"
    return Outcome(name, "binary", levels, (y == levels.index(positive)).double(), positive, why)


def read_prediction(table: Table, column: str, outcome: Coded, name: str) -> Floats:
    """Predictions in the outcome's coding, before the positive level is chosen; NaN where there is no entry.

    Raises:
        DataError: an entry is no level of the outcome, or no number where it is one.
    """
    _, levels = outcome
    if not levels:
        return numbers(table, column, text="write numbers: the outcome is one")
    found = read_levels(table, column, levels)
    if levels in TRUTH and set(found.names) <= set(TRUTH[levels]):
        return level_places(table, column, TRUTH[levels], what="a decision")
    if is_number(table, column) and not set(found.names) <= set(levels):
        wrong = np.isin(found.positions, [i for i, text in enumerate(found.names) if text not in levels])
        problem = f"'{next(text for text in found.names if text not in levels)}' is not a level of the outcome '{shown(name)}'"
        raise table.misfit(column, wrong, problem, "if these are scores, name them with --score, and --threshold")
    return level_places(table, column, levels, what=f"a level of the outcome '{shown(name)}'")


def judgements_of(coded: Mapping[str, Floats], outcome: Outcome, question: Question) -> tuple[Judged, ...]:
    """What was predicted of people who all have every prediction and score.

    Args:
        coded: column -> values, (n,).
        outcome: of these people.
        question: which columns are what.

    Raises:
        QueryError: scores of an outcome that is not binary, or a threshold that is missing or beyond all scores.
    """
    scores = {name: torch.from_numpy(coded[name] + 0.0) for name in question.scores}
    if scores and outcome.kind != "binary":
        mend = "name numbers with --prediction" if outcome.kind == "real" else "say which level they are of, with --positive"
        raise QueryError("score", f"the outcome '{outcome.name}' has not two levels", mend)
    if question.predictions:
        own = next(iter(scores), None)  # of the one prediction, where there is a score
        score = None if own is None else scores[own]
        return tuple(Judged(name, _decision(coded[name], outcome), score, prediction=name, scored_by=own) for name in question.predictions)
    parted = {name: _threshold(name, score, question) for name, score in scores.items()}
    asked = question.threshold is not None
    return tuple(
        Judged(name, (score >= parted[name]).double(), score, parted[name], asked, scored_by=name) for name, score in scores.items()
    )


def _decision(predicted: Floats, outcome: Outcome) -> Tensor:
    decision = torch.from_numpy(predicted + 0.0)
    return decision if outcome.positive is None else (decision == outcome.levels.index(outcome.positive)).double()


def _threshold(name: str, score: Tensor, question: Question) -> float:
    """From which score on a decision is positive."""
    low, high = score.min().item(), score.max().item()
    many = len(question.scores) > 1
    of, each = (f" of '{shown(name)}'", ", or decisions instead of scores, with --prediction") if many else ("", "")
    if question.threshold is None:
        if low < 0 or high > 1:
            problem = f"the scores{of} go from {low:g} to {high:g}, and from which on a decision is positive is not said"
            raise QueryError("threshold", problem, f"give one with --threshold{each}")
        return 0.5
    if not low <= question.threshold <= high:
        problem = f"{question.threshold:g} is outside the scores{of}, {low:g} to {high:g}"
        raise QueryError("threshold", problem, f"give one among them{each}")
    return question.threshold


def _positive(levels: tuple[str, ...], asked: str) -> str:
    """The level that was asked for."""
    found = [level for level in levels if asked in (level, canonical(level)) or canonical(asked) == canonical(level)]
    if not found:
        raise QueryError("positive", f"'{asked}' is not a level of the outcome", nearest(asked, levels))
    return found[0]


def _check_varies(table: Table, column: str, found: Levels) -> None:
    """Refuse an outcome that is the same of everyone.

    Raises:
        DataError: with its one value.
    """
    if len(found.names) < 2:
        where = f"{table.place}, column '{shown(column)}'"
        problem = f"the outcome is '{shown(found.names[0])}' in every row" if found.names else "the outcome is missing in every row"
        raise DataError(where, problem, "name an outcome that varies")
