"""A population that the people of a table are held against: another table of people, or known shares."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch

from cfair.comparing import Division
from cfair.comparing.dividing import divisions
from cfair.comparing.representation import Reference
from cfair.data.coding import Floats
from cfair.data.levels import Levels
from cfair.data.reading import refuse_absent
from cfair.data.sources import Source, open_table
from cfair.data.weighing import weigh
from cfair.errors import QueryError, nearest
from cfair.surveying.attributes import level_of
from cfair.surveying.question import Question
from cfair.surveying.records import Surveyed
from cfair.weights import effective_size

__all__ = ["Shares", "references_of"]

Shares: TypeAlias = Mapping[str, Mapping[str, float]]  # attribute -> level -> its share, or as race x sex -> Black, female -> its share
FEW = 4  # names in a message
ROUNDED = 5e-3  # by which shares may fail to add up to 1


def references_of(reference: "Source | Shares | None", surveyed: Surveyed, question: Question) -> dict[str, tuple[Division, Reference]]:
    """Attribute, or several as ``race x sex`` -> the people by its groups, those of the reference among them, and their shares there.

    A table tells the shares of all attributes and of all of them crossed; known shares are those of whatever they name.

    Args:
        reference: a table with the attributes' columns (weighted by a column of the same name as the people's, if it has one), or
            attribute -> level -> share, or ``race x sex`` -> ``Black, female`` -> share, named as the report does.
        surveyed: the people.
        question: how their attributes were read.

    Raises:
        DataError: the table cannot be read, or lacks an attribute.
        QueryError: shares of what is no attribute, that do not add up to 1, or that leave out a level that somebody has.
    """
    if reference is None:
        return {}
    if not surveyed.divisions:
        raise QueryError("reference", "no attribute divides people into groups whose shares it could tell", "give bins, with --bins")
    divided = {division.attribute: division for division in surveyed.divisions}
    if isinstance(reference, pd.DataFrame | str | Path):
        return _of_table(reference, divided, surveyed, question)
    for name in reference:
        if name not in divided:
            raise QueryError("reference", f"'{name}' is not one of the attributes, nor all of them crossed", nearest(name, divided))
    return {name: _known(divided[name], shares) for name, shares in reference.items()}


def _of_table(
    reference: Source, divided: Mapping[str, Division], surveyed: Surveyed, question: Question
) -> dict[str, tuple[Division, Reference]]:
    """Each attribute by those of whom it is known, and all crossed by those of whom all are."""
    table = open_table(reference, (*surveyed.attributes, *([question.weights] if question.weights is not None else [])))
    refuse_absent(table, tuple(surveyed.attributes))
    levels = {name: level_of(table, name, question.bins.get(name), declared) for name, (declared, _) in surveyed.attributes.items()}
    own = weigh(table, str(question.weights)) if question.weights in table.columns else np.ones(len(table.frame))
    found = {}
    for name, each in levels.items():
        found[name] = _counted(divided[name], {name: each}, own, table.place)
    if crossed := set(divided) - set(levels):
        (name,) = crossed
        found[name] = _counted(divided[name], levels, own, table.place)
    return found


def _counted(division: Division, levels: Mapping[str, Levels], weights: Floats, place: str) -> tuple[Division, Reference]:
    """The shares of a table's people by one attribute, or by all of them crossed."""
    known = np.logical_and.reduce([weights > 0, *(each.positions >= 0 for each in levels.values())])
    if not known.any():
        raise QueryError("reference", f"nobody in {place} has a level of '{division.attribute}'", "give another table")
    coded = {name: (each.names, torch.from_numpy(each.positions[known])) for name, each in levels.items()}
    groups = [*divisions(coded)][-1]
    own = torch.from_numpy(weights[known].astype(np.float64))
    total = torch.bincount(groups.member, weights=own, minlength=len(groups.names)) / own.sum()
    return _divided(division, dict(zip(groups.names, total.tolist(), strict=True)), effective_size(own))


def _known(division: Division, shares: Mapping[str, float]) -> tuple[Division, Reference]:
    name = division.attribute
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > ROUNDED:
        problem = f"the shares of '{name}' are negative or add up to {sum(shares.values()):g}, not to 1"
        raise QueryError("reference", problem, "give the share of each level in the reference population")
    if absent := [level for level in division.names if level not in shares]:
        raise QueryError(
            "reference", f"the shares of '{name}' leave out '{absent[0]}'", f"give one, perhaps 0: {nearest(absent[0], shares)}"
        )
    return _divided(division, shares, None)


def _divided(division: Division, shares: Mapping[str, float], people: float | None) -> tuple[Division, Reference]:
    """The people by all groups that either has.

    Raises:
        QueryError: they have none in common: the reference writes them otherwise.
    """
    if not set(division.names) & set(shares):
        problem = f"no group by '{division.attribute}' of the reference ({_some(shares)}) is one of the people's ({_some(division.names)})"
        raise QueryError("reference", problem, "write them alike in both")
    everyone = (*division.names, *(group for group in shares if group not in division.names))
    shown = Division(division.attribute, everyone, division.member)
    return shown, Reference({group: shares.get(group, 0.0) for group in everyone}, people)


def _some(names: Iterable[str]) -> str:
    """A few of them, in words."""
    known = list(names)
    return ", ".join(known[:FEW]) + (", ..." if len(known) > FEW else "")
