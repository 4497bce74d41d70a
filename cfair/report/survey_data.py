"""The data before any model, as sheets: who is there, what is missing, what could be found, and what carries the attributes."""

from collections.abc import Iterator

from cfair.comparing.representation import DATA
from cfair.report.figures import Figures
from cfair.report.numbers import figure, plain
from cfair.report.sheets import Sheet

__all__ = ["data_in_full", "data_in_short", "listed"]

MOST_GROUPS = 60  # of an attribute, in the terminal
SHOWN = 8  # columns that carry an attribute, in the terminal
GAP = "smallest_detectable_gap"  # of several levels the largest, of the most even one
MISSING, PROXY = "missing_share[", "proxy_auc["
DETECTABLE = "Smallest gap: to the largest other group, in {what}, that a two-sided 5 % test of these people finds four times in five."


def data_in_short(figures: Figures) -> Iterator[Sheet]:
    """Who is there, what is missing, and the columns that carry most."""
    yield from _represented(figures, full=False)
    yield from _missing(figures, full=False)
    yield from _carriers(figures, SHOWN)


def data_in_full(figures: Figures) -> Iterator[Sheet]:
    """The same with all columns; every pair's smallest detectable gap is in report.json."""
    yield from _represented(figures, full=True)
    yield from _missing(figures, full=True)
    yield from _carriers(figures, None)


def listed(figures: Figures, attribute: str, *, full: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The groups of an attribute that stand in a table, all or the largest of very many, and a line on the others."""
    groups = figures.groups[attribute]
    sizes = {group: row.n or 0 for group in groups if (row := figures.row(DATA, "share", attribute, group)) is not None}
    if full or len(groups) <= MOST_GROUPS:
        return groups, ()
    largest = set(sorted(groups, key=lambda group: -sizes.get(group, 0))[:MOST_GROUPS])
    left = [sizes.get(group, 0) for group in groups if group not in largest]
    others = f"{len(left):,} others, of at most {max(left):,} people, are in report.md and report.json (--out)"
    line = f"The {MOST_GROUPS} largest groups; {others}."
    return tuple(group for group in groups if group in largest), (line,)


def _represented(figures: Figures, *, full: bool) -> Iterator[Sheet]:
    """A line per group: its share of the people, of how many it tells, how it fares, and what could be found of it."""
    columns = {
        "share": "share",
        "share_reference": "reference",
        "share_minus_reference": "share minus\nreference",
        **({"effective_size": "effective\npeople"} if figures.report.options.get("weights") is not None else {}),
        "base_rate": "base rate",
        **{f"base_rate[{level}]": str(level) for level in _levels(figures)},
        "mean_outcome": "mean outcome",
    }
    shown = {measure: name for measure, name in columns.items() if figures.has(measure)}
    note = DETECTABLE.format(what="the mean outcome" if figures.outcome_is_number else "a rate as frequent as the outcome")
    for attribute in figures.leveled:
        groups, others = listed(figures, attribute, full=full)
        rows = [
            (
                group,
                _people(figures, attribute, group),
                *(_cell(figures, measure, attribute, group) for measure in shown),
                *_least(figures, attribute, group),
            )
            for group in groups
        ]
        header = ("group", "people", *shown.values(), "smallest\ngap")
        yield Sheet(title=f"The data by {attribute}", note=note, header=header, rows=rows, keys=1, after=others)
        note = ""


def _cell(figures: Figures, measure: str, attribute: str, group: str) -> str:
    row = figures.row(DATA, measure, attribute, group)
    return f"{row.value:,.0f}" if row is not None and measure == "effective_size" else figure(row)


def _people(figures: Figures, attribute: str, group: str) -> str:
    row = figures.row(DATA, "share", attribute, group)
    return "" if row is None or row.n is None else f"{row.n:,}"


def _least(figures: Figures, attribute: str, group: str) -> tuple[str]:
    """The smallest gap to the largest other group that could be found; empty of a group that is too small to be compared."""
    sizes = {other: figures.row(DATA, "share", attribute, other) for other in figures.groups[attribute] if other != group}
    ranked = sorted((row.n or 0, other) for other, row in sizes.items() if row is not None)
    if not ranked:
        return ("",)
    largest = ranked[-1][1]
    measures = [f"{GAP}[{level}]" for level in _levels(figures)] or [GAP]
    pairs = (f"{group} - {largest}", f"{largest} - {group}")
    rows = [row for measure in measures for pair in pairs if (row := figures.row(DATA, measure, attribute, pair)) is not None]
    if not rows:
        return ("",)
    least = max((row.value for row in rows if row.value is not None), default=None)
    return ("none" if least is None else plain(least, max(least, 0.1)),)


def _levels(figures: Figures) -> list[str]:
    """The levels of an outcome that has several."""
    levels = figures.report.model["levels"]
    assert isinstance(levels, list)
    return [str(level) for level in levels] if figures.report.model["outcome_kind"] == "category" else []


def _missing(figures: Figures, *, full: bool) -> Iterator[Sheet]:
    """How often each group has no entry, column by column."""
    columns = list(dict.fromkeys(row.measure for row in figures.report.rows if row.measure.startswith(MISSING)))
    if columns:
        shown = {attribute: listed(figures, attribute, full=full)[0] for attribute in figures.leveled}
        blocks = [(f"{attribute}: {group}", attribute, group) for attribute, groups in shown.items() for group in groups]
        rows = [(name, *(_cell(figures, column, attribute, group) for column in columns)) for name, attribute, group in blocks]
        header = ("group", *(column.removeprefix(MISSING).removesuffix("]") for column in columns))
        yield Sheet(title="Missing values", note="The share of each group that has no entry.", header=header, rows=rows)


def _carriers(figures: Figures, most: int | None) -> Iterator[Sheet]:
    """What carries each attribute, the best first."""
    note = (
        "Area under the ROC curve of predicting the attribute, for people of whom nothing was learned: 0.5 is chance, 1 is certainty; of "
        "several levels the mean of each against the others."
    )
    for attribute in figures.leveled:
        own = [row for row in figures.report.rows if row.attribute == attribute and row.measure.startswith(PROXY)]
        together = figures.row(DATA, "proxy_auc", attribute)
        if own:
            shown = own if most is None else own[:most]
            rows = [("all of them", figure(together))] if together is not None else []
            rows += [(row.measure.removeprefix(PROXY).removesuffix("]"), figure(row)) for row in shown]
            more = (f"{len(own) - len(shown)} other columns carry less.",) if len(own) > len(shown) else ()
            yield Sheet(title=f"Columns that carry {attribute}", note=note, header=("column", "area"), rows=rows, after=more)
            note = ""
