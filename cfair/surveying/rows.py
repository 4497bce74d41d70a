"""The rows of a survey: what was predicted, group by group, and the data before any model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfair.comparing import Division, People, Row, constraint_rows, group_rows, loss_rows, number_rows, overall_rows
from cfair.comparing.representation import Reference, detectable_rows, missing_rows, outcome_rows, share_rows
from cfair.constraints import CONSTRAINTS
from cfair.surveying.question import Question
from cfair.surveying.records import Judged, Outcome, Surveyed

__all__ = ["data_rows", "judged_rows"]

SCORED = ("calibration",)  # constraints on scores, not on decisions
PROBABLE = ("log_loss", "roc_auc", "brier")  # metrics of a probability
NUMBERS = ("rmse", "mae", "r2")


def judged_rows(surveyed: Surveyed, question: Question) -> Iterator[tuple[Row, str | None]]:
    """How well and how evenly people were predicted, each row with why it is undefined, if it is; nothing where nothing was predicted."""
    judged, outcome = surveyed.judged, surveyed.outcome
    if judged is None:
        return
    if outcome.kind == "real":
        people = People(outcome.y, {judged.name: judged.decision}, surveyed.weights)
        yield from ((row, None) for row in overall_rows(people, NUMBERS))
        yield from ((row, None) for row in group_rows(people, surveyed.divisions, NUMBERS[:1]))
        yield from loss_rows(people, surveyed.divisions, "rmse", min_group_size=question.min_group_size)
        yield from number_rows(people, surveyed.divisions, min_group_size=question.min_group_size, seed=question.seed)
    elif outcome.kind == "category":
        yield from _by_level(surveyed, judged, question)
    else:
        yield from _decided(surveyed, judged, question)
        yield from _scored(surveyed, judged, question)


def data_rows(
    surveyed: Surveyed, question: Question, references: Mapping[str, tuple[Division, Reference]]
) -> Iterator[tuple[Row, str | None]]:
    """The data before any model: shares, holes, outcomes and detectable gaps, by group."""
    outcome, weights = surveyed.outcome, surveyed.weights
    for division in surveyed.divisions:
        by, reference = references.get(division.attribute, (division, None))
        yield from ((row, None) for row in share_rows(by, weights, reference))
        for mean, suffix, y, shares in _means(outcome):
            yield from ((row, None) for row in outcome_rows(y, division, weights, measure=f"{mean}{suffix}", shares=shares))
            found = detectable_rows(y, division, weights, shares=shares, min_group_size=question.min_group_size)
            yield from ((replace(row, measure=f"{row.measure}{suffix}"), why) for row, why in found)
    for division in surveyed.holed:
        yield from ((row, None) for row in missing_rows(surveyed.missing, division, surveyed.holed_weights))


def _decided(surveyed: Surveyed, judged: Judged, question: Question) -> Iterator[tuple[Row, str | None]]:
    """Accuracy, rates and constraints of decisions."""
    people = People(surveyed.outcome.y, {judged.name: judged.decision}, surveyed.weights)
    yield from ((row, None) for row in overall_rows(people, ("accuracy",)))
    of_groups = group_rows(people, surveyed.divisions, ("accuracy",), residuals=False)
    yield from ((row, None) for row in of_groups if row.measure == "accuracy")  # a mean decision is the selection rate
    yield from _constrained(people, surveyed, question, [name for name in _asked(question) if name not in SCORED])


def _scored(surveyed: Surveyed, judged: Judged, question: Question) -> Iterator[tuple[Row, str | None]]:
    """How scores order people; of probabilities their errors, means and calibration, too."""
    if judged.score is None:
        return
    people = People(surveyed.outcome.y, {judged.name: judged.score}, surveyed.weights)
    yield from ((row, None) for row in overall_rows(people, PROBABLE if judged.probability else ("roc_auc",)))
    metrics = ("roc_auc", "brier") if judged.probability else ("roc_auc",)
    yield from ((row, None) for row in group_rows(people, surveyed.divisions, metrics, residuals=judged.probability))
    if judged.probability:
        yield from loss_rows(people, surveyed.divisions, "brier", min_group_size=question.min_group_size)
        own = [name for name in _asked(question) if name in SCORED]
        rows = _constrained(people, surveyed, question, own)
        yield from ((row, why) for row, why in rows if row.measure.startswith(SCORED))


def _by_level(surveyed: Surveyed, judged: Judged, question: Question) -> Iterator[tuple[Row, str | None]]:
    """Each level of the outcome against the others, as ``measure[Level]``, and the mean over levels, as ``measure[macro]``."""
    y, decision = surveyed.outcome.y, judged.decision
    right = People(torch.ones_like(y), {judged.name: (y == decision).double()}, surveyed.weights)
    yield from ((row, None) for row in overall_rows(right, ("accuracy",)))
    of_groups = group_rows(right, surveyed.divisions, ("accuracy",), residuals=False)
    yield from ((row, None) for row in of_groups if row.measure == "accuracy")
    people = People(y, {judged.name: decision}, surveyed.weights)
    yield from _constrained(people, surveyed, question, [name for name in _asked(question) if name not in SCORED])


def _constrained(people: People, surveyed: Surveyed, question: Question, constraints: Sequence[str]) -> Iterator[tuple[Row, str | None]]:
    yield from constraint_rows(
        people,
        surveyed.divisions,
        constraints=constraints,
        min_group_size=question.min_group_size,
        levels=surveyed.outcome.levels if surveyed.outcome.kind == "category" else (),
        seed=question.seed,
    )


def _asked(question: Question) -> Sequence[str]:
    return tuple(CONSTRAINTS) if question.constraints is None else question.constraints


def _means(outcome: Outcome) -> Iterator[tuple[str, str, Tensor, bool]]:
    """What sums up a group's outcomes: the mean's name, what is added to a measure's name, values (n,), and whether it is a share."""
    if outcome.kind == "real":
        yield "mean_outcome", "", outcome.y, False
    elif outcome.kind == "binary":
        yield "base_rate", "", outcome.y, True
    else:
        yield from (("base_rate", f"[{level}]", (outcome.y == place).double(), True) for place, level in enumerate(outcome.levels))
