"""Columns of a table that no node describes, carried along beside those that are coded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from cfair.data.catalogue import builtin_path
from cfair.data.coding import Floats
from cfair.data.codings import Entries
from cfair.data.sources import open_table
from cfair.data.table import likely
from cfair.errors import DataError
from cfair.interfaces import Columns

__all__ = ["Carried", "carry", "original_columns"]


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """A column that no node describes: its values in the table are coded by their position among the distinct ones.

    Args:
        entries: the distinct ones, in the column's own type.
    """

    entries: Entries

    def write(self, values: Floats) -> object:
        """Coded values, shape (n,), as the table wrote them."""
        return self.entries.array.take(values.astype(np.int64))


def carry(columns: Columns, table: pd.DataFrame) -> Columns:
    """The people with further columns of their table, which go through every world unchanged.

    Args:
        columns: people, whose ``rows`` are positions in the table.
        table: the further columns, with a row for each of the table's rows.
    """
    coded, codings = dict(columns.coded), dict(columns.codings)
    for name in map(str, table.columns):
        codes, entries = pd.factorize(table[name], use_na_sentinel=False)
        coded[name] = columns.rows.new_tensor(codes)[columns.rows].double()
        codings[name] = Carried(pd.Series(entries))
    return replace(columns, coded=coded, codings=codings)


def original_columns(source: str | Path, names: Sequence[str]) -> pd.DataFrame:
    """Columns of a file or a built-in table as pandas reads them, whatever the spec says.

    Raises:
        DataError: the table cannot be read, or lacks one of them.
    """
    table = open_table(source, ())
    for name in names:
        if name not in table.columns:
            raise DataError(table.place, f"there is no column '{name}'", likely(name, table.columns, "the table has"))
    builtin = isinstance(source, str) and not set(source) & set("./\\")
    path = builtin_path(source) if isinstance(source, str) and builtin else Path(source)
    return pd.read_csv(path, usecols=list(names))[list(names)] if table.csv else pd.read_parquet(path, columns=list(names))
