"""A table before coding, and where in it a mistake is."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cfair.data.csv_files import csv_lines
from cfair.errors import DataError

__all__ = ["Table", "likely", "shown"]

FIRST = 5  # rows that a message names before it only counts


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table before coding.

    Args:
        name: the built-in table's name, the file's name, or "DataFrame".
        place: where it is, for messages.
        frame: the columns asked for that the table has; row i is the table's row i.
        columns: the names of all of its columns, in order.
        sha256: of the file's bytes; empty for a DataFrame, which is fingerprinted once coded.
        csv: the CSV file that it was read from, if it was.
    """

    name: str
    place: str
    frame: pd.DataFrame
    columns: tuple[str, ...]
    sha256: str = ""
    csv: Path | None = None

    def rows(self, which: NDArray[np.bool_]) -> str:
        """The rows in ``which``, shape (n,), 0-based, with their lines in a CSV file: ``rows 3, 8 and 14 (lines 5, 10 and 16)``."""
        positions: list[int] = np.flatnonzero(which)[:FIRST].tolist()
        more = int(which.sum()) - len(positions)
        lines = csv_lines(self.csv, positions) if self.csv else []
        where = f" ({_listed('line', lines, 0)})" if lines else ""
        return _listed("row", positions, more) + where

    def misfit(self, column: str, which: NDArray[np.bool_], problem: str, mend: str) -> DataError:
        """The error that the rows in ``which``, shape (n,), of a column do not fit the spec."""
        return DataError(f"{self.place}, column '{shown(column)}', {self.rows(which)}", problem, mend)


def shown(value: object) -> str:
    """A value as a message shows it: on one line, and not all of a long text."""
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def likely(word: str, words: Sequence[str], otherwise: str) -> str:
    """The mend for ``word``: that of ``words`` which differs only in capitals, else a near one, else ``otherwise`` and all of them."""
    same = [each for each in words if each.lower() == word.strip().lower()]
    close = same or get_close_matches(word, words, n=1)
    return f"did you mean '{shown(close[0])}'?" if close else f"{otherwise}: {', '.join(map(shown, words))}"


def _listed(noun: str, numbers: Sequence[int], more: int) -> str:
    """``row 3``, ``rows 3 and 8``, ``rows 3, 8, 14, 20, 21 and 7 more``."""
    words = [str(number) for number in numbers] + ([f"{more} more"] if more else [])
    return f"{noun} {words[0]}" if len(words) == 1 else f"{noun}s {', '.join(words[:-1])} and {words[-1]}"
