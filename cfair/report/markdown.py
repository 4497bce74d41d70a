"""A report as Markdown, for report.md."""

import re
from collections.abc import Iterator, Sequence

from cfair.auditing import Report
from cfair.report.accuracy import all_metrics
from cfair.report.compared import compared
from cfair.report.dependence import dependences
from cfair.report.figures import figures_of
from cfair.report.gaps import gaps_in_full
from cfair.report.groups import constraints, groups_in_full
from cfair.report.moves import most_moved, responses
from cfair.report.relation import related
from cfair.report.sheets import Sheet
from cfair.report.trained import trained
from cfair.report.trust import trust_in_full
from cfair.report.words import assumed, opening, provenance, seen

__all__ = ["to_markdown", "written"]


def to_markdown(report: Report, *, out: str | None = None) -> str:
    """Everything that the terminal shows, with every metric, every group and every interval; all pairs of groups are in report.json.

    Args:
        report: of one run, or of an audit.
        out: the folder that was asked for, if one was, for the line that says how to repeat it.
    """
    figures = figures_of(report)
    accuracy = all_metrics(figures)
    sheets = [
        *accuracy[:1],
        *trust_in_full(figures),
        gaps_in_full(figures),
        *most_moved(figures),
        *responses(figures),
        *constraints(figures, full=True),
        *dependences(figures, full=True),
        *related(figures, full=True),
        *compared(figures),
        *trained(report),
        seen(report),
        *accuracy[1:],
        *groups_in_full(figures),
        *assumed(report),
        provenance(report, out=out),
    ]
    return written(opening(report), sheets)


def written(first: Sheet, sheets: Sequence[Sheet]) -> str:
    """Sheets as Markdown, the first under a heading of its own."""
    return "\n\n".join(["\n\n".join(_lines(first, "#")), *("\n\n".join(_lines(sheet, "##")) for sheet in sheets)]) + "\n"


def _lines(sheet: Sheet, mark: str) -> Iterator[str]:
    """The blocks of a sheet."""
    yield f"{mark} {_text(sheet.title)}"
    if sheet.note:
        yield _text(sheet.note)
    if sheet.rows:
        yield _table(sheet)
    for line in sheet.after:
        yield _text(line)


def _table(sheet: Sheet) -> str:
    """A table in the syntax of GitHub; figures stand at the right."""
    names = sheet.header if any(sheet.header) else ("", "")
    rule = ["---" if i < sheet.names or sheet.prose else "--:" for i in range(len(names))]
    body = [[_text(cell) for cell in row] for row in sheet.rows]
    return "\n".join(_line(cells) for cells in [[_text(name) for name in names], rule, *body])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Text on one line, its signs escaped where Markdown would read them as its own."""
    return re.sub(r"[\\`*<|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)", r"\\\g<0>", " ".join(text.split()))
