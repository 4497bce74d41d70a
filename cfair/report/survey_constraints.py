"""How far the groups of a survey lie apart, under each predictor and between predictors."""

from collections.abc import Iterator

from cfair.comparing.representation import DATA
from cfair.report.figures import Figures, spoken
from cfair.report.groups import FORMS, PERMUTED, extent, four_fifths
from cfair.report.numbers import figure
from cfair.report.sheets import Sheet

__all__ = ["against", "constraint_sheets", "paired_sheets"]


def constraint_sheets(figures: Figures, attribute: str, suffix: str, excluded: tuple[str, ...]) -> Iterator[Sheet]:
    """A line per constraint and predictor; below, who breaks the four-fifths rule, and what cannot hold together."""
    several = len(figures.predictors) > 1
    found = [
        (spoken(name) if place == 0 else "", predictor, *_forms(figures, predictor, name, attribute, suffix))
        for name in figures.constrained(suffix)
        for place, predictor in enumerate(_having(figures, f"{name}_difference{suffix}", attribute))
    ]
    least = figures.option("min_group_size", 1)
    if found and len(_large(figures, attribute, least)) < 2:
        what = "Groups compared" if figures.outcome_is_number else "Group constraints"
        line = f"Fewer than two groups have {least} people: none are compared."
        yield Sheet(title=f"{what} by {attribute}{against(suffix)}", after=(line,))
    elif found:
        header = (_named(figures), "predictor", *FORMS)
        permuted = f" {PERMUTED}" if any(row[header.index("p")] for row in found) else ""
        what, kind = ("", "Groups compared") if figures.outcome_is_number else (" and the smallest ratio", "Group constraints")
        note = f"The largest difference{what} among groups of {least} people or more.{permuted}"
        used = [i for i in range(len(header)) if (i != 1 or several) and any(row[i] for row in found)]
        rows = [tuple(row[i] for i in used) for row in found]
        after, names = (*four_fifths(figures, attribute, suffix), *excluded), 2 if several else 1
        title = f"{kind} by {attribute}{against(suffix)}"
        yield Sheet(title=title, note=note, header=tuple(header[i] for i in used), rows=rows, names=names, keys=names, after=after)


def paired_sheets(figures: Figures, attribute: str, suffix: str) -> Iterator[Sheet]:
    """How much farther groups lie apart under each predictor than under the one that is named first."""
    first, *others = figures.predictors
    less = {name: f"{name}_difference_minus_{first}{suffix}" for name in figures.constrained(suffix)}
    shown = [name for name in less if any(figures.row(other, less[name], attribute) is not None for other in others)]
    if shown:
        rows = [(spoken(name), *(figure(figures.row(other, less[name], attribute)) for other in others)) for name in shown]
        note = f"The largest difference less that under {first}, of the same people; intervals hold for all predictors at once."
        title = f"Differences by {attribute} less those under {first}{against(suffix)}"
        yield Sheet(title=title, note=note, header=(_named(figures), *others), rows=rows)


def against(suffix: str) -> str:
    """What a title adds where a sheet is of one level of the outcome, ``[law]``, or of the mean over levels."""
    if suffix == "[macro]":
        return ": the mean over levels"
    return f": {suffix[1:-1]} against the others" if suffix else ""


def _large(figures: Figures, attribute: str, least: int) -> list[str]:
    """The groups that are large enough to be compared."""
    sizes = {group: figures.row(DATA, "share", attribute, group) for group in figures.groups[attribute]}
    return [group for group, row in sizes.items() if row is not None and (row.n or 0) >= least]


def _having(figures: Figures, measure: str, attribute: str) -> list[str]:
    return [name for name in figures.predictors if figures.row(name, measure, attribute) is not None]


def _named(figures: Figures) -> str:
    return "measure" if figures.outcome_is_number else "constraint"


def _forms(figures: Figures, predictor: str, constraint: str, attribute: str, suffix: str) -> list[str]:
    """Difference, ratio and p-value, each empty where it was not measured."""
    return [extent(figures.row(predictor, f"{constraint}_{form}{suffix}", attribute), form) for form in FORMS]
