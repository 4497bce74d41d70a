"""What the numbers of a survey rest on, in words."""

from collections.abc import Iterable, Iterator

import torch

from cfair.auditing.limits import undefined
from cfair.auditing.nondescendants import held_against
from cfair.auditing.records import Assumption
from cfair.comparing import Row
from cfair.spec import ModelSpec
from cfair.surveying.carriers import TREES_PEOPLE, Carriers
from cfair.surveying.question import Question
from cfair.surveying.records import Surveyed

__all__ = ["notes"]


def notes(
    surveyed: Surveyed,
    question: Question,
    rated: Iterable[tuple[Row, str | None]],
    *,
    carriers: Carriers | None,
    spec: ModelSpec | None,
) -> tuple[Assumption, ...]:
    """The assumptions behind a report, what was left out, and what has no value.

    Args:
        surveyed: the people.
        question: what was asked of them.
        rated: rows, each with why it is undefined, if it is.
        carriers: what carries the attributes, if that was asked.
        spec: the declared model, if there is one.
    """
    return (
        Assumption("rows", "People are drawn independently of one another; nothing here says why groups differ."),
        *_of_outcome(surveyed),
        *_of_columns(surveyed, question),
        *_of_groups(surveyed, question),
        *undefined(rated),
        *(_of_carriers(carriers) if carriers is not None else ()),
        *(_of_declared(spec, surveyed) if spec is not None else ()),
        *(held_against(spec, carriers.single) if carriers is not None and spec is not None else ()),
    )


def _of_outcome(surveyed: Surveyed) -> Iterator[Assumption]:
    outcome, judged = surveyed.outcome, surveyed.judged
    if outcome.positive is not None:
        rest = "" if len(outcome.levels) == 2 else " against all others together"
        yield Assumption("positive", f"The positive level of '{outcome.name}' is '{outcome.positive}'{rest}, {outcome.why}.")
    elif outcome.kind == "real":
        yield Assumption("outcome", f"'{outcome.name}' is a number: predictions are compared by means and errors.")
    else:
        yield Assumption("outcome", f"'{outcome.name}' has {len(outcome.levels)} levels, each of which is held against the others.")
    for threshold in dict.fromkeys(each.threshold for each in judged if each.threshold is not None):
        names = " or ".join(f"'{each.name}'" for each in judged if each.threshold == threshold)
        why = "as was asked for" if judged[0].asked else "the default for scores between 0 and 1"
        yield Assumption("threshold", f"A decision is positive where {names} is {threshold:g} or more, {why}.")
    if probable := [each.name for each in judged if each.probability]:
        of = "" if len(probable) == len(judged) else f" of {' and '.join(probable)}"
        yield Assumption("probability", f"Scores{of} are taken for probabilities of the positive level, as all are between 0 and 1.")
    if len(judged) > 1:
        text = f"Differences to '{judged[0].name}', which is named first, are of the same people under both."
        yield Assumption("paired", text)


def _of_columns(surveyed: Surveyed, question: Question) -> Iterator[Assumption]:
    if surveyed.dropped:
        yield Assumption("missing", f"{surveyed.dropped:,} rows with missing values were left out, as if missing completely at random.")
    for attribute, levels in surveyed.lost.items():
        yield Assumption("missing", f"Every row with {attribute} {' or '.join(levels)} was among them: nothing is said of that group.")
    if question.weights is not None:
        left = f" {surveyed.weightless:,} of weight 0 were left out." if surveyed.weightless else ""
        yield Assumption(
            "weights",
            f"People count by the column '{question.weights}': one of weight 2 as two like them. Intervals go by the effective number of "
            f"people, (Σw)² / Σw².{left}",
        )
    for attribute in surveyed.numbers:
        binned = (
            ""
            if attribute in surveyed.bins
            else " It divides nobody into groups, and which columns carry it is not told; with --bins both are."
        )
        yield Assumption(
            "distance_correlation",
            f"'{attribute}' is a number: dependence on it is told by its squared distance correlation, which is 0 where there is none of "
            f"any kind.{binned}",
        )
    for attribute, bounds in surveyed.bins.items():
        yield Assumption("bins", f"'{attribute}' is a number in {len(bounds) - 1} bins: within one, nobody differs from another.")


def _of_groups(surveyed: Surveyed, question: Question) -> Iterator[Assumption]:
    least = question.min_group_size
    for division in surveyed.divisions:
        people = torch.bincount(division.member, minlength=len(division.names)).tolist()
        small = [f"{name} ({size})" for name, size in zip(division.names, people, strict=True) if size < least]
        if len(small) > len(people) - 2:
            yield Assumption("small_groups", f"Fewer than two groups by {division.attribute} have {least} people: none are compared.")
        elif small:
            text = f"No difference or ratio takes in a group by {division.attribute} of fewer than {least} people: {', '.join(small)}."
            yield Assumption("small_groups", text)


def _of_declared(spec: ModelSpec, surveyed: Surveyed) -> Iterator[Assumption]:
    """Levels of attributes and of the outcome that the model declares and nobody has."""
    had = {name: names for name, (names, _) in surveyed.attributes.items() if name not in surveyed.bins}
    if surveyed.outcome.levels:
        had[surveyed.outcome.name] = surveyed.outcome.levels
    for name, names in had.items():
        absent = [level for level in (spec.nodes[name].levels if name in spec.nodes else ()) if level not in names]
        if absent:
            which = "a declared level" if len(absent) == 1 else "declared levels"
            role = "the outcome" if name == surveyed.outcome.name else "an attribute"
            yield Assumption("absent_level", f"Nobody has {name} {' or '.join(absent)}, {which} of {role}: nothing is said of it.")


def _of_carriers(carriers: Carriers) -> Iterator[Assumption]:
    text = (
        "Each attribute is predicted, for a fifth of the people at a time, by what was learned from the others: from one column by "
        f"frequencies in bins of it, from all by boosted trees on up to {TREES_PEOPLE:,} people. A column may carry an attribute in ways "
        "that neither finds."
    )
    yield Assumption("proxies", text)
    for attribute, names in carriers.left_out.items():
        if names:
            yield Assumption(
                "proxies", f"Too few people for five parts have {attribute} {' or '.join(names)}: it is not told from the others."
            )
    if carriers.constant:
        yield Assumption("proxies", f"The same of everyone, and so no proxy: {', '.join(carriers.constant)}.")
