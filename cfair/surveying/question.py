"""What is asked of a table of people when no model of them is declared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from cfair.comparing.paired import MOST_PREDICTORS
from cfair.constraints import CONSTRAINTS
from cfair.errors import QueryError, nearest

__all__ = ["MIN_GROUP_SIZE", "Question"]

MIN_GROUP_SIZE = 30  # people below which a group takes no part in a difference or a ratio
KINDS = ("auto", "levels", "number")
TREATMENTS = ("error", "drop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which columns are what, and what is asked of them.

    Args:
        outcome: the column of what happened.
        attributes: the columns by which people are divided, each and all of them at once.
        prediction: a column of decisions in the outcome's levels, or of numbers where the outcome is one; several are compared.
        score: a column of numbers that order people, for a binary outcome; several are compared. Beside one prediction, its score.
        threshold: from which score on a decision is positive; 0.5 if None and all scores are between 0 and 1.
        weights: the column of weights; one each if None.
        bins: attribute that is a number -> bounds of its bins, ascending; the last bin holds its upper bound.
        positive: the level of the outcome whose rates are asked for; the second of two if None.
        kind: ``number`` for regression, ``levels`` for classes; ``auto`` goes by the column.
        missing: ``error`` refuses rows that lack an outcome, prediction, score or attribute; ``drop`` leaves them out and counts them.
        constraints: names in CONSTRAINTS; all if None.
        min_group_size: people below which a group takes no part in a difference or a ratio.
        proxies: whether to tell which columns carry the attributes.
        seed: of the folds in which that is told, and of whatever is resampled.

    Raises:
        QueryError: a column is asked for in two roles, or an option is out of its range.
    """

    outcome: str
    attributes: tuple[str, ...]
    prediction: str | tuple[str, ...] | None = None
    score: str | tuple[str, ...] | None = None
    threshold: float | None = None
    weights: str | None = None
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    positive: str | None = None
    kind: Literal["auto", "levels", "number"] = "auto"
    missing: Literal["error", "drop"] = "error"
    constraints: tuple[str, ...] | None = None
    min_group_size: int = MIN_GROUP_SIZE
    proxies: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        _check_roles(self)
        _check_several(self)
        for name, words in (("kind", KINDS), ("missing", TREATMENTS)):
            if getattr(self, name) not in words:
                raise QueryError(name, f"'{getattr(self, name)}' is not one of its words", f"use one of: {', '.join(words)}")
        for name, least in (("min_group_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise QueryError(name, f"{getattr(self, name)} is below {least}", f"use a whole number from {least}")
        if self.threshold is not None and (not self.scores or not math.isfinite(self.threshold)):
            problem = f"{self.threshold} is no finite number" if self.scores else "there is no score that it could part"
            raise QueryError("threshold", problem, "use a number, as 0.5" if self.scores else "name the column of scores with --score")
        for name in self.constraints or ():
            CONSTRAINTS[name]  # an unknown name is refused with the nearest right one
        _check_bins(self)

    @property
    def predictions(self) -> tuple[str, ...]:
        """The columns of decisions, or of predicted numbers."""
        return _listed(self.prediction)

    @property
    def scores(self) -> tuple[str, ...]:
        """The columns of scores."""
        return _listed(self.score)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column with a role."""
        named = (self.outcome, *self.predictions, *self.scores, *self.attributes, self.weights)
        return tuple(name for name in named if name is not None)


def _listed(named: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if named is None else (named,) if isinstance(named, str) else named


def _check_several(question: Question) -> None:
    """Refuse predictions and scores of which it is not clear who belongs to whom, and more than can be compared.

    Raises:
        QueryError: with how many there are.
    """
    predictions, scores = question.predictions, question.scores
    if predictions and scores and len(predictions) + len(scores) > 2:
        problem = f"predictions ({len(predictions)}) and scores ({len(scores)}) are named, and not which belong together"
        raise QueryError("score", problem, "name one prediction with its score, or several of one kind")
    if max(len(predictions), len(scores)) > MOST_PREDICTORS:
        problem = f"{max(len(predictions), len(scores))} are to be compared"
        raise QueryError("prediction" if predictions else "score", problem, f"name at most {MOST_PREDICTORS}")


def _check_roles(question: Question) -> None:
    """Refuse no attributes at all, and a column in two roles.

    Raises:
        QueryError: with both roles.
    """
    if not question.attributes:
        raise QueryError("attributes", "none is named", "name the columns by which people are to be compared, as --attributes race,sex")
    roles = [("outcome", question.outcome), ("weights", question.weights)]
    roles += [("prediction", prediction) for prediction in question.predictions] + [("score", score) for score in question.scores]
    roles += [("attributes", attribute) for attribute in question.attributes]
    seen: dict[str, str] = {}
    for role, name in roles:
        if name is not None and name in seen:
            raise QueryError(role, f"'{name}' is already the {seen[name].removesuffix('s')}", "give each column one role")
        if name is not None:
            seen[name] = role


def _check_bins(question: Question) -> None:
    """Refuse bounds that bound nothing.

    Raises:
        QueryError: they are of no attribute, or not ascending.
    """
    for attribute, bounds in question.bins.items():
        if attribute not in question.attributes:
            raise QueryError("bins", f"'{attribute}' is not one of the attributes", nearest(attribute, question.attributes))
        if len(bounds) < 2 or not all(map(math.isfinite, bounds)) or any(high <= low for low, high in pairwise(bounds)):
            problem = f"the bounds of '{attribute}' are not two or more ascending numbers"
            raise QueryError("bins", problem, f"write for instance {attribute}=0,30,50,100")
