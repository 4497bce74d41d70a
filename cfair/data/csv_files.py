"""CSV files: every entry as the text that stands there, so that ``NA``, ``None`` and ``01`` can be levels."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow

from cfair.errors import DataError

__all__ = ["csv_columns", "csv_lines", "csv_names"]


def csv_names(path: Path, data: bytes) -> list[str]:
    """The names in the header of a file's bytes.

    Raises:
        DataError: the bytes are not UTF-8 text, or a quotation mark is never closed.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}", "is not UTF-8 text", "save it as a CSV file in UTF-8") from error
    records = _records(text)
    try:
        _, names = next(records, (1, []))
        if text.count('"') % 2:  # only then can one be open at the end; anything else that is odd is a mark within an entry
            for _ in records:
                pass
    except csv.Error as error:
        raise DataError(str(path), f"is not a CSV file: {error}", "close every quotation mark") from error
    return names


def csv_columns(path: Path, data: bytes, wanted: Sequence[str]) -> pd.DataFrame:
    """The ``wanted`` columns as text, one row per row of the file.

    Raises:
        DataError: a row has more or fewer entries than the header.
    """
    ragged: list[arrow.InvalidRow] = []

    def refuse(row: arrow.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    try:
        table = arrow.read_csv(
            pa.BufferReader(data if data.endswith(b"\n") else data + b"\n"),  # a header alone is a table without rows, not an error
            read_options=arrow.ReadOptions(use_threads=False),  # with threads, a ragged row does not know its number
            parse_options=arrow.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
            convert_options=arrow.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())),
        )
    except pa.ArrowException as error:
        raise _unreadable(path, ragged, str(error)) from error
    as_text = {pa.string(): pd.ArrowDtype(pa.string())}.get  # alike and fast in pandas 2 and 3
    return table.select(wanted).to_pandas(types_mapper=as_text) if wanted else pd.DataFrame(index=range(table.num_rows))


def csv_lines(path: Path, rows: Sequence[int]) -> list[int]:
    """The lines, from 1, on which these rows begin, in increasing order: not always row + 2, for entries may contain line breaks."""
    records = islice(_records(path.read_text("utf-8-sig"), strict=False), 1, rows[-1] + 2)
    try:
        return [line for row, (line, _) in enumerate(records) if row in rows]
    except csv.Error:  # an entry longer than Python's reader takes
        return []


def _records(text: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """The line on which each record begins, and its entries; blank lines are no records."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=strict)
    line = 1
    for entries in reader:
        if entries:
            yield line, entries
        line = reader.line_num + 1


def _unreadable(path: Path, ragged: Sequence[arrow.InvalidRow], problem: str) -> DataError:
    """What is wrong with a file in which rows differ in length, or that is broken in another way."""
    if not ragged:
        return DataError(str(path), f"is not a CSV file: {problem.splitlines()[0]}", "save it again as CSV")
    row, expected, found = ragged[0].number - 2, ragged[0].expected_columns, ragged[0].actual_columns
    where = "".join(f" (line {line})" for line in csv_lines(path, [row]))
    return DataError(
        f"{path}, row {row}{where}",
        f"has {found} entries where the header has {expected}",
        "put an entry that contains a comma in quotation marks",
    )
