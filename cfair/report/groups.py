"""Each group by itself, and the groups compared."""

from collections.abc import Iterator, Sequence

from cfair.report.figures import Figures, spoken
from cfair.report.levels import level_constraints, levels_in_full, levels_in_short
from cfair.report.numbers import figure, plain
from cfair.report.sheets import Sheet

__all__ = ["constraints", "groups_in_full", "groups_in_short"]

FOUR_FIFTHS = 0.8  # Uniform Guidelines on Employee Selection Procedures (1978), section 4.D
REAL = ("mean_residual", "rmse", "mean_prediction")
BINARY = ("selection_rate", "true_positive_rate", "false_positive_rate", "mean_prediction", "mean_residual", "accuracy", "brier")
SHORT = {False: REAL[:1], True: BINARY[:3]}  # binary outcome -> what the terminal shows
MEANS = {
    "mean_residual": "Outcome minus prediction: below 0 where people did worse than predicted.",
    "selection_rate": "Share of people with a prediction of 0.5 or more.",
    "true_positive_rate": "Share of people with a prediction of 0.5 or more, among those whose outcome is the second level.",
    "false_positive_rate": "Share of people with a prediction of 0.5 or more, among those whose outcome is the first level.",
}


def groups_in_short(figures: Figures) -> list[Sheet]:
    """A sheet per measure: the groups of one attribute after the other, a column per predictor, without intervals."""
    if figures.classes:
        return levels_in_short(figures)
    shown, same = _distinct(figures)
    single = [attribute for attribute in figures.leveled if " x " not in attribute]
    header = _header(figures, shown)
    sheets = []
    for measure in filter(figures.has, SHORT[figures.binary]):
        rows = [row for attribute in single for row in _block(figures, measure, attribute, shown)]
        sheets.append(Sheet(title=_title(measure, "group"), note=MEANS.get(measure, ""), header=header, rows=rows, keys=3, after=same))
    return sheets


def groups_in_full(figures: Figures) -> list[Sheet]:
    """A sheet per attribute and measure, with intervals."""
    if figures.classes:
        return levels_in_full(figures)
    sheets = []
    for attribute, groups in figures.leveled.items():
        for measure in filter(figures.has, BINARY if figures.binary else REAL):
            rows = [(group, *_sizes(figures, attribute, group), *_cells(figures, measure, attribute, group)) for group in groups]
            header = _header(figures, figures.predictors)
            sheets.append(Sheet(title=_title(measure, attribute), note=MEANS.get(measure, ""), header=header, rows=rows, keys=3))
    return sheets


def constraints(figures: Figures) -> list[Sheet]:
    """A sheet per attribute: each group constraint's largest difference and smallest ratio, and who breaks the four-fifths rule."""
    if figures.classes:
        return level_constraints(figures)
    named = figures.option("constraints", [])
    at_once = "; intervals hold for all pairs of groups at once" if figures.option("splits", 1) == 1 else ""
    note = f"The largest difference and the smallest ratio among groups of {figures.option('min_group_size', 1)} people or more{at_once}."
    header = ("predictor", *(f"{spoken(name)}\n{form}" for name in named for form in ("difference", "ratio")))
    measures = [f"{name}_{form}" for name in named for form in ("difference", "ratio")]
    sheets: list[Sheet] = []
    for attribute in figures.leveled if named else ():
        rows = [(name, *(figure(figures.row(name, measure, attribute)) for measure in measures)) for name in figures.predictors]
        title = f"Group constraints by {attribute}"
        sheets.append(Sheet(title=title, note="" if sheets else note, header=header, rows=rows, after=_flagged(figures, attribute)))
    return sheets


def _flagged(figures: Figures, attribute: str) -> tuple[str, ...]:
    """A line on the predictors whose smallest ratio of selection rates is too small."""
    ratios = {name: figures.row(name, "demographic_parity_ratio", attribute) for name in figures.predictors}
    below = [name for name, row in ratios.items() if row is not None and row.value is not None and row.value < FOUR_FIFTHS]
    return (f"Four-fifths rule: a ratio of selection rates below {FOUR_FIFTHS} under {', '.join(below)}.",) if below else ()


def _block(figures: Figures, measure: str, attribute: str, predictors: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The attribute's name, then its groups below it, their figures in the decimals of the largest of the measure."""
    values = [row.value for row in figures.report.rows if row.measure == measure and row.world is None and row.group is not None]
    scale = max((abs(value) for value in values if value is not None), default=1.0)
    yield (attribute, *[""] * (len(predictors) + 2))
    for group in figures.groups[attribute]:
        rows = [figures.row(name, measure, attribute, group) for name in predictors]
        yield (f"  {group}", *_sizes(figures, attribute, group), *("" if row is None else plain(row.value, scale) for row in rows))


def _cells(figures: Figures, measure: str, attribute: str, group: str) -> list[str]:
    return [figure(figures.row(name, measure, attribute, group)) for name in figures.predictors]


def _sizes(figures: Figures, attribute: str, group: str) -> tuple[str, str]:
    """How many people a group has, and the mean of their outcome: of their predictions and residuals together."""
    measures = ("mean_prediction", "mean_residual")
    found = ([figures.row(name, measure, attribute, group) for measure in measures] for name in figures.predictors)
    of = next((rows for rows in found if None not in rows), [figures.row(figures.predictors[0], measures[0], attribute, group)])
    people = next((f"{row.n:,}" for row in of if row is not None and row.n is not None), "")
    values = [row.value for row in of if row is not None and row.value is not None]
    return people, plain(sum(values), max(1.0, *map(abs, values))) if len(values) == len(measures) else ""


def _distinct(figures: Figures) -> tuple[list[str], tuple[str, ...]]:
    """The predictors whose groups' figures differ from those of each one before them, and a line on the others."""
    own: dict[str, list[tuple[object, ...]]] = {name: [] for name in figures.predictors}
    for (name, *place), row in figures.found.items():
        if row.group is not None and row.world is None:
            own[str(name)].append((*place, row.value))
    first = {name: next(other for other in own if own[other] == own[name]) for name in own}
    same = tuple(f"{name}: the same as {other}." for name, other in first.items() if other != name)
    return [name for name, other in first.items() if other == name], same


def _header(figures: Figures, predictors: Sequence[str]) -> tuple[str, ...]:
    return ("group", "people", "base\nrate" if figures.binary else f"mean\n{figures.outcome}", *predictors)


def _title(measure: str, by: str) -> str:
    words = spoken(measure)
    return f"{words[:1].upper()}{words[1:]} by {by}"
