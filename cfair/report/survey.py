"""A survey of a table by groups, as people read it: in the terminal, and as Markdown."""

from collections.abc import Iterator, Sequence

from cfair.auditing import Report, Row
from cfair.comparing.representation import DATA
from cfair.report.figures import Figures, figures_of, spoken
from cfair.report.groups import FORMS, PERMUTED, extent, four_fifths
from cfair.report.impossibility import impossible
from cfair.report.markdown import written
from cfair.report.numbers import figure, plain
from cfair.report.sheets import Sheet
from cfair.report.survey_data import data_in_full, data_in_short
from cfair.report.terminal import Printed
from cfair.report.words import assumed, provenance

__all__ = ["to_survey", "to_survey_markdown"]

METRICS = ("accuracy", "log_loss", "roc_auc", "brier", "rmse", "mae", "r2")
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "positive_predictive_value", "accuracy", "roc_auc")
OTHERS = ("brier", "mean_prediction", "mean_residual", "calibration_error", "false_negatives_per_false_positive", "false_negative_share")
NUMBERS = ("mean_prediction", "mean_residual", "rmse")
SHORT = {"selection_rate": "selected", "true_positive_rate": "true\npositives", "false_positive_rate": "false\npositives"}
SHORT |= {"positive_predictive_value": "predictive\nvalue", "base_rate": "base\nrate", "mean_outcome": "mean\noutcome"}


def to_survey(report: Report) -> Printed:
    """What a reader looks at first: groups, constraints, then the data before any model, and what all of it rests on."""
    figures = figures_of(report)
    sheets = [_opening(report), *_metrics(figures)]
    return Printed([*sheets, *_compared(figures, full=False), *data_in_short(figures), *assumed(report), provenance(report, in_short=True)])


def to_survey_markdown(report: Report) -> str:
    """The same with every interval, every column and every group."""
    figures = figures_of(report)
    sheets = [*_metrics(figures), *_compared(figures, full=True)]
    return written(_opening(report), [*sheets, *data_in_full(figures), *assumed(report), provenance(report)])


def _opening(report: Report) -> Sheet:
    protected, predictors = report.model["protected"], report.model["predictors"]
    assert isinstance(protected, list)
    assert isinstance(predictors, dict)
    by = ", ".join(map(str, protected))
    of = f"{', '.join(predictors)} of {report.model['outcome']}" if predictors else str(report.model["outcome"])
    people, data = f"{report.data['audited_rows']:,} people", report.data
    worth = f", who tell as much as {data['effective_rows']:,.0f} of equal weight" if "effective_rows" in data else ""
    alone = "" if predictors else " Nothing was predicted: this is of the data alone."
    positive = f" Positive: {report.model['outcome']} = {report.model['positive']}." if report.model["positive"] is not None else ""
    return Sheet(
        title=f"{report.model['name']}: {of} by {by}",
        after=(f"{people}{worth}.{positive} In brackets: 95 % intervals over people.{alone}",),
    )


def _metrics(figures: Figures) -> Iterator[Sheet]:
    """Errors over everyone."""
    measures = [measure for measure in METRICS if figures.has(measure)]
    if figures.predictors and measures:
        rows = [(name, *(figure(figures.row(name, measure)) for measure in measures)) for name in figures.predictors]
        yield Sheet(title="Everyone", header=("predictor", *map(spoken, measures)), rows=rows)


def _compared(figures: Figures, *, full: bool) -> Iterator[Sheet]:
    """The groups of each attribute, and how far they lie apart; what cannot hold together is said in full once."""
    said = False
    for attribute in figures.leveled if figures.predictors else ():
        for suffix in _suffixes(figures):
            yield from _groups(figures, attribute, suffix, full=full)
            excluded = tuple(impossible(figures, attribute, suffix, again=said))
            yield from _constraints(figures, attribute, suffix, excluded)
            said = said or bool(excluded)
        if len(_suffixes(figures)) > 1:
            yield from _constraints(figures, attribute, "[macro]", ())


def _groups(figures: Figures, attribute: str, suffix: str, *, full: bool) -> Iterator[Sheet]:
    """A line per group: how many, how they fare, and how they were predicted; with intervals where there is room."""
    measures = [f"{name}{suffix}" for name in (*RATES, *(OTHERS if full else ()), *(NUMBERS if figures.outcome_is_number else ()))]
    groups = figures.groups[attribute]
    shown = [name for name in dict.fromkeys(measures) if any(_cell(figures, name, attribute, group) for group in groups)]
    mean = f"{'mean_outcome' if figures.outcome_is_number else 'base_rate'}{suffix}"
    rows = [_group(figures, attribute, group, (mean, *shown), full=full) for group in groups]
    header = ("group", "people", *(_header(name) for name in (mean, *shown)))
    yield Sheet(title=f"By {attribute}{_against(suffix)}", header=header, rows=rows, keys=2)


def _group(figures: Figures, attribute: str, group: str, measures: Sequence[str], *, full: bool) -> tuple[str, ...]:
    row = figures.row(DATA, "share", attribute, group)
    people = "" if row is None or row.n is None else f"{row.n:,}"
    return (group, people, *(_cell(figures, measure, attribute, group, full=full) for measure in measures))


def _cell(figures: Figures, measure: str, attribute: str, group: str, *, full: bool = True) -> str:
    """What is measured of a group under whoever it is measured of."""
    rows = (figures.row(name, measure, attribute, group) for name in (*figures.predictors, DATA))
    row = next((row for row in rows if row is not None), None)
    if row is None:
        return ""
    return figure(row) if full else plain(row.value, max(abs(row.value or 0.0), 0.1))


def _constraints(figures: Figures, attribute: str, suffix: str, excluded: tuple[str, ...]) -> Iterator[Sheet]:
    """A line per constraint; below, who breaks the four-fifths rule, and what cannot hold together."""
    found = [(spoken(name), *_forms(figures, name, attribute, suffix)) for name in figures.constrained(suffix)]
    if found:
        least = figures.option("min_group_size", 1)
        permuted = f" {PERMUTED}" if any(row[-1] for row in found) else ""
        what, kind = ("", "Groups compared") if figures.outcome_is_number else (" and the smallest ratio", "Group constraints")
        note = f"The largest difference{what} among groups of {least} people or more.{permuted}"
        used = [0, *(i + 1 for i in range(len(FORMS)) if any(row[i + 1] for row in found))]
        header = tuple(("measure" if figures.outcome_is_number else "constraint", *FORMS)[i] for i in used)
        rows = [tuple(row[i] for i in used) for row in found]
        after = (*four_fifths(figures, attribute, suffix), *excluded)
        yield Sheet(title=f"{kind} by {attribute}{_against(suffix)}", note=note, header=header, rows=rows, after=after)


def _against(suffix: str) -> str:
    if suffix == "[macro]":
        return ": the mean over levels"
    return f": {suffix[1:-1]} against the others" if suffix else ""


def _forms(figures: Figures, constraint: str, attribute: str, suffix: str) -> list[str]:
    """Difference, ratio and p-value, each empty where it was not measured."""
    return [extent(_first(figures, f"{constraint}_{form}{suffix}", attribute), form) for form in FORMS]


def _first(figures: Figures, measure: str, attribute: str) -> Row | None:
    rows = (figures.row(name, measure, attribute) for name in figures.predictors)
    return next((row for row in rows if row is not None), None)


def _suffixes(figures: Figures) -> list[str]:
    """Of the measures: none, or one for each level of an outcome that has several."""
    levels = figures.report.model["levels"]
    assert isinstance(levels, list)
    if figures.report.model["outcome_kind"] != "category":
        return [""]
    return [f"[{level}]" for level in levels]


def _header(measure: str) -> str:
    name = measure.partition("[")[0]
    return SHORT.get(name, spoken(name))
