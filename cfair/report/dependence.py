"""Attributes that are numbers: how far predictions depend on them, without groups."""

import re
from collections.abc import Iterator

from cfair.comparing.representation import DATA
from cfair.report.figures import Figures
from cfair.report.numbers import figure
from cfair.report.sheets import Sheet

__all__ = ["dependences"]

WHOLE, WITHIN = "distance_correlation", "distance_correlation_within_outcome"
VALUE = re.compile(rf"{WHOLE}_squared\[y=([^\]]*)\]")  # of one value of the outcome
NOTE = (
    "Squared distance correlation with {0}: 0 where there is no dependence of any kind, by chance also below, 1 of a line. Given {1}: "
    "among people {2}. p: by permutation, were there none."
)


def dependences(figures: Figures, *, full: bool = False) -> Iterator[Sheet]:
    """For each attribute that is a number a line per predictor, and one of the outcome itself where that was asked.

    Args:
        figures: of a report.
        full: also among people of each outcome, where it has few values.
    """
    measures = dict.fromkeys(row.measure for row in figures.report.rows if row.measure.startswith(WHOLE)) if full else {}
    values = list(dict.fromkeys(found[1] for measure in measures if (found := VALUE.match(measure))))
    forms = {
        "all": (WHOLE, ""),
        f"given\n{figures.outcome}": (WITHIN, ""),
        **{f"{figures.outcome}\nis {each}": (WHOLE, f"[y={each}]") for each in values},
    }
    for attribute in figures.groups:
        levels = [f"[{level}]" for level in _levels(figures) if _measured(figures, f"{WHOLE}_squared[{level}]", attribute)] or [""]
        rows = [
            (
                name if name != DATA else figures.outcome,
                suffix[1:-1],
                *(cell for form in forms.values() for cell in _cells(figures, name, form, attribute, suffix)),
            )
            for name in (*figures.predictors, DATA)
            for suffix in levels
            if figures.row(name, f"{WHOLE}_squared{suffix}", attribute) is not None
        ]
        if rows:
            header = ("of", "level", *(each for name in forms for each in (name, "p")))
            used = [i for i in range(len(header)) if any(row[i] for row in rows)]
            names = 2 if 1 in used else 1
            note = NOTE.format(attribute, figures.outcome, "in the same tenth of it" if figures.outcome_is_number else "who had the same")
            shown = [tuple(row[i] for i in used) for row in rows]
            yield Sheet(
                title=f"Dependence on {attribute}", note=note, header=tuple(header[i] for i in used), rows=shown, names=names, keys=names
            )


def _levels(figures: Figures) -> list[str]:
    levels = figures.report.model.get("levels", figures.classes)
    assert isinstance(levels, list)
    return figures.classes or [str(level) for level in levels]


def _measured(figures: Figures, measure: str, attribute: str) -> bool:
    return any(figures.row(name, measure, attribute) is not None for name in (*figures.predictors, DATA))


def _cells(figures: Figures, name: str, form: tuple[str, str], attribute: str, suffix: str) -> tuple[str, str]:
    """A squared distance correlation and its p-value, each empty where it was not measured."""
    measure, of = form
    value, p = (figures.row(name, f"{measure}_{kind}{of}{suffix}", attribute) for kind in ("squared", "p"))
    return figure(value), "" if p is None or p.value is None else f"{p.value:.3f}"
