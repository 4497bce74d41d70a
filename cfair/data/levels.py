"""A column that no spec declares, by its levels, or as numbers."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

from cfair.data.coding import MISSING, NUMBER, Floats, as_text, canonical, texts
from cfair.data.table import Table, likely, shown

__all__ = ["Levels", "is_number", "level_places", "read_levels"]


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """A column by its levels.

    Args:
        names: of the levels that somebody has, in order.
        positions: of each row's level among them, shape (n,); -1 where there is no entry.
    """

    names: tuple[str, ...]
    positions: NDArray[np.int64]

    @property
    def floats(self) -> Floats:
        """The positions as a coded column, shape (n,): NaN where there is no entry."""
        return np.where(self.positions < 0, np.nan, self.positions)


def read_levels(table: Table, column: str, declared: Sequence[str] = ()) -> Levels:
    """The levels of a column. They compare by their text, as everywhere: 1, 1.0, "1" and "01" are one level.

    They stand in the order in which they are ``declared``, else in that of a pandas categorical, else sorted: as numbers if all are, false
    before true, or by the alphabet. An entry that spells no value (as NA does) is a missing one unless it is declared.
    """
    codes, written = texts(table.frame[column])
    own = {canonical(level): level for level in declared} | {level: level for level in declared}
    names = [own.get(text, own.get(canonical(text), canonical(text))) for text in written]
    absent = {text for text in written if text not in own and re.match(MISSING, text.strip())}
    present = [names[i] for i in np.unique(codes[codes >= 0]) if written[i] not in absent]
    ordered = _ordered(set(present), [*declared, *_categories(table.frame[column])])
    place = {name: i for i, name in enumerate(ordered)}
    positions = np.array([*(-1 if text in absent else place.get(name, -1) for text, name in zip(written, names, strict=True)), -1])
    return Levels(tuple(ordered), positions[codes].astype(np.int64))


def is_number(table: Table, column: str) -> bool:
    """Whether every entry of a column is a number, and not a truth value; a column without any entry is none."""
    values = table.frame[column]
    if is_bool_dtype(values) or is_complex_dtype(values):
        return False
    if is_numeric_dtype(values):
        return bool(values.notna().any())
    text = pc.utf8_trim_whitespace(as_text(values)).unique()
    known = text.filter(pc.invert(pc.fill_null(pc.match_substring_regex(text, MISSING), fill_value=True)))
    return len(known) > 0 and bool(pc.all(pc.match_substring_regex(known, NUMBER)).as_py())


def level_places(table: Table, column: str, levels: Sequence[str], *, what: str, mend: str = "use one of") -> Floats:
    """The place of each entry among ``levels``, shape (n,); NaN where there is no entry.

    Args:
        table: has the column.
        column: its name.
        levels: that an entry may be.
        what: a level is, for messages.
        mend: what to do about an entry that is none and like none.

    Raises:
        DataError: an entry is no level; the message names the rows.
    """
    found = read_levels(table, column, levels)
    foreign = [name for name in found.names if name not in levels]
    if foreign:
        wrong = np.isin(found.positions, [found.names.index(name) for name in foreign])
        raise table.misfit(column, wrong, f"'{shown(foreign[0])}' is not {what}", likely(foreign[0], levels, mend))
    place = np.array([*(float(levels.index(name)) for name in found.names), np.nan])
    return place[found.positions]


def _ordered(names: Collection[str], declared: Sequence[str]) -> list[str]:
    """The names in the order of ``declared``; those that are not declared after them, sorted."""
    first = [name for name in dict.fromkeys(declared) if name in names]
    rest = sorted(set(names) - set(first))
    return first + (sorted(rest, key=float) if all(re.match(NUMBER, name) for name in rest) else rest)


def _categories(column: "pd.Series[str]") -> list[str]:
    """The categories of a pandas categorical, in its order."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return []
    return [canonical(text) for text in texts(pd.Series(column.dtype.categories))[1]]
