"""A table as it was surveyed: what its columns say of people, coded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from cfair.comparing import Division
from cfair.comparing.proxies import Feature
from cfair.data.table import Table

__all__ = ["Judged", "Outcome", "Surveyed"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What happened to n people.

    Args:
        name: of the column.
        kind: ``binary``, 1 for the positive level; ``category``, places of levels; ``real``, numbers.
        levels: in order; none of a number.
        positive: the level that counts as 1, where the kind is binary.
        y: shape (n,), float64.
        why: why that level is the positive one, in words.
    """

    name: str
    kind: Literal["binary", "category", "real"]
    levels: tuple[str, ...]
    y: Tensor
    positive: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What somebody predicted of n people.

    Args:
        name: of the predictor.
        decision: in the outcome's coding, shape (n,); numbers where the outcome is one.
        score: shape (n,); None where there is none.
        threshold: from which score on the decision is 1; None where decisions were given.
        asked: whether the threshold was asked for.
        prediction: the column of decisions, if there is one.
        scored_by: the column of scores, if there is one.
    """

    name: str
    decision: Tensor
    score: Tensor | None = None
    threshold: float | None = None
    asked: bool = False
    prediction: str | None = None
    scored_by: str | None = None

    @property
    def probability(self) -> bool:
        """Whether the scores can be probabilities."""
        return self.score is not None and bool(((self.score >= 0) & (self.score <= 1)).all())


@dataclass(frozen=True, slots=True, eq=False)
class Surveyed:
    """The people of a table.

    Args:
        table: that they are from.
        sha256: of its bytes, or of what was read of a DataFrame.
        outcome: of the n people who are measured.
        judged: what was predicted of them; the first is the one to which the others are compared.
        attributes: attribute with levels or bins -> its levels, and each person's place among them, (n,).
        numbers: attributes that are numbers, with bins or without, (n,) each.
        bins: attributes that were cut into bins.
        divisions: of the n people.
        weights: shape (n,), above 0; None: one each.
        weightless: rows of weight 0, which were left out.
        dropped: rows left out for want of a value.
        lost: attribute -> levels of which every row was left out for want of a value.
        missing: column -> who of ``holed`` has no entry, (m,), bool.
        holed: of the m people whose attributes are known, by attribute as ``divisions`` are.
        holed_weights: their weights, (m,).
        features: columns from which attributes may be predicted, (n,) each.
        unused: columns that nothing was asked of.
    """

    table: Table
    sha256: str
    outcome: Outcome
    judged: tuple[Judged, ...]
    attributes: Mapping[str, tuple[tuple[str, ...], Tensor]]
    numbers: Mapping[str, Tensor]
    bins: Mapping[str, tuple[float, ...]]
    divisions: tuple[Division, ...]
    weights: Tensor | None = None
    weightless: int = 0
    dropped: int = 0
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: Mapping[str, Tensor] = field(default_factory=dict)
    holed: tuple[Division, ...] = ()
    holed_weights: Tensor | None = None
    features: tuple[Feature, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """How many people are measured."""
        return len(self.outcome.y)

    def others(self, attribute: str) -> list[Feature]:
        """The attributes other than this one, as columns from which it may be predicted."""
        leveled = [
            Feature(name, member.double(), leveled=True) for name, (_, member) in self.attributes.items() if name not in self.numbers
        ]
        return [
            each
            for each in (*leveled, *(Feature(name, own, leveled=False) for name, own in self.numbers.items()))
            if each.name != attribute
        ]
