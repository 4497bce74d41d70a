"""Columns as given, coded as the spec declares: numbers as they are, levels by their position."""

import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype, is_string_dtype

from cfair.data.table import Table, likely, shown
from cfair.spec import NodeSpec, level_text

__all__ = ["MISSING", "NUMBER", "Floats", "as_text", "canonical", "code", "numbers", "texts"]

Floats: TypeAlias = NDArray[np.float64]

# text that stands for no entry, unless it is a level: what pandas takes for one in CSV
MISSING = r"^(|#N/A|#N/A N/A|#NA|-?1\.#IND|-?1\.#QNAN|-?NaN|-?nan|<NA>|N/A|n/a|NA|NULL|null|None)$"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NUMBER_OR_INFINITE = rf"{NUMBER}|^[+-]?(?i:inf|infinity)$"
NO_TEXT = "write numbers with a point, or declare the node with levels"
NO_INFINITY = "write a number, or leave the entry empty and drop the row"
UNKNOWN = -1.0  # position of an entry that is no level


def code(table: Table, name: str, node: NodeSpec) -> Floats:
    """The values of one column, shape (n,): numbers, or positions of levels; NaN where there is no entry. Counts are not rounded yet.

    Levels compare by their text: an entry is the level that it spells, else the one that it equals as a number or as a boolean, so that
    1, 1.0, "1" and "01" are the level "1", and True is "true". Spaces around an entry do not count.

    Raises:
        DataError: an entry is no level, no number, infinite, or no count; the message names the rows.
    """
    if node.discrete:
        return _positions(table, name, node.levels)
    values = numbers(table, name)
    if node.kind == "count":
        _refuse_no_count(table, name, values, rounds=node.round)
    return values


def _positions(table: Table, name: str, levels: Sequence[str]) -> Floats:
    """The position of each entry among ``levels``."""
    known = {canonical(level): float(i) for i, level in enumerate(levels)} | {level: float(i) for i, level in enumerate(levels)}
    codes, written = texts(table.frame[name])
    absent = [np.nan if re.match(MISSING, text.strip()) else UNKNOWN for text in written]
    found = [known.get(text, known.get(canonical(text), none)) for text, none in zip(written, absent, strict=True)]
    coded = np.array([*found, np.nan])[codes]
    unknown = [text for text, position in zip(written, found, strict=True) if position == UNKNOWN]
    if unknown:
        raise table.misfit(name, coded == UNKNOWN, _none_of(unknown, "a declared level"), likely(unknown[0], levels, "use one of"))
    return coded


def numbers(table: Table, name: str, *, text: str = NO_TEXT, infinity: str = NO_INFINITY) -> Floats:
    """The finite number that each entry of a column is, shape (n,); NaN where there is no entry.

    Args:
        table: has the column.
        name: of the column.
        text: how to mend entries that are no number.
        infinity: how to mend infinite ones.

    Raises:
        DataError: an entry is no number, or infinite; the message names the rows.
    """
    column = table.frame[name]
    if is_numeric_dtype(column) and not is_bool_dtype(column) and not is_complex_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = _parsed(table, name, text)
    infinite = np.isinf(values)
    if infinite.any():
        problem = f"'{shown(column[infinite].iloc[0])}' is infinite"
        raise table.misfit(name, infinite, problem, infinity)
    return values


def _parsed(table: Table, name: str, mend: str) -> Floats:
    """The number that each entry's text spells."""
    text = pc.utf8_trim_whitespace(as_text(table.frame[name]))
    text = pc.if_else(pc.match_substring_regex(text, MISSING), pa.scalar(None, pa.string()), text)
    wrong = pc.fill_null(pc.invert(pc.match_substring_regex(text, NUMBER_OR_INFINITE)), fill_value=False)
    if pc.any(wrong).as_py():
        problem = _none_of(pc.unique(text.filter(wrong)).to_pylist(), "a number")
        raise table.misfit(name, wrong.to_numpy(), problem, mend)
    return np.asarray(pc.cast(text, pa.float64()).to_numpy(), dtype=np.float64)  # no entry becomes NaN


def _refuse_no_count(table: Table, name: str, values: Floats, *, rounds: bool) -> None:
    """Refuse numbers that count nothing."""
    negative = values < 0
    if negative.any():
        raise table.misfit(name, negative, f"{values[negative][0]:g} is negative, and counts are not", "correct it, or use 'gaussian'")
    fractional = np.isfinite(values) & (values != np.rint(values))
    if fractional.any() and not rounds:
        problem = f"{values[fractional][0]:g} is not a whole number, and counts are"
        raise table.misfit(name, fractional, problem, f"declare 'round: true' for '{name}' to round it")


def as_text(column: "pd.Series[str]") -> pa.ChunkedArray:
    """Each entry's text, null where there is no entry."""
    if column.dtype != object and is_string_dtype(column):
        return pa.Table.from_pandas(column.to_frame("text"), pa.schema([("text", pa.string())]), preserve_index=False).column(0)
    codes, written = texts(column)
    sound = [text.encode(errors="replace").decode() for text in written]  # Python's text may hold half of a surrogate pair, Arrow's not
    return pa.chunked_array([pa.array([*sound, None], pa.string()).take(pa.array(codes % (len(sound) + 1)))])


def texts(column: "pd.Series[str]") -> tuple[NDArray[np.intp], list[str]]:
    """Each entry as a position among the distinct texts, -1 where there is no entry; and these texts, in the order in which they occur."""
    try:
        codes, distinct = pd.factorize(column)
    except TypeError:  # lists and the like
        codes, distinct = pd.factorize(column.astype(str))
    return codes, [level_text(value) for value in distinct]


def canonical(text: str) -> str:
    """``1`` for "1.0" and "01", ``true`` for "True", without the spaces around it."""
    text = text.strip()
    if re.match(NUMBER, text):
        return level_text(float(text))
    return text.lower() if text.lower() in {"true", "false"} else text


def _none_of(wrong: Sequence[str], what: str) -> str:
    """``'x' is not a number``, with a word on the other texts that are not."""
    more = f" (nor is '{shown(wrong[1])}')" if len(wrong) == 2 else f" (nor are {len(wrong) - 1} other values)" if len(wrong) > 2 else ""
    return f"'{shown(wrong[0])}' is not {what}{more}"
