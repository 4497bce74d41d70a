"""The first figure to trust: how far frozen predictors move in worlds whose parameters are drawn."""

from collections.abc import Iterator, Mapping

from cfair.report.figures import Figures
from cfair.report.gaps import largest_pair, unit_and_groups, worst_pairs
from cfair.report.numbers import ROUNDING, figure, plain
from cfair.report.sheets import Sheet

__all__ = ["trust", "trust_in_full"]

MEASURE = "gap_frozen"
TITLE = "Counterfactual gaps with predictors frozen: the figures to trust first"
SMALL = 0.1  # of the gap in drawn worlds
ERRORS = {"parameter": f"{MEASURE}_parameter_error", "sampling": f"{MEASURE}_sampling_error"}


def trust(figures: Figures) -> Iterator[Sheet]:
    """A line per predictor, and below it the standard error of the sampling of people; nothing where no parameters were drawn."""
    rows = []
    for name in figures.predictors:
        rows.append((name, *_cells(figures, name)))
        rows += [("  sampling error", *_errors(figures, name, "sampling"))] if _moves(figures, name) else []
    if figures.has(MEASURE):
        after = (*worst_pairs(figures, [MEASURE]), *_by_construction(figures))
        yield Sheet(title=TITLE, note=_note(figures), header=("predictor", *figures.groups), rows=rows, after=after)


def trust_in_full(figures: Figures) -> Iterator[Sheet]:
    """A line per predictor, or class of one, for the gap, and one for each of its two errors."""
    rows = []
    for name in figures.measured:
        rows.append((name, "gap", *_cells(figures, name)))
        if _moves(figures, name):
            rows += [(name, f"{error} error", *_errors(figures, name, error)) for error in ERRORS]
    if figures.has(MEASURE):
        header, after = ("predictor", "", *figures.groups), (*worst_pairs(figures, [MEASURE]), *_by_construction(figures))
        yield Sheet(title=TITLE, note=_note(figures), header=header, rows=rows, names=2, keys=2, after=after)


def _cells(figures: Figures, predictor: str) -> tuple[str, ...]:
    return tuple(figure(figures.row(predictor, f"{MEASURE}_worst", attribute)) for attribute in figures.groups)


def _errors(figures: Figures, predictor: str, error: str) -> tuple[str, ...]:
    """One of the two standard errors of the worst pairs."""
    return tuple(_error(figures, predictor, attribute, ERRORS[error]) for attribute in figures.groups)


def _error(figures: Figures, predictor: str, attribute: str, measure: str) -> str:
    worst = largest_pair(figures, predictor, attribute, MEASURE)
    if worst is None:
        return ""
    row = figures.found[predictor, measure, attribute, worst.group, worst.world]
    return plain(row.value if row.value is None or row.value > ROUNDING else 0.0)


def _moves(figures: Figures, predictor: str) -> bool:
    """Whether any of the predictor's gaps is more than rounding."""
    worst = [figures.row(predictor, f"{MEASURE}_worst", attribute) for attribute in figures.groups]
    return any(row is not None and (row.value or 0.0) > ROUNDING for row in worst)


def _note(figures: Figures) -> str:
    splits, doubted = figures.option("splits", 1), _doubted(figures)
    spread = "over these worlds (parameter error)" if splits == 1 else f"over {splits} random splits"
    return (
        f"{doubted}What was learned need not be true. Here predictors stay as they were fitted, all that they infer of a person included, "
        f"and people are moved in worlds whose parameters are drawn from what the data leave open of them. {unit_and_groups(figures)} "
        f"In brackets: 95 % intervals {spread}; sampling error: the standard error over people."
    )


def _doubted(figures: Figures) -> str:
    """A sentence on draws of parameters that are not to be trusted; nothing where they are."""
    drawn = figures.report.model.get("uncertainty")
    why = drawn["doubt"] if isinstance(drawn, Mapping) else None
    return f"NOT TO BE TRUSTED HERE: {why}. " if why is not None else ""


def _by_construction(figures: Figures) -> Iterator[str]:
    """Why the gaps in the learned model say less of some predictors."""
    names = [name for name in figures.predictors if _moves(figures, name) and _is_smaller(figures, name)]
    if names:
        yield (
            f"With the noise unchanged, the gaps that follow are near 0 for {' and '.join(names)} by construction: they are taken in the "
            "learned model, whose protected attributes move nothing that is read. They would stay so however wrong that model was."
        )


def _is_smaller(figures: Figures, predictor: str) -> bool:
    """Whether the same-noise gaps are much smaller than those in drawn worlds."""
    for attribute in figures.groups:
        same, drawn = (figures.row(predictor, f"{gap}_worst", attribute) for gap in ("gap_same_noise", MEASURE))
        if same is not None and drawn is not None and (same.value or 0.0) > SMALL * (drawn.value or 0.0):
            return False
    return True
