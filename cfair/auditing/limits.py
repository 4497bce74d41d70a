"""What an audit could not measure, or measured on few people, in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from cfair.auditing.crossing import Crossing
from cfair.auditing.records import Assumption
from cfair.comparing import Row
from cfair.spec import ModelSpec

__all__ = ["limits", "undefined", "unseen"]

MACRO = "[macro]"


def limits(spec: ModelSpec, crossing: Crossing, group: Tensor, min_group_size: int) -> Iterator[Assumption]:
    """Groups too small for a worst pair or a difference, and worlds into which nobody in the audited rows could show the way.

    Args:
        spec: the declared model.
        crossing: of the protected attributes.
        group: each audited person's crossed group, shape (n,).
        min_group_size: people below which a group is small.
    """
    people = torch.bincount(group, minlength=crossing.size)
    for reading in crossing.readings():
        sizes = {name: int(people[reading.member == g].sum()) for g, name in enumerate(reading.names)}
        if absent := [name for name, size in sizes.items() if not size] if reading.attribute in spec.protected else []:
            text = f"No audited person has {reading.attribute} {' or '.join(absent)}: what is said of that world rests on the model alone."
            yield Assumption("absent_level", text)
        small = [f"{name} ({size})" for name, size in sizes.items() if 0 < size < min_group_size]
        if len(small) == sum(size > 0 for size in sizes.values()):
            text = f"No group by {reading.attribute} has {min_group_size} audited people: no worst pair and no largest difference is named."
            yield Assumption("small_groups", text)
        elif small:
            named = ", ".join(small)
            text = f"No worst pair starts from a group by {reading.attribute} of fewer than {min_group_size} audited people: {named}."
            yield Assumption("small_groups", text)


def unseen(levels: Mapping[str, Sequence[str]], spec: ModelSpec) -> Iterator[Assumption]:
    """Declared levels that nobody had among the rows from which the model was learned.

    Args:
        levels: node -> those of its levels.
        spec: the declared model.
    """
    for node, own in levels.items():
        role = "the outcome" if node == spec.outcome else "a protected attribute" if node in spec.protected else "an observed node"
        which = "a declared level" if len(own) == 1 else "declared levels"
        text = (
            f"Nobody among those from whom the model was learned has {node} {' or '.join(own)}, {which} of {role}: how often that would "
            "be, and what it would change, rest on priors alone."
        )
        yield Assumption("unseen_level", text)


def undefined(rated: Iterable[tuple[Row, str | None]]) -> Iterator[Assumption]:
    """Why measures have no value, each reason once; means over levels together, as the reasons are those of their levels."""
    rated = list(rated)
    if any(reason is not None and row.measure.endswith(MACRO) for row, reason in rated):
        yield Assumption("undefined", f"A mean over levels, {MACRO}, is undefined where the measure is of one level.")
    rated = [(row, reason) for row, reason in rated if not row.measure.endswith(MACRO)]
    reasons: dict[str, list[str]] = {}
    for row, reason in rated:
        if reason is not None:
            reasons.setdefault(f"{row.measure} by {row.attribute} is undefined: {reason}", []).append(row.predictor)
    for text, predictors in reasons.items():
        yield Assumption("undefined", f"{text} ({', '.join(dict.fromkeys(predictors))}).")
