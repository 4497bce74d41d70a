"""How well each predictor predicts, beside what it costs and what it gains."""

from collections.abc import Iterator, Sequence

from cfair.report.figures import Figures, spoken
from cfair.report.numbers import figure
from cfair.report.sheets import Sheet

__all__ = ["all_metrics", "headline"]

YARDSTICKS = ("full", "constant")  # predictors to which the others are compared


def headline(figures: Figures) -> Iterator[Sheet]:
    """The first metric with its paired differences; for levels the other metrics too; nothing where none suits the outcome."""
    if metrics := _metrics(figures):
        first, *others = metrics
        yield _sheet(figures, "Accuracy", [first, *_differences(figures, first), *(others if figures.leveled_outcome else ())])


def all_metrics(figures: Figures) -> list[Sheet]:
    """Every metric, each with its paired differences."""
    return [_sheet(figures, f"Accuracy: {spoken(metric)}", [metric, *_differences(figures, metric)]) for metric in _metrics(figures)]


def _metrics(figures: Figures) -> list[str]:
    return figures.option("metrics", [])


def _differences(figures: Figures, metric: str) -> list[str]:
    return [measure for measure in (f"{metric}_minus_{yardstick}" for yardstick in YARDSTICKS) if figures.has(measure)]


def _sheet(figures: Figures, title: str, measures: Sequence[str]) -> Sheet:
    rows = [(name, *(figure(figures.row(name, measure)) for measure in measures)) for name in figures.having(measures)]
    paired = any("_minus_" in measure for measure in measures)
    note = "Differences are paired: the same people under both predictors." if paired else ""
    return Sheet(title=title, note=note, header=("predictor", *map(_header, measures)), rows=rows)


def _header(measure: str) -> str:
    metric, minus, yardstick = measure.partition("_minus_")
    return f"{spoken(metric)}\nminus {yardstick}" if minus else spoken(metric)
