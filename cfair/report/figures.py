"""The rows of a report by what they measure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from cfair.auditing import Report, Row

__all__ = ["Figures", "figures_of", "spoken"]

T = TypeVar("T", int, list[str])

WORDS = {"rmse": "RMSE", "mae": "MAE", "r2": "R2", "log_loss": "log-loss", "roc_auc": "AUC", "brier": "Brier score"}


@dataclass(frozen=True, slots=True)
class Figures:
    """A report's rows, to be found by what they measure.

    Args:
        report: whose rows they are.
        found: (predictor, measure, attribute, group, world) -> row.
        predictors: in the report's order.
        groups: attribute, or ``race x sex`` -> its groups, in the report's order.
    """

    report: Report
    found: Mapping[tuple[str | None, ...], Row]
    predictors: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]

    @property
    def leveled(self) -> dict[str, tuple[str, ...]]:
        """Those of ``groups`` that have any: an attribute that is a number has none."""
        return {attribute: own for attribute, own in self.groups.items() if own}

    def row(self, predictor: str, measure: str, attribute: str | None = None, group: str | None = None) -> Row | None:
        """One measure of the factual world, or a worst pair; None if the report has no such row."""
        return self.found.get((predictor, measure, attribute, group, None))

    def has(self, measure: str) -> bool:
        """Whether any predictor was measured so."""
        return any(key[1] == measure for key in self.found)

    def option(self, name: str, otherwise: T) -> T:
        """What the audit was asked for."""
        return cast("T", self.report.options.get(name, otherwise))

    @property
    def outcome(self) -> str:
        """The outcome's name."""
        return str(self.report.model["outcome"])

    @property
    def binary(self) -> bool:
        """Whether the outcome is binary, so that predictions are probabilities."""
        return self.report.model.get("outcome_kind") == "binary"


def figures_of(report: Report) -> Figures:
    """The rows of ``report``, to be found by what they measure."""
    found: dict[tuple[str | None, ...], Row] = {}
    groups: dict[str, dict[str, None]] = {}
    for row in report.rows:
        found[row.predictor, row.measure, row.attribute, row.group, row.world] = row
        if row.attribute is not None:
            own = groups.setdefault(row.attribute, {})
            if row.group is not None and row.world is None and "_pair" not in row.measure:  # a pair of groups is none
                own[row.group] = None
    predictors = tuple(dict.fromkeys(row.predictor for row in report.rows))
    return Figures(report, found, predictors, {attribute: tuple(own) for attribute, own in groups.items()})


def spoken(measure: str) -> str:
    """A measure's or a constraint's name as it is said."""
    return WORDS.get(measure, measure.replace("_", " "))
