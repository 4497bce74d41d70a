"""Each group by itself, and the groups compared."""

from collections.abc import Iterator, Sequence

from cfair.auditing import Row
from cfair.report.figures import Figures, spoken
from cfair.report.impossibility import impossible
from cfair.report.levels import level_constraints, levels_in_full, levels_in_short
from cfair.report.numbers import figure, plain
from cfair.report.sheets import Sheet

__all__ = ["FORMS", "PERMUTED", "constraints", "extent", "four_fifths", "groups_in_full", "groups_in_short"]

FORMS = ("difference", "ratio", "p")
RATIOS = ("demographic_parity",)  # the constraint whose ratio has a rule of its own
PERMUTED = "p: by permutation, were the constraint kept. Every pair of groups is in report.json."
FOUR_FIFTHS = 0.8  # Uniform Guidelines on Employee Selection Procedures (1978), section 4.D
REAL = ("mean_residual", "rmse", "mean_prediction")
BINARY = ("selection_rate", "true_positive_rate", "false_positive_rate", "mean_prediction", "mean_residual", "accuracy", "brier")
BESIDE = ("positive_predictive_value", "false_negatives_per_false_positive", "false_negative_share", "calibration_error")
SHRUNKEN = tuple(
    f"{rate}_shrunken" for rate in ("selection_rate", "true_positive_rate", "false_positive_rate", "positive_predictive_value")
)
SHORT = {False: REAL[:1], True: BINARY[:3]}  # binary outcome -> what the terminal shows
MEANS = {
    "mean_residual": "Outcome minus prediction: below 0 where people did worse than predicted.",
    "selection_rate": "Share of people with a prediction of 0.5 or more.",
    "true_positive_rate": "Share of people with a prediction of 0.5 or more, among those whose outcome is the second level.",
    "positive_predictive_value": "Share of people whose outcome is the second level, among those with a prediction of 0.5 or more.",
    "false_negatives_per_false_positive": "Wrong refusals for each wrong selection.",
    "calibration_error": "Mean distance between predicted and observed shares, what chance alone makes of it taken off.",
    **dict.fromkeys(SHRUNKEN, "Drawn towards the other groups' rates, the more the smaller the group; no difference is taken of these."),
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
        for measure in filter(figures.has, (*BINARY, *BESIDE, *SHRUNKEN) if figures.binary else REAL):
            rows = [(group, *_sizes(figures, attribute, group), *_cells(figures, measure, attribute, group)) for group in groups]
            header = _header(figures, figures.predictors)
            sheets.append(Sheet(title=_title(measure, attribute), note=MEANS.get(measure, ""), header=header, rows=rows, keys=3))
    return sheets


def constraints(figures: Figures, *, full: bool = False) -> list[Sheet]:
    """A sheet per attribute: how far each group constraint is from holding, who breaks the four-fifths rule, and what excludes what.

    Args:
        figures: of a report.
        full: give the smallest ratio of every constraint, not that of selection rates alone.
    """
    if figures.classes:
        return level_constraints(figures, _forms(figures.option("constraints", []), full=full), full=full)
    at_once = "; intervals hold for all pairs of groups at once" if figures.option("splits", 1) == 1 else ""
    note = f"The largest difference and the smallest ratio among groups of {figures.option('min_group_size', 1)} people or more{at_once}."
    shown = [(name, form) for name, form in _forms(_named(figures), full=full) if figures.has(f"{name}_{form}")]
    header = ("predictor", *(f"{spoken(name)}\n{form}" for name, form in shown))
    note += f" {PERMUTED}" if any(form == "p" for _, form in shown) else ""
    sheets: list[Sheet] = []
    said = False
    for attribute in figures.leveled if shown else ():
        rows = [(name, *(extent(figures.row(name, f"{c}_{form}", attribute), form) for c, form in shown)) for name in figures.predictors]
        excluded = tuple(impossible(figures, attribute, again=said))
        after, said = (*four_fifths(figures, attribute), *excluded), said or bool(excluded)
        title = f"Group constraints by {attribute}"
        sheets.append(Sheet(title=title, note="" if sheets else note, header=header, rows=rows, after=after))
    return sheets


def _forms(names: Sequence[str], *, full: bool) -> list[tuple[str, str]]:
    """What is shown of each constraint."""
    return [(name, form) for name in names for form in (FORMS if full or name in RATIOS else ("difference", "p"))]


def extent(row: Row | None, form: str) -> str:
    """How a difference, a ratio or a p-value is written."""
    if row is None or row.value is None or form != "p":
        return figure(row)
    return f"{row.value:.3f}"


def _named(figures: Figures) -> list[str]:
    """The constraints that were asked for, and what was measured beside them under a name of their own."""
    named = figures.option("constraints", [])
    return [name for name in figures.constrained() if any(name == own or name.startswith(f"{own}_") for own in named)]


def four_fifths(figures: Figures, attribute: str, suffix: str = "") -> tuple[str, ...]:
    """A line on the predictors whose smallest ratio of selection rates is too small.

    Args:
        figures: of a report.
        attribute: that divides people.
        suffix: of the measures of one level of the outcome against the others, as ``[law]``.
    """
    ratios = {name: figures.row(name, f"demographic_parity_ratio{suffix}", attribute) for name in figures.predictors}
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
        if row.group is not None and row.world is None and name in own:
            own[name].append((*place, row.value))
    first = {name: next(other for other in own if own[other] == own[name]) for name in own}
    same = tuple(f"{name}: the same as {other}." for name, other in first.items() if other != name)
    return [name for name, other in first.items() if other == name], same


def _header(figures: Figures, predictors: Sequence[str]) -> tuple[str, ...]:
    return ("group", "people", "base\nrate" if figures.binary else f"mean\n{figures.outcome}", *predictors)


def _title(measure: str, by: str) -> str:
    words = spoken(measure)
    return f"{words[:1].upper()}{words[1:]} by {by}"
