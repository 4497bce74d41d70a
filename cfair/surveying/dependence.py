"""Attributes that are numbers, without groups: whether predictions, and what happened, depend on them in any way."""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from cfair.comparing import People, Said, continuous_rows
from cfair.comparing.representation import DATA
from cfair.surveying.question import Question
from cfair.surveying.records import Judged, Outcome, Surveyed

__all__ = ["data_dependence_rows", "dependence_rows"]


def dependence_rows(surveyed: Surveyed, question: Question) -> Iterator[Said]:
    """How far each prediction depends on each attribute that is a number, and how far given the outcome; nothing where none is predicted.

    Of a predictor with scores these are asked about, else its decisions; of an outcome with several levels each one against the others.
    """
    for attribute, values in surveyed.numbers.items() if surveyed.judged else ():
        for suffix, y in _sides(surveyed.outcome, surveyed.outcome.y):
            predictions = {each.name: _predicted(surveyed.outcome, each, suffix) for each in surveyed.judged}
            people = People(y, predictions, surveyed.weights)
            yield from _named(continuous_rows(people, attribute, values, seed=question.seed), suffix)


def data_dependence_rows(surveyed: Surveyed, question: Question) -> Iterator[Said]:
    """How far the outcome itself depends on each attribute that is a number."""
    for attribute, values in surveyed.numbers.items():
        for suffix, y in _sides(surveyed.outcome, surveyed.outcome.y):
            people = People(y, {DATA: y}, surveyed.weights)
            yield from _named(continuous_rows(people, attribute, values, given_outcome=False, seed=question.seed), suffix)


def _sides(outcome: Outcome, values: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What is added to a measure's name, and values (n,): as they are, or of several levels whether they are each one."""
    if outcome.kind == "category":
        yield from ((f"[{level}]", (values == place).double()) for place, level in enumerate(outcome.levels))
    else:
        yield "", values


def _predicted(outcome: Outcome, judged: Judged, suffix: str) -> Tensor:
    return judged.score if judged.score is not None else dict(_sides(outcome, judged.decision))[suffix]


def _named(rows: Iterator[Said], suffix: str) -> Iterator[Said]:
    yield from ((replace(row, measure=f"{row.measure}{suffix}"), why) for row, why in rows)
