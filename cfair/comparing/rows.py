"""One line of a report."""

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Row", "Said"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure of one predictor; what does not apply is None.

    Args:
        predictor: its name.
        measure: its name, as in README's table of measures.
        attribute: protected attribute, or ``race x sex``.
        group: level of the attribute, or ``Black, female``.
        world: counterfactual world, as ``race=Black``.
        value: in the outcome's unit, or a share.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
        n: people behind the value.
    """

    predictor: str
    measure: str
    attribute: str | None = None
    group: str | None = None
    world: str | None = None
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None


Said: TypeAlias = tuple[Row, str | None]  # a row, and why it has no value where it has none
