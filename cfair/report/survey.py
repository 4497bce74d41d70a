"""A survey of a table by groups, as people read it: in the terminal, and as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cfair.auditing import Report
from cfair.comparing.representation import DATA
from cfair.report.dependence import dependences
from cfair.report.figures import Figures, figures_of, spoken
from cfair.report.impossibility import impossible
from cfair.report.markdown import written
from cfair.report.numbers import figure, plain
from cfair.report.sheets import Sheet
from cfair.report.survey_constraints import against, constraint_sheets, paired_sheets
from cfair.report.survey_data import data_in_full, data_in_short, listed
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
    return Printed(
        [
            *sheets,
            *_noted_once(_compared(figures, full=False)),
            *dependences(figures),
            *data_in_short(figures),
            *assumed(report, in_short=True),
            provenance(report, in_short=True),
        ]
    )


def to_survey_markdown(report: Report) -> str:
    """The same with every interval, every column and every group."""
    figures = figures_of(report)
    sheets = [*_metrics(figures), *_noted_once(_compared(figures, full=True)), *dependences(figures, full=True)]
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
    less = [f"{metric}_minus_{figures.predictors[0]}" for metric in METRICS] if figures.predictors else []
    measures = [measure for pair in zip(METRICS, less, strict=False) for measure in pair if figures.has(measure)]
    if measures:
        rows = [(name, *(figure(figures.row(name, measure)) for measure in measures)) for name in figures.predictors]
        note = "Differences are paired: the same people under both predictors." if len(rows) > 1 else ""
        yield Sheet(title="Everyone", note=note, header=("predictor", *map(_less, measures)), rows=rows)


def _compared(figures: Figures, *, full: bool) -> Iterator[Sheet]:
    """The groups of each attribute, and how far they lie apart; what cannot hold together is said in full once."""
    said = False
    for attribute in figures.leveled if figures.predictors else ():
        for suffix in _suffixes(figures):
            for predictor in figures.predictors:
                yield _groups(figures, predictor, attribute, suffix, full=full)
            excluded = tuple(impossible(figures, attribute, suffix, again=said))
            yield from constraint_sheets(figures, attribute, suffix, excluded)
            yield from paired_sheets(figures, attribute, suffix)
            said = said or bool(excluded)
        if len(_suffixes(figures)) > 1:
            yield from constraint_sheets(figures, attribute, "[macro]", ())


def _noted_once(sheets: Iterable[Sheet]) -> Iterator[Sheet]:
    """The sheets, each note above the first that has it."""
    said = set[str]()
    for sheet in sheets:
        yield replace(sheet, note="") if sheet.note in said else sheet
        said.add(sheet.note)


def _groups(figures: Figures, predictor: str, attribute: str, suffix: str, *, full: bool) -> Sheet:
    """A line per group: how many, how they fare, and how they were predicted; with intervals where there is room."""
    measures = [f"{name}{suffix}" for name in (*RATES, *(OTHERS if full else ()), *(NUMBERS if figures.outcome_is_number else ()))]
    groups = figures.groups[attribute]
    shown = [name for name in dict.fromkeys(measures) if any(figures.row(predictor, name, attribute, group) for group in groups)]
    mean = f"{'mean_outcome' if figures.outcome_is_number else 'base_rate'}{suffix}"
    some, others = listed(figures, attribute, full=full)
    rows = [_group(figures, predictor, attribute, group, (mean, *shown), full=full) for group in some]
    header = ("group", "people", *(_header(name) for name in (mean, *shown)))
    of = f", {predictor}" if len(figures.predictors) > 1 else ""
    return Sheet(title=f"By {attribute}{of}{against(suffix)}", header=header, rows=rows, keys=2, after=others)


def _group(figures: Figures, predictor: str, attribute: str, group: str, measures: Sequence[str], *, full: bool) -> tuple[str, ...]:
    row = figures.row(DATA, "share", attribute, group)
    people = "" if row is None or row.n is None else f"{row.n:,}"
    return (group, people, *(_cell(figures, predictor, measure, attribute, group, full=full) for measure in measures))


def _cell(figures: Figures, predictor: str, measure: str, attribute: str, group: str, *, full: bool) -> str:
    """What is measured of a group under a predictor, or else of the data."""
    row = figures.row(predictor, measure, attribute, group) or figures.row(DATA, measure, attribute, group)
    if row is None:
        return ""
    return figure(row) if full else plain(row.value, max(abs(row.value or 0.0), 0.1))


def _suffixes(figures: Figures) -> list[str]:
    """Of the measures: none, or one for each level of an outcome that has several."""
    levels = figures.report.model["levels"]
    assert isinstance(levels, list)
    if figures.report.model["outcome_kind"] != "category":
        return [""]
    return [f"[{level}]" for level in levels]


def _less(measure: str) -> str:
    """The name of an error, or of its difference to another predictor's."""
    metric, minus, first = measure.partition("_minus_")
    return f"{spoken(metric)}\nminus {first}" if minus else spoken(metric)


def _header(measure: str) -> str:
    name = measure.partition("[")[0]
    return SHORT.get(name, spoken(name))
