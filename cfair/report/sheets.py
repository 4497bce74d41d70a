"""A titled table of text: what a report is made of, whether it is printed or written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from cfair.report.numbers import align

__all__ = ["Sheet", "lined_up", "parts"]

SPACE = 2  # characters between columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A title, a note, a table and a last word.

    Args:
        title: what it is about.
        note: how to read it.
        header: the columns' names; a line break in one is a break in the terminal.
        rows: as many texts each.
        names: leading columns of words; the others hold figures, unless ``prose``.
        keys: leading columns that every part of a sheet that is too wide repeats.
        prose: the last column is text that may be wrapped.
        after: lines below the table.
    """

    title: str
    note: str = ""
    header: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    names: int = 1
    keys: int = 1
    prose: bool = False
    after: tuple[str, ...] = ()


def lined_up(sheet: Sheet) -> Sheet:
    """The same sheet with its figures padded to stand below one another."""
    if sheet.prose or not sheet.rows:
        return sheet
    columns = [list(column) if i < sheet.names else align(column) for i, column in enumerate(zip(*sheet.rows, strict=True))]
    return replace(sheet, rows=tuple(zip(*columns, strict=True)))


def parts(sheet: Sheet, width: int) -> Iterator[tuple[int, ...]]:
    """Positions of the columns of tables no wider than ``width`` that together show the sheet; each repeats the keys."""
    keys = tuple(range(min(sheet.keys, len(sheet.header))))
    if sheet.prose:
        yield tuple(range(len(sheet.header)))
        return
    part: tuple[int, ...] = keys
    for column in range(sheet.keys, len(sheet.header)):
        if part != keys and _width(sheet, (*part, column)) > width:
            yield part
            part = keys
        part = (*part, column)
    yield part


def _width(sheet: Sheet, columns: Sequence[int]) -> int:
    """How wide these columns are, with the space between them."""
    widest = [max([*map(cell_len, sheet.header[i].split("\n")), *(cell_len(row[i]) for row in sheet.rows)]) for i in columns]
    return sum(widest) + SPACE * (len(widest) - 1)
