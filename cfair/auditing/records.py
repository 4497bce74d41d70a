"""What an audit says: rows of measures, and what was assumed to get them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, TypeAlias

import pandas as pd

__all__ = ["Assumption", "Json", "Report", "Row"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


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


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something the numbers rest on.

    Args:
        name: a short handle, as ``graph`` or ``coupling``.
        text: the assumption in one sentence.
        tested: how it was checked, or None where the data cannot.
    """

    name: str
    text: str
    tested: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The audit of some predictors on some people: tidy rows, and everything needed to read and repeat them."""

    rows: tuple[Row, ...]
    model: Mapping[str, Json]
    data: Mapping[str, Json]
    options: Mapping[str, Json]
    versions: Mapping[str, str]
    assumptions: tuple[Assumption, ...]
    not_used: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """One line per row, with the columns of ``report.json``."""
        return pd.DataFrame([asdict(row) for row in self.rows], columns=[field.name for field in fields(Row)])

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The report that ``to_json`` wrote.

        Raises:
            ValueError: the content is of another schema.
            KeyError, TypeError: it lacks a part, or has one too many.
        """
        if content["schema"] != 1:
            raise ValueError(f"schema {content['schema']} is not 1")
        parts = {key: value for key, value in content.items() if key != "schema"}
        rows = tuple(Row(**row) for row in parts.pop("rows"))
        assumptions = tuple(Assumption(**assumption) for assumption in parts.pop("assumptions"))
        return cls(rows=rows, assumptions=assumptions, not_used=tuple(parts.pop("not_used")), **parts)

    def to_json(self) -> dict[str, Json]:
        """The content of ``report.json``, schema 1."""
        return {"schema": 1, **asdict(self)}
