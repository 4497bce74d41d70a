"""The rows of a report by what they measure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from cfair.auditing import Report, Row
from cfair.comparing.representation import DATA
from cfair.families import DISCRETE

__all__ = ["Figures", "figures_of", "spoken"]

T = TypeVar("T", int, list[str])
PAIRED = re.compile(r".*_pair(\[.*\])?$|smallest_detectable_gap")  # measures of pairs of groups, whose name is no group's

WORDS = {
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
    "log_loss": "log-loss",
    "roc_auc": "AUC",
    "brier": "Brier score",
    "ranked_probability_score": "RPS",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """A report's rows, to be found by what they measure.

    Args:
        report: whose rows they are.
        found: (predictor, measure, attribute, group, world) -> row.
        predictors: in the report's order; what is said of the data themselves is no predictor's.
        measured: all that is measured: each predictor and, of one that gives probabilities of classes, each class as ``name[class]``.
        groups: attribute, or ``race x sex`` -> its groups, in the report's order.
    """

    report: Report
    found: Mapping[tuple[str | None, ...], Row]
    predictors: tuple[str, ...]
    measured: tuple[str, ...]
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

    def constrained(self, suffix: str = "") -> list[str]:
        """The constraints that were measured, by the name behind which their largest difference stands.

        Args:
            suffix: of the measures of one level of the outcome against the others, as ``[law]``.
        """
        named = (
            row.measure.removesuffix(f"_difference{suffix}") for row in self.report.rows if row.measure.endswith(f"_difference{suffix}")
        )
        return list(dict.fromkeys(named))

    def option(self, name: str, otherwise: T) -> T:
        """What the audit was asked for."""
        return cast("T", self.report.options.get(name, otherwise))

    @property
    def outcome(self) -> str:
        """The outcome's name."""
        return str(self.report.model["outcome"])

    @property
    def outcome_is_number(self) -> bool:
        """Whether predictions are compared by means and errors."""
        return self.report.model.get("outcome_kind") in ("real", "count")

    @property
    def binary(self) -> bool:
        """Whether the outcome is binary, so that predictions are probabilities."""
        return self.report.model.get("outcome_kind") == "binary"

    @property
    def leveled_outcome(self) -> bool:
        """Whether the outcome has levels, so that predictions are probabilities, and decide."""
        return self.report.model.get("outcome_kind") in DISCRETE

    @property
    def classes(self) -> list[str]:
        """The outcome's levels where there are several, of each of which a probability is predicted; else none."""
        return cast("list[str]", self.report.model.get("outcome_classes", []))

    def having(self, measures: Collection[str], *, among: Sequence[str] | None = None) -> tuple[str, ...]:
        """Those of the predictors, or of what is measured, of whom there is a row of one of these measures."""
        own = {key[0] for key in self.found if key[1] in measures}
        return tuple(name for name in (self.predictors if among is None else among) if name in own)


def figures_of(report: Report) -> Figures:
    """The rows of ``report``, to be found by what they measure."""
    found: dict[tuple[str | None, ...], Row] = {}
    groups: dict[str, dict[str, None]] = {}
    for row in report.rows:
        found[row.predictor, row.measure, row.attribute, row.group, row.world] = row
        if row.attribute is not None:
            own = groups.setdefault(row.attribute, {})
            if row.group is not None and row.world is None and not PAIRED.match(row.measure):
                own[row.group] = None
    measured = tuple(dict.fromkeys(row.predictor for row in report.rows if row.predictor != DATA))
    described = cast("Mapping[str, object]", report.model.get("predictors", dict.fromkeys(measured)))
    predictors = tuple(name for name in measured if name in described)
    return Figures(report, found, predictors, measured, {attribute: tuple(own) for attribute, own in groups.items()})


def spoken(measure: str) -> str:
    """A measure's or a constraint's name as it is said."""
    return WORDS.get(measure, measure.replace("_", " "))
