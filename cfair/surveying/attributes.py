"""What people are compared by, read as the columns themselves say: levels, bins of a number, or the number itself."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cfair.data.coding import Floats, numbers
from cfair.data.levels import Levels, is_number, read_levels
from cfair.data.table import Table, shown
from cfair.errors import DataError, QueryError
from cfair.spec import ModelSpec
from cfair.surveying.outcomes import MOST_LEVELS
from cfair.surveying.question import Question

__all__ = ["MOST_NUMBERS", "attributes_of", "level_of"]

NO_BINS = "write numbers with a point, or leave its bins out"
MOST_NUMBERS = 20  # distinct numbers of an attribute, beyond which they are no groups by themselves


def attributes_of(table: Table, question: Question, spec: ModelSpec | None) -> tuple[dict[str, Levels], dict[str, Floats]]:
    """The attributes that divide people, by their levels or bins, and those that are numbers, as they are; one with bins is both.

    Raises:
        QueryError: an attribute has too many levels.
        DataError: a number lies outside its bins, or nobody has an entry.
    """
    levels, measured = dict[str, Levels](), dict[str, Floats]()
    for name in question.attributes:
        declared = spec.nodes[name].levels if spec is not None and name in spec.nodes else ()
        bounds = question.bins.get(name)
        if bounds is not None or (not declared and _is_continuous(table, name)):
            measured[name] = numbers(table, name, text=NO_BINS)
        if bounds is not None or name not in measured:
            levels[name] = level_of(table, name, bounds, declared)
    return levels, measured


def _is_continuous(table: Table, name: str) -> bool:
    """Whether a column holds more numbers than there could be groups."""
    return is_number(table, name) and len(read_levels(table, name).names) > MOST_NUMBERS


def level_of(table: Table, name: str, bounds: Sequence[float] | None, declared: Sequence[str] = ()) -> Levels:
    """An attribute's column by its levels, or by its bins.

    Raises:
        QueryError: it has too many levels.
        DataError: a number lies outside its bins.
    """
    if bounds is not None:
        return cut(table, name, bounds)
    found = read_levels(table, name, declared)
    if len(found.names) > MOST_LEVELS:
        raise QueryError("attributes", f"'{shown(name)}' has {len(found.names):,} levels", "merge some, or name another column")
    if not found.names:
        raise DataError(f"{table.place}, column '{shown(name)}'", "the attribute is missing in every row", "name another column")
    return found


def cut(table: Table, name: str, bounds: Sequence[float]) -> Levels:
    """A number in bins [low, high), the last one [low, high].

    Raises:
        DataError: it lies outside of all.
    """
    values = numbers(table, name, text=NO_BINS)
    outside = (values < bounds[0]) | (values > bounds[-1])
    if outside.any():
        whole = f"{np.nanmin(values):.15g} to {np.nanmax(values):.15g}"
        raise table.misfit(name, outside, f"{values[outside][0]:.15g} is in none of the bins", f"bound them so that they hold {whole}")
    last = len(bounds) - 2
    names = [f"[{low:g}, {high:g}{']' if i == last else ')'}" for i, (low, high) in enumerate(pairwise(bounds))]
    place = np.minimum(np.searchsorted(np.asarray(bounds), values, side="right") - 1, last)
    return Levels(tuple(names), np.where(np.isnan(values), -1, place).astype(np.int64))
