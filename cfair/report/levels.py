"""Groups compared where the outcome has several levels: each level against the rest, and the mean over levels."""

from collections.abc import Iterator, Sequence

from cfair.auditing import Row
from cfair.report.figures import Figures, spoken
from cfair.report.impossibility import impossible
from cfair.report.numbers import figure, plain
from cfair.report.sheets import Sheet

__all__ = ["level_constraints", "levels_in_full", "levels_in_short"]

FOUR_FIFTHS = 0.8  # Uniform Guidelines on Employee Selection Procedures (1978), section 4.D
WHOLE = ("accuracy", "brier")  # of all levels together
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "positive_predictive_value")  # of one against the rest
OF_LEVEL = ("mean_prediction", "mean_residual")  # of its probability
MEANS = {
    "selection_rate": "Share of people for whom {} is the likeliest level.",
    "true_positive_rate": "The same, among those who have it.",
    "false_positive_rate": "The same, among those who have another.",
    "positive_predictive_value": "Share of people who have it, among those for whom it is the likeliest.",
    "mean_residual": "Share of people who have it minus its mean probability.",
}


def levels_in_short(figures: Figures) -> list[Sheet]:
    """A sheet per level: for how many people of each group it is the likeliest, a column per predictor, without intervals."""
    sheets = []
    for level in figures.classes:
        measure = f"selection_rate[{level}]"
        names = figures.having([measure])
        rows = [
            row
            for attribute in figures.leveled
            if " x " not in attribute
            for row in [(attribute, *[""] * (len(names) + 2)), *_short(figures, measure, attribute, names, level)]
        ]
        if names:
            note = MEANS["selection_rate"].format(level)
            sheets.append(Sheet(title=f"Selection rate of {level}", note=note, header=_header(names), rows=rows, keys=3))
    return sheets


def levels_in_full(figures: Figures) -> list[Sheet]:
    """A sheet per attribute and measure, with intervals: of all levels, then of each against the rest."""
    sheets = []
    for attribute in figures.leveled:
        sheets += [_sheet(figures, f"{spoken(measure)} by {attribute}", measure, attribute) for measure in WHOLE if figures.has(measure)]
        for level in figures.classes:
            for measure in RATES:
                if figures.has(f"{measure}[{level}]"):
                    title = f"{spoken(measure)} of {level} by {attribute}"
                    sheets.append(_sheet(figures, title, f"{measure}[{level}]", attribute, level, MEANS[measure]))
            for measure in OF_LEVEL:
                title = f"{spoken(measure)} of {level} by {attribute}"
                sheets.append(_sheet(figures, title, measure, attribute, level, MEANS.get(measure, ""), part=f"[{level}]"))
    return sheets


def level_constraints(figures: Figures, asked: Sequence[tuple[str, str]], *, full: bool = False) -> list[Sheet]:
    """A sheet per attribute: the mean over levels of each group constraint, and the four-fifths rule.

    Args:
        figures: of a report.
        asked: constraints and forms of them, in the order of columns.
        full: give a line per level, too, and say of intersections what excludes what.
    """
    shown = [(name, form) for name, form in asked if figures.has(f"{name}_{form}[macro]")]
    header = ("predictor", *(("level",) if full else ()), *(f"{spoken(name)}\n{form}" for name, form in shown))
    levels = ("macro", *figures.classes) if full else ("macro",)
    sheets: list[Sheet] = []
    said = False
    for attribute in figures.leveled if shown else ():
        rows = [
            (
                name,
                *((level,) if full else ()),
                *(_written(figures.row(name, f"{c}_{form}[{level}]", attribute), form) for c, form in shown),
            )
            for name in figures.having([f"{c}_{form}[macro]" for c, form in shown])
            for level in levels
        ]
        told = figures.classes if full or " x " not in attribute else ()
        excluded = [line for level in told for line in impossible(figures, attribute, f"[{level}]", again=said)]
        title, after, said = f"Group constraints by {attribute}", (*_flagged(figures, attribute), *excluded), said or bool(excluded)
        note, names = "" if sheets else _note(figures, full=full), 2 if full else 1
        sheets.append(Sheet(title=title, note=note, header=header, rows=rows, names=names, keys=names, after=after))
    return sheets


def _written(row: Row | None, form: str) -> str:
    """A difference or a ratio with its interval, or a p-value."""
    return f"{row.value:.3f}" if row is not None and row.value is not None and form == "p" else figure(row)


def _note(figures: Figures, *, full: bool) -> str:
    """How to read the constraints."""
    of = "macro: the mean over levels" if full else "macro: the mean over levels, each of which is in report.md"
    return (
        f"The largest difference and the smallest ratio among groups of {figures.option('min_group_size', 1)} people or more, of each "
        f"level against all others, the decision being the likeliest level; {of}. p: of no difference, by permutation."
    )


def _flagged(figures: Figures, attribute: str) -> Iterator[str]:
    """A line per level on the predictors whose smallest ratio of selection rates is too small."""
    for level in figures.classes:
        ratios = {name: figures.row(name, f"demographic_parity_ratio[{level}]", attribute) for name in figures.predictors}
        below = [name for name, row in ratios.items() if row is not None and row.value is not None and row.value < FOUR_FIFTHS]
        if below:
            yield f"Four-fifths rule: a ratio of selection rates of {level} below {FOUR_FIFTHS} under {', '.join(below)}."


def _sheet(
    figures: Figures, title: str, measure: str, attribute: str, level: str | None = None, note: str = "", *, part: str = ""
) -> Sheet:
    """One measure of each group; ``part`` is added to the predictors' names where it is that of one class."""
    names = [name for name in figures.predictors if f"{name}{part}" in figures.having([measure], among=figures.measured)]
    rows = [
        (
            group,
            *_sizes(figures, attribute, group, level),
            *(figure(figures.row(f"{name}{part}", measure, attribute, group)) for name in names),
        )
        for group in figures.groups[attribute]
    ]
    words = f"{title[:1].upper()}{title[1:]}"
    return Sheet(title=words, note=note.format(level), header=_header(names, level=level is not None), rows=rows, keys=3)


def _short(figures: Figures, measure: str, attribute: str, names: tuple[str, ...], level: str) -> Iterator[tuple[str, ...]]:
    """Each group's figures without intervals."""
    for group in figures.groups[attribute]:
        rows = [figures.row(name, measure, attribute, group) for name in names]
        yield (f"  {group}", *_sizes(figures, attribute, group, level), *("" if row is None else plain(row.value, 1.0) for row in rows))


def _sizes(figures: Figures, attribute: str, group: str, level: str | None) -> tuple[str, ...]:
    """How many people a group has and, where it is about one level, how many of them have it."""
    of_level = level or figures.classes[0]
    found = (figures.row(name, f"base_rate[{of_level}]", attribute, group) for name in figures.predictors)
    row = next((row for row in found if row is not None), None)
    if row is None:
        return ("", "") if level else ("",)
    people = f"{row.n:,}" if row.n is not None else ""
    return (people, plain(row.value, 1.0)) if level else (people,)


def _header(names: tuple[str, ...] | list[str], *, level: bool = True) -> tuple[str, ...]:
    return ("group", "people", *(("base\nrate",) if level else ()), *names)
