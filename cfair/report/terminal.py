"""A report for the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.jupyter import JupyterMixin
from rich.table import Table
from rich.text import Text

from cfair.auditing import Report
from cfair.report.accuracy import headline
from cfair.report.compared import compared
from cfair.report.dependence import dependences
from cfair.report.figures import figures_of
from cfair.report.gaps import worst_gaps
from cfair.report.groups import constraints, groups_in_short
from cfair.report.moves import most_moved, responses
from cfair.report.relation import related
from cfair.report.sheets import SPACE, Sheet, lined_up, parts
from cfair.report.trained import trained
from cfair.report.trust import trust
from cfair.report.words import assumed, opening, provenance, seen

__all__ = ["Printed", "to_table"]


class Printed(JupyterMixin):
    """Sheets as rich draws them, cut to the console's width; a notebook shows them by itself.

    Args:
        sheets: in the order in which they are read.
    """

    def __init__(self, sheets: Sequence[Sheet]) -> None:
        self._sheets = tuple(sheets)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Each sheet, with an empty line before all but the first."""
        for position, sheet in enumerate(self._sheets):
            if position:
                yield Text()
            yield from _drawn(lined_up(sheet), options.max_width)


def to_table(report: Report, *, out: str | None = None) -> Printed:
    """What a reader looks at first, to be printed by rich: accuracy, gaps, what each predictor sees, groups, assumptions, data.

    Args:
        report: of one run, or of an audit.
        out: the folder that was asked for, if one was, for the line that says how to repeat it.
    """
    figures = figures_of(report)
    return Printed(
        [
            opening(report),
            *headline(figures),
            *trust(figures),
            worst_gaps(figures),
            *most_moved(figures),
            *responses(figures),
            *constraints(figures),
            *dependences(figures),
            *related(figures),
            *compared(figures),
            *trained(report),
            seen(report),
            *groups_in_short(figures),
            *assumed(report, in_short=True),
            provenance(report, in_short=True, out=out),
        ]
    )


def _drawn(sheet: Sheet, width: int) -> Iterator[RenderableType]:
    yield Text(sheet.title, style="bold")
    if sheet.note:
        yield Text(sheet.note, style="dim")
    for part in parts(sheet, width) if sheet.rows else ():
        yield _table(sheet, part)
    for line in sheet.after:
        yield Text(line, style="dim")


def _table(sheet: Sheet, columns: Sequence[int]) -> Table:
    """Some columns of a sheet."""
    drawn = Table(box=None, pad_edge=False, padding=(0, SPACE, 0, 0), show_header=any(sheet.header), header_style="bold")
    for i in columns:
        wraps = sheet.prose and i == len(sheet.header) - 1
        drawn.add_column(Text(sheet.header[i]), no_wrap=not wraps, overflow="fold", vertical="top" if sheet.prose else "bottom")
    for row in sheet.rows:
        drawn.add_row(*(Text(row[i]) for i in columns))
    return drawn
