"""What an audit says: rows of measures, and what was assumed to get them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, TypeAlias

import pandas as pd

from cfair.comparing import Row
from cfair.errors import QueryError, nearest

__all__ = ["Assumption", "Curve", "Json", "Outside", "Report", "in_order"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How often a deployed prediction moves by how much, for an ordered pair: the (δ, ε) curve.

    Args:
        predictor: its name.
        attribute: protected attribute, or ``race x sex``.
        group: of the people who are moved; None for everyone.
        world: into which they are moved.
        epsilon: sizes of a move, in the outcome's unit, ascending.
        delta: the mean over people of δ_i(ε) = P(|D_i| > ε) over draws, one per epsilon.
        share: the share of people with δ_i(ε) > 0.05, one per epsilon.
        n: people.

    Source: Russell, Kusner, Loftus & Silva (2017), When worlds collide, Definition 1.
    """

    predictor: str
    attribute: str
    group: str | None = None
    world: str
    epsilon: tuple[float, ...]
    delta: tuple[float, ...]
    share: tuple[float, ...]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """How many people who are put into another group look like nobody in it.

    Args:
        attribute: protected attribute.
        group: in which they are.
        world: into which they are put.
        n: people.
        outside: how many of their counterfactual rows lie outside the data of the other group.
        expected: how many would, were the rows those of people of that group.
    """

    attribute: str
    group: str
    world: str
    n: int
    outside: int
    expected: float


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
    support: tuple[Outside, ...] = ()  # of the first split; empty where rows lack values
    curves: tuple[Curve, ...] = ()  # none where no prediction moves by more than the least epsilon

    def matrix(self, predictor: str, attribute: str, *, measure: str = "gap_reabducted") -> pd.DataFrame:
        """One measure of every ordered pair of an attribute's groups: a line per factual group, a column per world, in their order.

        Raises:
            QueryError: the report has no such predictor, attribute or measure of pairs.
        """
        frame = self.to_frame()
        frame = frame[frame["world"].notna() & frame["group"].notna()]
        for column, asked in (("predictor", predictor), ("attribute", attribute), ("measure", measure)):
            known = list(dict.fromkeys(frame[column]))
            if asked not in known:
                raise QueryError(column, f"the report has no pairs of groups of the {column} '{asked}'", nearest(asked, known))
            frame = frame[frame[column] == asked]
        groups = list(dict.fromkeys(frame["group"]))
        worlds = in_order([list(frame[frame["group"] == group]["world"]) for group in groups])
        return frame.pivot(index="group", columns="world", values="value").reindex(index=groups, columns=worlds)

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
        support = tuple(Outside(**row) for row in parts.pop("support", ()))
        curves = tuple(_curve(curve) for curve in parts.pop("curves", ()))
        return cls(rows=rows, assumptions=assumptions, not_used=tuple(parts.pop("not_used")), support=support, curves=curves, **parts)

    def to_json(self) -> dict[str, Json]:
        """The content of ``report.json``, schema 1."""
        return {"schema": 1, **asdict(self)}


def _curve(content: Mapping[str, Any]) -> Curve:
    """A curve as JSON has it."""
    lists = {key: tuple(content[key]) for key in ("epsilon", "delta", "share")}
    return Curve(**{**content, **lists})


def in_order(rows: Sequence[list[str]]) -> list[str]:
    """All worlds in the order of the levels, from rows that each leave out the group's own: the second tells where the first's belongs."""
    first = list(rows[0])
    for row in rows[1:2]:
        for place, world in enumerate(row):
            if world not in first:
                first.insert(place, world)
    return first
