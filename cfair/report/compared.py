"""One table of all predictors of a run in which constraints were trained: what each gives, costs and needs."""

from collections.abc import Iterator

from cfair.auditing.decomposed import TERMS
from cfair.constraints import CONSTRAINTS
from cfair.report.figures import Figures, spoken
from cfair.report.numbers import unrounded
from cfair.report.sheets import Sheet

__all__ = ["compared"]

GAPS = ("gap_reabducted", "gap_same_noise", "gap_frozen")
NOTE = (
    "Held-out people. Group constraints are differences between groups, of calibration the calibration error's; gaps those of the worst "
    "pair. tv and ctf_de, ctf_ie, ctf_se take the deployed prediction's difference between the two largest groups apart (direct, indirect, "
    "spurious: tv = ctf_de - ctf_ie - ctf_se). Intervals stand in report.json."
)


def compared(figures: Figures) -> Iterator[Sheet]:
    """A line for each predictor and attribute; nothing where no constraint was trained in."""
    if not figures.report.data.get("trained_in"):
        return
    first, *_ = figures.option("metrics", ["accuracy"])
    names = [name for name in CONSTRAINTS if figures.has(f"{name}_difference")]
    gaps = [gap for gap in GAPS if figures.has(f"{gap}_worst")]
    terms = [term for term in TERMS if figures.has(term)]
    known = {attribute for _, measure, attribute, *_ in figures.found if measure == f"{names[0]}_difference"}
    measured = (first, *(f"{name}_difference" for name in names), *(f"{gap}_worst" for gap in gaps))
    rows = [
        (
            predictor,
            attribute,
            *(_cell(figures, predictor, measure, None if measure == first else attribute) for measure in measured),
            *(_term(figures, predictor, term, attribute) for term in terms),
            _needs(figures, predictor),
        )
        for attribute in figures.groups
        if attribute in known
        for predictor in figures.predictors
    ]
    header = ("predictor", "groups by", *map(spoken, (first, *names, *gaps, *terms)), "needs")
    yield Sheet(title="One comparison", note=NOTE, header=header, rows=rows, names=2, keys=2)


def _cell(figures: Figures, predictor: str, measure: str, attribute: str | None) -> str:
    row = figures.row(predictor, measure, attribute)
    return "" if row is None else unrounded(row.value)


def _term(figures: Figures, predictor: str, term: str, attribute: str) -> str:
    """Of the one pair of groups that was taken apart."""
    found = [row for (name, measure, own, *_), row in figures.found.items() if (name, measure, own) == (predictor, term, attribute)]
    return unrounded(found[0].value) if found else ""


def _needs(figures: Figures, predictor: str) -> str:
    """The columns that a prediction reads."""
    described = figures.report.model["predictors"]
    assert isinstance(described, dict)
    own = described[predictor]
    assert isinstance(own, dict)
    needs = own["needs"]
    assert isinstance(needs, list)
    return ", ".join(map(str, needs)) or "nothing"
