"""The rows of a survey: what was predicted, group by group, and the data before any model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfair.comparing import (
    Comparison,
    Division,
    People,
    Said,
    constraint_rows,
    group_rows,
    loss_rows,
    number_rows,
    overall_rows,
    paired_rows,
)
from cfair.comparing.representation import Reference, detectable_rows, missing_rows, outcome_rows, share_rows
from cfair.constraints import CONSTRAINTS
from cfair.surveying.question import Question
from cfair.surveying.records import Judged, Outcome, Surveyed

__all__ = ["data_rows", "judged_rows"]

SCORED = ("calibration",)  # constraints on scores, not on decisions
PROBABLE = ("log_loss", "roc_auc", "brier")  # metrics of a probability
NUMBERS = ("rmse", "mae", "r2")


def judged_rows(surveyed: Surveyed, question: Question) -> Iterator[Said]:
    """How well and how evenly people were predicted, each row with why it is undefined, if it is; nothing where nothing was predicted."""
    outcome = surveyed.outcome
    if not surveyed.judged:
        return
    if outcome.kind == "real":
        people = _deciding(surveyed)
        yield from _overall(surveyed, people, NUMBERS)
        yield from ((row, None) for row in group_rows(people, surveyed.divisions, NUMBERS[:1]))
        yield from loss_rows(people, surveyed.divisions, "rmse", min_group_size=question.min_group_size)
        yield from number_rows(people, surveyed.divisions, min_group_size=question.min_group_size, seed=question.seed)
    elif outcome.kind == "category":
        yield from _by_level(surveyed, question)
    else:
        yield from _decided(surveyed, question)
        for probable in (True, False):
            yield from _scored(surveyed, [each for each in surveyed.judged if each.probability == probable], question)


def data_rows(surveyed: Surveyed, question: Question, references: Mapping[str, tuple[Division, Reference]]) -> Iterator[Said]:
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


def _deciding(surveyed: Surveyed) -> People:
    """The people by what was decided about them."""
    return People(surveyed.outcome.y, {each.name: each.decision for each in surveyed.judged}, surveyed.weights)


def _overall(surveyed: Surveyed, people: People, metrics: Sequence[str]) -> Iterator[Said]:
    """Errors over everyone, and less those of the predictor that is named first."""
    yield from ((row, None) for row in overall_rows(people, metrics, yardsticks=(surveyed.judged[0].name,)))


def _accurate(surveyed: Surveyed, people: People) -> Iterator[Said]:
    """The accuracy of decisions, of everyone and by group."""
    yield from _overall(surveyed, people, ("accuracy",))
    of_groups = group_rows(people, surveyed.divisions, ("accuracy",), residuals=False)
    yield from ((row, None) for row in of_groups if row.measure == "accuracy")  # a mean decision is the selection rate


def _decided(surveyed: Surveyed, question: Question) -> Iterator[Said]:
    """Accuracy, rates and constraints of decisions."""
    people = _deciding(surveyed)
    yield from _accurate(surveyed, people)
    yield from _constrained(people, surveyed, question, _of_decisions(question))
    yield from _paired(people, surveyed, question)


def _scored(surveyed: Surveyed, judged: Sequence[Judged], question: Question) -> Iterator[Said]:
    """How scores order people; of probabilities, which all or none of them are, their errors, means and calibration, too."""
    scores = {each.name: each.score for each in judged if each.score is not None}
    if not scores:
        return
    people, probable = People(surveyed.outcome.y, scores, surveyed.weights), judged[0].probability
    yield from _overall(surveyed, people, PROBABLE if probable else ("roc_auc",))
    metrics = ("roc_auc", "brier") if probable else ("roc_auc",)
    yield from ((row, None) for row in group_rows(people, surveyed.divisions, metrics, residuals=probable))
    if probable:
        yield from loss_rows(people, surveyed.divisions, "brier", min_group_size=question.min_group_size)
        own = [name for name in _asked(question) if name in SCORED]
        rows = _constrained(people, surveyed, question, own)
        yield from ((row, why) for row, why in rows if row.measure.startswith(SCORED))


def _by_level(surveyed: Surveyed, question: Question) -> Iterator[Said]:
    """Each level of the outcome against the others, as ``measure[Level]``, and the mean over levels, as ``measure[macro]``."""
    people, y = _deciding(surveyed), surveyed.outcome.y
    right = {name: (y == decision).double() for name, decision in people.predictions.items()}
    yield from _accurate(surveyed, People(torch.ones_like(y), right, surveyed.weights))
    yield from _constrained(people, surveyed, question, _of_decisions(question))
    for place, level in enumerate(surveyed.outcome.levels):
        one = {name: (decision == place).double() for name, decision in people.predictions.items()}
        rows = _paired(People((y == place).double(), one, surveyed.weights), surveyed, question)
        yield from ((replace(row, measure=f"{row.measure}[{level}]"), why) for row, why in rows)


def _constrained(people: People, surveyed: Surveyed, question: Question, constraints: Sequence[str]) -> Iterator[Said]:
    yield from constraint_rows(
        people,
        surveyed.divisions,
        constraints=constraints,
        min_group_size=question.min_group_size,
        levels=surveyed.outcome.levels if surveyed.outcome.kind == "category" else (),
        seed=question.seed,
    )


def _paired(people: People, surveyed: Surveyed, question: Question) -> Iterator[Said]:
    """Differences of decisions between groups less those of the predictor that is named first, on the same people."""
    asked = Comparison(constraints=_of_decisions(question), min_group_size=question.min_group_size, seed=question.seed)
    yield from paired_rows(people, surveyed.divisions, asked, yardsticks=(surveyed.judged[0].name,))


def _of_decisions(question: Question) -> tuple[str, ...]:
    return tuple(name for name in _asked(question) if name not in SCORED)


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
