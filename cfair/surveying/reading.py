"""A table surveyed: its columns read by the roles that were given them, everything refused before any work."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfair.comparing.dividing import divisions
from cfair.comparing.proxies import Feature
from cfair.data.coding import Floats, numbers
from cfair.data.levels import Levels, is_number, read_levels
from cfair.data.reading import refuse_absent
from cfair.data.sources import Source, open_table
from cfair.data.table import Table, shown
from cfair.data.weighing import weigh
from cfair.errors import DataError
from cfair.spec import ModelSpec
from cfair.surveying.attributes import attributes_of
from cfair.surveying.outcomes import judgements_of, outcome_of, read_outcome, read_prediction
from cfair.surveying.question import Question
from cfair.surveying.records import Surveyed
from cfair.weights import evened

__all__ = ["read"]


def read(source: Source, question: Question, spec: ModelSpec | None = None) -> Surveyed:
    """The people of a table as the question takes them.

    Args:
        source: a DataFrame, a file, or a built-in table's name.
        question: which columns are what.
        spec: says how levels are ordered, where its nodes are columns.

    Raises:
        DataError: the table cannot be read, lacks a column or a value, or a column is not what its role asks for.
        QueryError: a threshold, a positive level or bins that the columns do not have.
    """
    table = _open(source, question)
    attributes, measured = attributes_of(table, question, spec)
    values, levels = read_outcome(table, question, spec)
    coded = {question.outcome: values} | {name: each for name, each in measured.items() if name not in attributes}
    coded |= {name: read_prediction(table, name, (values, levels), question.outcome) for name in question.predictions}
    coded |= {name: numbers(table, name) for name in question.scores}
    weights = None if question.weights is None else weigh(table, question.weights)
    known = _known(table, coded, attributes, drop=question.missing == "drop")
    kept = np.flatnonzero(known if weights is None else known & (weights > 0))
    _check_left(table, coded[question.outcome][kept], levels)
    outcome = outcome_of(coded[question.outcome][kept], levels, question)
    grouped = {name: _present(each, kept, known) for name, each in attributes.items()}
    surveyed = Surveyed(
        table=table,
        sha256=table.sha256 or _fingerprint(coded, attributes, weights),
        outcome=outcome,
        judged=judgements_of({name: each[kept] for name, each in coded.items()}, outcome, question),
        attributes=grouped,
        numbers={name: torch.from_numpy(each[kept] + 0.0) for name, each in measured.items()},
        bins=question.bins,
        divisions=tuple(divisions(grouped)),
        weights=None if weights is None else evened(torch.from_numpy(weights[kept])),
        weightless=0 if weights is None else int((weights == 0).sum()),
        dropped=int((~known).sum()),
        lost={name: gone for name, each in attributes.items() if (gone := _lost(each, known))},
    )
    return _beside(surveyed, question, coded, attributes, weights, kept)


def _open(source: Source, question: Question) -> Table:
    """The table with all of its columns where proxies are asked for, else those that have a role."""
    table = open_table(source, None if question.proxies else question.columns)
    refuse_absent(table, question.columns)
    if not len(table.frame):
        raise DataError(table.place, "has no rows", "give at least one below the header")
    return table


def _known(table: Table, coded: Mapping[str, Floats], attributes: Mapping[str, Levels], *, drop: bool) -> NDArray[np.bool_]:
    """The rows that have all that is needed; refuses the others unless they are to be dropped.

    Raises:
        DataError: with the rows.
    """
    gaps = {name: np.isnan(values) for name, values in coded.items()} | {name: each.positions < 0 for name, each in attributes.items()}
    gaps = {name: gap for name, gap in gaps.items() if gap.any()}
    if gaps and not drop:
        where = "; ".join(f"column '{shown(name)}', {table.rows(gap)}" for name, gap in gaps.items())
        counts = ", ".join(f"{gap.sum():,} in '{shown(name)}'" for name, gap in gaps.items())
        mend = "fill them in, or leave these rows out (--missing drop)"
        raise DataError(f"{table.place}, {where}", f"missing values: {counts}", mend)
    gap: NDArray[np.bool_] = np.logical_or.reduce([np.zeros(len(table.frame), bool), *gaps.values()])
    return ~gap


def _check_left(table: Table, y: Floats, levels: tuple[str, ...]) -> None:
    """Refuse a table of which nothing is left, or one number as everyone's outcome; of levels one alone has rates, too.

    Raises:
        DataError: with what is left.
    """
    if len(y) == 0:
        raise DataError(table.place, "no row has all that is needed and a weight above 0", "fill some of them in")
    if not levels and (y == y[0]).all():
        raise DataError(table.place, f"the outcome is the same in all {len(y):,} rows that can be used", "give rows in which it varies")


def _present(levels: Levels, kept: NDArray[np.int64], known: NDArray[np.bool_] | None = None) -> tuple[tuple[str, ...], Tensor]:
    """The levels that somebody of the kept rows has, or of the known ones whatever they weigh, and each kept row's place among them."""
    some = np.unique(levels.positions[kept if known is None else known])
    return tuple(levels.names[i] for i in some), torch.from_numpy(np.searchsorted(some, levels.positions[kept]))


def _lost(levels: Levels, known: NDArray[np.bool_]) -> tuple[str, ...]:
    """The levels of which no row has all that is needed."""
    some = set(np.unique(levels.positions[known]).tolist())
    return tuple(name for i, name in enumerate(levels.names) if i not in some and (levels.positions == i).any())


def _beside(
    surveyed: Surveyed,
    question: Question,
    coded: Mapping[str, Floats],
    attributes: Mapping[str, Levels],
    weights: Floats | None,
    kept: NDArray[np.int64],
) -> Surveyed:
    """The same with what the other columns hold, and where the table has holes."""
    table = surveyed.table
    others = [name for name in table.columns if name not in question.columns] if question.proxies else []
    features = [_feature(table, name) for name in others]
    grouped = np.logical_and.reduce([np.ones(len(table.frame), bool), *(each.positions >= 0 for each in attributes.values())])
    rows = np.flatnonzero(grouped if weights is None else grouped & (weights > 0))
    gone = {name: torch.from_numpy(np.isnan(values)) for name, values in coded.items()}
    gone |= {feature.name: feature.values.isnan() for feature in features}
    at = torch.from_numpy(rows)
    return replace(
        surveyed,
        missing={name: gap[at] for name, gap in gone.items() if gap[at].any()},
        holed=tuple(divisions({name: _present(each, rows) for name, each in attributes.items()})),
        holed_weights=None if weights is None else torch.from_numpy(weights[rows]),
        features=tuple(replace(feature, values=feature.values[torch.from_numpy(kept)]) for feature in features),
        unused=tuple(name for name in table.columns if name not in question.columns and name not in others),
    )


def _feature(table: Table, name: str) -> Feature:
    """A column from which an attribute may be predicted; what is infinite in it is taken for no entry."""
    number = is_number(table, name)
    finite = replace(table, frame=table.frame[[name]].replace([np.inf, -np.inf], np.nan)) if number else table
    values = numbers(finite, name) if number else read_levels(table, name).floats
    return Feature(name, torch.from_numpy(values.copy()), leveled=not number)


def _fingerprint(coded: Mapping[str, Floats], attributes: Mapping[str, Levels], weights: Floats | None) -> str:
    """The SHA-256 of what was read of a DataFrame, the same whatever types of column it came in."""
    columns = {**coded, **{f"{name}: {each.names}": each.floats for name, each in attributes.items()}}
    digest = hashlib.sha256()
    for name, values in (columns if weights is None else {**columns, "weights": weights}).items():
        digest.update(name.encode(errors="replace") + np.where(np.isnan(values), np.nan, values).tobytes())
    return digest.hexdigest()
