"""A population that the people of a table are held against: another table of people, or known shares."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch

from cfair.comparing import Division
from cfair.comparing.representation import Reference
from cfair.data.reading import refuse_absent
from cfair.data.sources import Source, open_table
from cfair.data.weighing import weigh
from cfair.errors import QueryError, nearest
from cfair.surveying.attributes import level_of
from cfair.surveying.question import Question
from cfair.surveying.records import Surveyed
from cfair.weights import effective_size

__all__ = ["Shares", "references_of"]

Shares: TypeAlias = Mapping[str, Mapping[str, float]]  # attribute -> level -> its share
ROUNDED = 5e-3  # by which shares may fail to add up to 1


def references_of(reference: "Source | Shares | None", surveyed: Surveyed, question: Question) -> dict[str, tuple[Division, Reference]]:
    """Attribute -> the people by its levels, those of the reference among them, and its shares there.

    Args:
        reference: a table with the attributes' columns (weighted by a column of the same name as the people's, if it has one), or
            attribute -> level -> share.
        surveyed: the people.
        question: how their attributes were read.

    Raises:
        DataError: the table cannot be read, or lacks an attribute.
        QueryError: shares of what is no attribute, that do not add up to 1, or that leave out a level that somebody has.
    """
    if reference is None:
        return {}
    if isinstance(reference, pd.DataFrame | str | Path):
        return {name: _of_table(reference, name, surveyed, question) for name in question.attributes}
    for name in reference:
        if name not in surveyed.attributes:
            raise QueryError("reference", f"'{name}' is not one of the attributes", nearest(name, question.attributes))
    return {name: _known(name, shares, surveyed) for name, shares in reference.items()}


def _of_table(reference: Source, name: str, surveyed: Surveyed, question: Question) -> tuple[Division, Reference]:
    table = open_table(reference, (name, *([question.weights] if question.weights is not None else [])))
    refuse_absent(table, (name,))
    levels = level_of(table, name, question.bins.get(name), surveyed.attributes[name][0])
    own = weigh(table, str(question.weights)) if question.weights in table.columns else np.ones(len(table.frame))
    known = (levels.positions >= 0) & (own > 0)
    if not known.any():
        raise QueryError("reference", f"nobody in {table.place} has a level of '{name}'", "give another table")
    weights = own[known]
    total = np.bincount(levels.positions[known], weights=weights, minlength=len(levels.names)) / weights.sum()
    people = effective_size(torch.from_numpy(weights))
    return _divided(name, dict(zip(levels.names, total.tolist(), strict=True)), surveyed, people)


def _known(name: str, shares: Mapping[str, float], surveyed: Surveyed) -> tuple[Division, Reference]:
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > ROUNDED:
        problem = f"the shares of '{name}' are negative or add up to {sum(shares.values()):g}, not to 1"
        raise QueryError("reference", problem, "give the share of each level in the reference population")
    if absent := [level for level in surveyed.attributes[name][0] if level not in shares]:
        raise QueryError(
            "reference", f"the shares of '{name}' leave out '{absent[0]}'", f"give one, perhaps 0: {nearest(absent[0], shares)}"
        )
    return _divided(name, shares, surveyed, None)


def _divided(name: str, shares: Mapping[str, float], surveyed: Surveyed, people: float | None) -> tuple[Division, Reference]:
    """The people by all levels that either has."""
    names, member = surveyed.attributes[name]
    everyone = (*names, *(level for level in shares if level not in names))
    return Division(name, everyone, member), Reference({level: shares.get(level, 0.0) for level in everyone}, people)
