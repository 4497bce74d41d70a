"""The parts of a decomposition beside its terms, and how all of them are written as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cfair.effects.paths import Path
from cfair.effects.records import TERMS, Estimate, Json

__all__ = [
    "AlongPart",
    "Difference",
    "MediatorPart",
    "PathPart",
    "RowsOnly",
    "Terms",
    "mediator_json",
    "numbers_json",
    "path_json",
    "terms_json",
]

Terms: TypeAlias = Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class MediatorPart:
    """The part of the indirect effect that enters by one mediator, with the sign of NIE and Ctf-IE: the parts add up to these.

    Args:
        mediator: a child of the attribute.
        nie: Shapley average over the orders of mediators.
        nie_sequential: in topological order.
        ctf_ie: Shapley average, among the people of x0.
        ctf_ie_sequential: in topological order, among the people of x0.
    """

    mediator: str
    nie: Estimate
    nie_sequential: Estimate
    ctf_ie: Estimate
    ctf_ie_sequential: Estimate


@dataclass(frozen=True, slots=True)
class PathPart:
    """What one path contributes to the total effect, as a Shapley average over paths: the parts of all paths add up to TE, and to ETT.

    Args:
        path: from the attribute to the target.
        te: among everyone.
        ett: among the people of x0.
        recanting: the witnesses that make the effect along this path alone depend on the coupling of noise.
    """

    path: Path
    te: Estimate
    ett: Estimate
    recanting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlongPart:
    """The effect along some paths together, E[y when they alone carry x1] − E[y_{x0}].

    Args:
        paths: that carry x1.
        te: among everyone.
        ett: among the people of x0.
        recanting: the witnesses that make it depend on the coupling of noise.
    """

    paths: tuple[Path, ...]
    te: Estimate
    ett: Estimate
    recanting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowsOnly:
    """The terms from rows and roles alone, by one-step estimators; those that rows do not tell are left out.

    Args:
        terms: term -> estimate.
        reverse: the same with x0 and x1 swapped.
        trimmed: shares of the people of whom a propensity was raised: given confounders, and given mediators, too.
    """

    terms: Terms
    reverse: Terms
    trimmed: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """The model's terms minus those from rows alone.

    Args:
        terms: term -> difference, with the interval of the difference.
        standard_errors: term -> of the difference.
    """

    terms: Terms
    standard_errors: Mapping[str, float]


def terms_json(found: Terms) -> dict[str, Json]:
    """Every term, null where it cannot be had."""
    return {term: numbers_json(found.get(term)) for term in TERMS}


def numbers_json(estimate: Estimate | None) -> dict[str, Json]:
    """``{"value", "low", "high"}``."""
    ends: Sequence[float | None] = (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
    return dict(zip(("value", "low", "high"), ends, strict=True))


def mediator_json(part: MediatorPart) -> dict[str, Json]:
    """Its part of NIE at the top, the others by name."""
    parts = {"sequential": part.nie_sequential, "ctf_ie": part.ctf_ie, "ctf_ie_sequential": part.ctf_ie_sequential}
    return {"mediator": part.mediator, **numbers_json(part.nie), **{name: numbers_json(each) for name, each in parts.items()}}


def path_json(part: PathPart | AlongPart) -> dict[str, Json]:
    """Its part of TE at the top, that of ETT, and the witnesses."""
    return {**numbers_json(part.te), "ett": numbers_json(part.ett), "recanting": list(part.recanting)}
