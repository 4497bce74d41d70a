"""Parquet files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from cfair.errors import DataError

__all__ = ["parquet_columns", "parquet_names"]


def parquet_names(path: Path, data: bytes) -> list[str]:
    """The names of the columns in a file's bytes, named levels of an index among them.

    Raises:
        DataError: the bytes are not a parquet file.
    """
    try:
        names = parquet.read_schema(pa.BufferReader(data)).names
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    return [name for name in names if not name.startswith("__index_level_")]  # pandas' row labels, which nobody named


def parquet_columns(path: Path, data: bytes, wanted: Sequence[str]) -> pd.DataFrame:
    """The ``wanted`` columns, one row per row of the file.

    Raises:
        DataError: the file is damaged.
    """
    try:
        table = parquet.read_table(pa.BufferReader(data), columns=list(wanted), use_threads=False)
        return table.to_pandas(ignore_metadata=True) if wanted else pd.DataFrame(index=range(table.num_rows))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(str(path), f"is not a parquet file that can be read: {str(error).splitlines()[0]}", "write it again as parquet")
