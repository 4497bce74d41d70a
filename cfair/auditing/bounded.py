"""How far a gap depends on what two worlds share of discrete nodes' noise: its range over all couplings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from cfair.auditing.classes import each_map
from cfair.auditing.crossing import Crossing, Grouping
from cfair.auditing.records import Assumption
from cfair.comparing import Row
from cfair.effects import coupling_bounds, scored
from cfair.effects.prediction import name_for
from cfair.effects.scored import Score
from cfair.errors import QueryError
from cfair.interfaces import Columns, Predictor
from cfair.scm import SCM

__all__ = ["COUPLED", "bounded_rows"]

COUPLED = "gap_over_couplings"
GAP = "gap_reabducted"
DRAWS = 20  # of the latents of each person

_Model: TypeAlias = tuple[Sequence[str], Score, Predictor | None]  # what a map needs, the map, and what makes it, if that is outlined


def bounded_rows(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    crossing: Crossing,
    columns: Columns,
    pairs: Sequence[Row],
    *,
    people: int,
    min_group_size: int,
    seed: int,
) -> tuple[list[Row], list[Assumption]]:
    """Of each predictor, or class of one, and attribute, the worst pair's deployed gap with its range over all couplings; and it in words.

    Args:
        scm: the model in which people are moved.
        predictors: fitted.
        crossing: of the protected attributes.
        columns: the audited people, without missing values.
        pairs: the gaps of all pairs.
        people: of the group at most who are followed, at random.
        min_group_size: people below which a group's pair is not the worst.
        seed: of the choice and the draws.
    """
    rows, said = list[Row](), list[Assumption]()
    for name, model in _maps(predictors):
        for reading in crossing.readings():
            worst = _worst(pairs, name, reading.attribute, min_group_size)
            if worst is not None:
                some = _some(columns, crossing, reading, worst, people, seed)
                row, text = _bounded(scm, model, reading, some, worst, seed)
                rows += row
                said.append(Assumption("couplings", text))
    return rows, said


def _maps(predictors: Mapping[str, Predictor]) -> Iterator[tuple[str, _Model]]:
    """All that is one number of a row: its name, and the map with what it needs and what is known of it."""
    for name, predictor in predictors.items():
        for key, deploy in each_map(name, predictor):
            yield key, (predictor.needs, deploy, predictor if key == name else None)


def _bounded(scm: SCM, model: _Model, reading: Grouping, people: Columns, worst: Row, seed: int) -> tuple[list[Row], str]:
    """The row of one pair, if its states can be gone through, and what it says."""
    target = name_for(scm.spec)
    done = reading.settings[reading.worlds.index(str(worst.world))]
    do: dict[str, str | Tensor] = {**done, **{node: people[node] for node in scm.spec.held if node in people}}
    pair = f"{worst.predictor}, {worst.group} to {worst.world}"
    try:
        found = coupling_bounds(
            scored(scm, target, *model),
            people,
            do,
            target=target,
            measure="gap",
            by="population",
            given=scm.spec.evidence,
            draws=DRAWS,
            seed=seed,
        )
    except QueryError as error:
        return [], f"How far the gap of {pair} depends on couplings is not known: {error.problem}."
    low, high = float(found.low), float(found.high)
    value = float(found.value)
    row = replace(worst, measure=COUPLED, value=value, low=low, high=high, n=people.n)
    range_of = f"{value:.4g} [{low:.4g}, {high:.4g}] ({found.sharp})"
    return [row], f"The gap of {pair} is {range_of} for {people.n} of its people; in brackets its range over {found.over}."


def _worst(pairs: Sequence[Row], predictor: str, attribute: str, least: int) -> Row | None:
    """The largest gap of groups that are large enough; None where none is, or nothing moves."""
    own = [row for row in pairs if (row.predictor, row.measure, row.attribute) == (predictor, GAP, attribute) and (row.n or 0) >= least]
    return max((row for row in own if row.value), key=lambda row: row.value or 0.0, default=None)


def _some(columns: Columns, crossing: Crossing, reading: Grouping, worst: Row, most: int, seed: int) -> Columns:
    """Some people of the pair's group."""
    group = reading.member[crossing.group(columns)] == reading.names.index(str(worst.group))
    members = group.nonzero().squeeze(-1)
    chosen = members[torch.randperm(len(members), generator=torch.Generator().manual_seed(seed))[:most]]
    return columns.take(chosen.sort().values)
