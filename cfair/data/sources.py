"""A DataFrame, a file or a built-in table, opened: the columns that the spec names, still as given, and what the table is."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pandas as pd

from cfair.data.catalogue import builtin_path
from cfair.data.csv_files import csv_columns, csv_names
from cfair.data.parquet_files import parquet_columns, parquet_names
from cfair.data.table import Table, shown
from cfair.errors import DataError

__all__ = ["Source", "open_table"]

Source: TypeAlias = pd.DataFrame | Path | str


class _Reader(NamedTuple):
    """How files of one format are read: the names in their bytes, then the columns wanted."""

    names: Callable[[Path, bytes], list[str]]
    columns: Callable[[Path, bytes, Sequence[str]], pd.DataFrame]


READERS = {".csv": _Reader(csv_names, csv_columns), ".parquet": _Reader(parquet_names, parquet_columns)}


def open_table(source: Source, wanted: Collection[str] | None) -> Table:
    """The ``wanted`` columns, all if None, of a DataFrame, a file (a Path, or a str with "." or "/"), or the built-in table of that name.

    Raises:
        DataError: there is no such file or built-in table, or it cannot be read as a table.
    """
    if isinstance(source, pd.DataFrame):
        return _from_frame(source, wanted)
    if isinstance(source, str) and not set(source) & set("./\\"):
        return replace(_from_file(builtin_path(source), wanted), name=source, place=source)
    return _from_file(Path(source), wanted)


def _from_frame(frame: pd.DataFrame, wanted: Collection[str] | None) -> Table:
    """A DataFrame by its columns' names, whatever their type; its index stays with its owner."""
    names = _distinct("DataFrame", [str(name) for name in frame.columns])
    seen = {name: frame.iloc[:, i].reset_index(drop=True) for i, name in enumerate(names) if wanted is None or name in wanted}
    return Table("DataFrame", "DataFrame", pd.DataFrame(seen, index=range(len(frame))), names)


def _from_file(path: Path, wanted: Collection[str] | None) -> Table:
    """A file, by its extension."""
    reader = _reader(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror}", "check that you may read it") from error
    if not data[:4096].strip() and not data.strip():  # the copy only where it may be so
        raise DataError(str(path), "is empty", "give a table with a header and at least one row")
    names = _distinct(str(path), reader.names(path, data))
    frame = reader.columns(path, data, [name for name in names if wanted is None or name in wanted])
    csv = path if path.suffix.lower() == ".csv" else None
    return Table(path.name, str(path), frame, names, hashlib.sha256(data).hexdigest(), csv)


def _reader(path: Path) -> _Reader:
    """What reads this file, by its extension."""
    if path.is_dir():
        raise DataError(str(path), "is a folder, not a table", "name a .csv or .parquet file in it")
    if not path.exists():
        raise DataError(str(path), "there is no such file", "check the path; 'cfair data' lists the built-in tables")
    if path.suffix.lower() not in READERS:
        problem = f"'{path.suffix}' is not a table's extension" if path.suffix else "has no extension"
        raise DataError(str(path), problem, "save it as .csv or .parquet")
    return READERS[path.suffix.lower()]


def _distinct(place: str, names: Sequence[str]) -> tuple[str, ...]:
    """The columns' names, none of them twice."""
    for i, name in enumerate(names):
        if name in names[:i]:
            raise DataError(place, f"two columns are called '{shown(name)}'", "rename or remove one of them")
    return tuple(names)
