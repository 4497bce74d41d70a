"""How a table itself wrote its columns, so that coded values can be written back as its owner's own code expects them."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_integer_dtype

from cfair.data.coding import Floats, canonical, texts
from cfair.data.table import Table
from cfair.interfaces import Coding, Values
from cfair.spec import ModelSpec, NodeSpec

__all__ = ["Entries", "Written", "codings_of", "to_original"]

Entries: TypeAlias = pd.Series  # of any type, which pandas-stubs cannot say


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """How a table wrote a column.

    Args:
        entries: the entry that stands for each level, in the spec's order and in the column's own type; None of a number.
        whole: whether a count is written as a whole number.
        spellings: levels that the table spells in more than one way; ``entries`` has the most frequent.
    """

    entries: Entries | None = None
    whole: bool = False
    spellings: tuple[str, ...] = ()

    def write(self, values: Floats) -> object:
        """Coded values, shape (n,), as the table would write them."""
        if self.entries is not None:
            return self.entries.array.take(values.astype(np.int64))
        return values.astype(np.int64) if self.whole else values


def codings_of(table: Table, coded: Mapping[str, Floats], spec: ModelSpec) -> dict[str, Coding]:
    """How a table wrote each coded column, in the order of its own columns; of a CSV file, as ``pandas.read_csv`` would read it."""
    return {name: _coding(table, name, spec.nodes[name], coded[name]) for name in table.columns if name in coded}


def to_original(codings: Mapping[str, Coding], values: Values, spec: ModelSpec) -> pd.DataFrame:
    """Coded values, node -> (n,), as the table of ``codings`` would have written them, in the order of ``values``.

    Levels that a table spells in its own way or type (1, "01", True) come back so; a real number is a float; a count is a whole number
    where the table's counts are. Columns that were not read from a table are written as the spec names their levels.
    """
    return pd.DataFrame({name: _of(codings, spec, name).write(value.numpy()) for name, value in values.items()})


def _of(codings: Mapping[str, Coding], spec: ModelSpec, name: str) -> Coding:
    """How a column is written; in the spec's own words where no table says."""
    if name in codings:
        return codings[name]
    node = spec.nodes[name]
    return Written(pd.Series(node.levels, dtype=object) if node.discrete else None, whole=node.kind == "count")


def _coding(table: Table, name: str, node: NodeSpec, coded: Floats) -> Written:
    column = table.frame[name]
    if not node.discrete:
        return Written(whole=node.kind == "count" and bool(is_integer_dtype(column) or (table.csv and _whole(coded))))
    codes, written = texts(column)
    known, places = np.isfinite(coded), len(written)
    counted = np.bincount(coded[known].astype(np.int64) * places + codes[known], minlength=len(node.levels) * places)
    counts = counted.reshape(len(node.levels), places)
    chosen = [int(of.argmax()) if of.any() else None for of in counts]
    spellings = tuple(level for level, of in zip(node.levels, counts, strict=True) if (of > 0).sum() > 1)
    if table.csv:
        original = _inferred(written, missing=bool((codes < 0).any()))
    else:
        original = pd.Series(column.array[_first(codes, places)], dtype=column.dtype)
    return Written(_entries(original, chosen, node.levels), spellings=spellings)


def _whole(values: Floats) -> bool:
    return bool((values == np.rint(values)).all())


def _first(codes: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Where each of ``count`` texts occurs first."""
    first, known = np.zeros(count, dtype=np.intp), np.flatnonzero(codes >= 0)[::-1]
    first[codes[known]] = known
    return first


def _inferred(written: Sequence[str], *, missing: bool) -> Entries:
    """The distinct texts of a CSV file's column, in the type that pandas would give the column."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([["column"], *([text] for text in written), *([[""]] if missing else [])])
    buffer.seek(0)
    read = pd.read_csv(buffer, skip_blank_lines=False)["column"]
    return read.iloc[: len(written)]


def _entries(original: Entries, chosen: Sequence[int | None], levels: Sequence[str]) -> Entries:
    """The entry of each level: the chosen one, or for a level that the table lacks its name in the column's type, if that has room."""
    seen = [place for place in chosen if place is not None]
    if len(seen) == len(levels):
        return original.iloc[seen]
    values = [original.iloc[place] if place is not None else _as(original, level) for place, level in zip(chosen, levels, strict=True)]
    dtype = original.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        absent = [value for place, value in zip(chosen, values, strict=True) if place is None and value not in dtype.categories]
        return pd.Series(values, dtype=pd.CategoricalDtype([*dtype.categories, *absent], dtype.ordered))
    try:
        return pd.Series(values, dtype=dtype)
    except (TypeError, ValueError):
        return pd.Series(values, dtype=object)


def _as(original: Entries, level: str) -> object:
    """A level's name as a value of the column's kind, where it is one."""
    first = next(iter(original.dropna().tolist()), "")
    if isinstance(first, bool):
        return {"true": True, "false": False}.get(canonical(level), level)
    try:
        return type(first)(canonical(level)) if isinstance(first, int | float) else level
    except ValueError:
        return level
