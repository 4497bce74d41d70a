"""Numbers as a report writes them: three or four significant digits, an exact 0 as ``0``, lined up at the point."""

import math
import re
from collections.abc import Sequence

from cfair.auditing import Row

__all__ = ["ROUNDING", "align", "figure", "plain", "unrounded"]

UNDEFINED = "undefined"
SMALLEST, LARGEST = 1e-4, 1e6  # between them numbers are written out, beyond with an exponent
ROUNDING = 1e-9  # nothing but rounding error below it: an interval would say nothing
MOST_DECIMALS = 5


def figure(row: Row | None) -> str:
    """``0.866 [0.849, 0.884]``: a value and its interval, in as many decimals as the largest of the three asks for; empty if None."""
    if row is None:
        return ""
    if row.value is None:
        return UNDEFINED
    ends = (row.low, row.high)
    if ends == (row.value, row.value) or None in ends or _is_rounding(row):
        return plain(row.value)
    scale = max(abs(each) for each in (row.value, row.low, row.high) if each is not None)
    low, high = (_written(end, scale) for end in ends if end is not None)
    return f"{_written(row.value, scale)} [{low}, {high}]"


def plain(value: float | None, scale: float | None = None) -> str:
    """A number by itself, in the decimals of one as large as ``scale``, by default its own."""
    if value is None:
        return UNDEFINED
    return _written(value, abs(value) if scale is None else scale)


def unrounded(value: float | None) -> str:
    """A number by itself; 0 where it is nothing but rounding error."""
    return plain(0.0 if value is not None and abs(value) < ROUNDING else value)


def align(texts: Sequence[str]) -> list[str]:
    """Figures padded so that their points, and the brackets of their intervals, stand below one another; words stay at the left."""
    parts = [(head, bracket + rest) for head, bracket, rest in (text.partition(" [") for text in texts)]
    before = max((_before_point(head) for head, _ in parts), default=0)
    heads = [" " * (before - _before_point(head)) + head if _is_number(head) else head for head, _ in parts]
    width = max((len(head) for head, (_, rest) in zip(heads, parts, strict=True) if rest), default=0)
    return [f"{head:{width}}{rest}" if rest else head for head, (_, rest) in zip(heads, parts, strict=True)]


def _written(value: float, scale: float) -> str:
    """``value`` with the decimals of a number as large as ``scale``."""
    if value == 0 or not math.isfinite(value):
        return f"{value + 0.0:g}"
    if not SMALLEST <= scale < LARGEST:
        return f"{value:.1e}"
    magnitude = math.floor(math.log10(scale))
    text = f"{value:.{min(max((3 if magnitude >= 0 else 2) - magnitude, 0), MOST_DECIMALS)}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _is_rounding(row: Row) -> bool:
    return all(abs(each) < ROUNDING for each in (row.value, row.low, row.high) if each is not None)


def _is_number(text: str) -> bool:
    return re.match(r"-?\d", text) is not None


def _before_point(text: str) -> int:
    """How many characters a number has before its point."""
    return len(re.split(r"[.e ]", text)[0]) if _is_number(text) else 0
