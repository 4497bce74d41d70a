"""Anyone's predictions, group by group, and the data before any model. No graph is needed."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Literal

from cfair.auditing.records import Json, Report
from cfair.auditing.reporting import VERSIONED
from cfair.data.sources import Source
from cfair.spec import ModelSpec, level_text
from cfair.surveying.carriers import carriers_of
from cfair.surveying.dependence import data_dependence_rows, dependence_rows
from cfair.surveying.gathering import Column, Several, gather
from cfair.surveying.notes import notes
from cfair.surveying.question import MIN_GROUP_SIZE, Question
from cfair.surveying.reading import read
from cfair.surveying.records import Surveyed
from cfair.surveying.references import Shares, references_of
from cfair.surveying.rows import data_rows, judged_rows
from cfair.threads import with_threads
from cfair.weights import effective_size

__all__ = ["groups", "survey"]


def groups(
    data: Source | None = None,
    *,
    outcome: Column,
    attributes: Several,
    prediction: Several | None = None,
    score: Several | None = None,
    threshold: float | None = None,
    weights: Column | None = None,
    reference: Source | Shares | None = None,
    spec: ModelSpec | None = None,
    bins: Mapping[str, Sequence[float]] | None = None,
    positive: str | float | None = None,
    kind: Literal["auto", "levels", "number"] = "auto",
    missing: Literal["error", "drop"] = "error",
    constraints: Sequence[str] | None = None,
    min_group_size: int = MIN_GROUP_SIZE,
    proxies: bool = True,
    seed: int = 0,
) -> Report:
    """Anyone's predictions, group by group: rates, group constraints and errors with their intervals; and the data before any model.

    Each column is a name in ``data`` or its values, one per person. Without prediction and score the report is of the data alone: how many
    each group has, how they fare, what is missing, the smallest gap that could be found, and which columns carry the attributes. Levels
    are read by their text: 1, 1.0 and "1" are one.

    Args:
        data: a DataFrame, a file, or a built-in table's name; None where all columns are given by their values.
        outcome: what happened. Two levels: the second in order is the positive one; more: each against the others; or a number.
        attributes: by which people are divided, each and all of them at once; values as name -> values. One that is a number of more than
            twenty values divides nobody: how far predictions depend on it is told as it is, and by its ``bins``, too, where it has some.
        prediction: decisions in the outcome's levels, or numbers where the outcome is one. Several, a list of names or name -> values,
            are compared on the same people, each to the first.
        score: numbers that order people, for a binary outcome; calibration is told of those between 0 and 1. Several as above.
        threshold: from which score on a decision is positive.
        weights: how many people like them each person stands for.
        reference: a population to hold the groups' shares against: a table with the attributes, or attribute -> level -> share;
            also ``race x sex`` -> ``Black, female`` -> share.
        spec: a declared model: orders levels, and says which columns an attribute must not be told from.
        bins: attribute that is a number -> ascending bounds, as ``{"age": [0, 30, 50, 100]}``.
        positive: the level of the outcome whose rates are asked for.
        kind: ``number`` or ``levels`` say what the outcome is where the column does not.
        missing: ``error`` refuses rows that lack something needed, ``drop`` leaves them out and counts them.
        constraints: names in CONSTRAINTS; all if None.
        min_group_size: people below which a group takes no part in a difference or a ratio.
        proxies: whether to tell which columns carry the attributes; it reads all columns.
        seed: of the folds in which that is told, and of whatever is resampled.

    Returns:
        A report with the rows of an audit, and rows of the predictor ``data`` for the data themselves.

    Raises:
        DataError: the table cannot be read, or a column is not what its role asks for.
        QueryError: what is asked for does not fit the columns.
    """
    roles = {"outcome": outcome, "weights": weights, "prediction": prediction, "score": score, "attributes": attributes}
    source, named = gather(data, roles)
    question = Question(
        outcome=named["outcome"][0],
        attributes=named["attributes"],
        prediction=_one_or_all(named["prediction"]),
        score=_one_or_all(named["score"]),
        threshold=threshold,
        weights=named["weights"][0] if named["weights"] else None,
        bins={name: tuple(map(float, bounds)) for name, bounds in (bins or {}).items()},
        positive=None if positive is None else level_text(positive),
        kind=kind,
        missing=missing,
        constraints=None if constraints is None else tuple(constraints),
        min_group_size=min_group_size,
        proxies=proxies,
        seed=seed,
    )
    return survey(source, question, reference=reference, spec=spec)


def _one_or_all(named: tuple[str, ...]) -> str | tuple[str, ...] | None:
    """A column's name, or those of several."""
    return named if len(named) > 1 else next(iter(named), None)


@with_threads
def survey(source: Source, question: Question, *, reference: Source | Shares | None = None, spec: ModelSpec | None = None) -> Report:
    """The report that ``groups`` gives, of a table whose columns are named."""
    surveyed = read(source, question, spec)
    references = references_of(reference, surveyed, question)
    judged = [*judged_rows(surveyed, question), *dependence_rows(surveyed, question)]
    before = [*data_rows(surveyed, question, references), *data_dependence_rows(surveyed, question)]
    carriers = carriers_of(surveyed, question.seed) if question.proxies else None
    rows = [row for row, _ in (*judged, *before)]
    return Report(
        rows=(*rows, *(carriers.rows() if carriers is not None else ())),
        model=_described(surveyed, question),
        data=_data(surveyed),
        options=_options(question),
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        assumptions=notes(surveyed, question, [*judged, *before], carriers=carriers, spec=spec),
        not_used=surveyed.unused,
    )


def _described(surveyed: Surveyed, question: Question) -> dict[str, Json]:
    """Who was compared by whom, in the terms of an audit's model."""
    outcome, judged = surveyed.outcome, surveyed.judged
    predictors: dict[str, Json] = {
        each.name: {"prediction": each.prediction, "score": each.scored_by, "threshold": each.threshold} for each in judged
    }
    return {
        "name": surveyed.table.name,
        "outcome": outcome.name,
        "outcome_kind": outcome.kind,
        "levels": list(outcome.levels),
        "positive": outcome.positive,
        "protected": list(question.attributes),
        "predictors": predictors,
    }


def _data(surveyed: Surveyed) -> dict[str, Json]:
    weighed: dict[str, Json] = {}
    if surveyed.weights is not None:
        weighed = {"weightless": surveyed.weightless, "effective_rows": effective_size(surveyed.weights)}
    return {
        "name": surveyed.table.name,
        "rows": len(surveyed.table.frame),
        "sha256": surveyed.sha256,
        "dropped": surveyed.dropped,
        "audited_rows": surveyed.n,
        **weighed,
    }


def _options(question: Question) -> dict[str, Json]:
    """What was asked, as JSON has it."""
    asked = asdict(question)
    bins = {name: list(bounds) for name, bounds in question.bins.items()}
    several = {name: list(each) for name, each in asked.items() if isinstance(each, tuple)}
    return {**asked, **several, "bins": bins}
