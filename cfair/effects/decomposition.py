"""What a decomposition says, as records and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cfair.effects.identification import NotIdentified
from cfair.effects.paths import Path
from cfair.effects.records import TERMS, Estimate, Json
from cfair.effects.roles import Roles

__all__ = ["AlongPart", "Decomposition", "Difference", "MediatorPart", "PathPart", "RowsOnly"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """A disparity taken apart: ten terms in both directions, by mediator and by path, with what they rest on.

    Args:
        model: its name.
        start: x0, as text.
        end: x1, as text.
        of: the target, as text.
        source: scm, doubly_robust or both.
        method: "enumeration", "common noise" or "rows".
        roles: of the nodes.
        terms: term -> estimate, those that can be had; from the model unless ``source`` is doubly_robust.
        reverse: the same with x0 and x1 swapped.
        mediators: parts of the indirect effect.
        paths: parts of the total effect.
        along: effects along the paths that were asked for.
        rows_only: the terms from rows alone, where ``source`` is both.
        difference: between the two sources, where ``source`` is both.
        not_identified: what observed nodes do not tell.
        said: what is to be noticed, in sentences.
        options: how it was asked for.
        versions: of the packages.
        data: facts about the table; empty if there was none.
        assumptions: what the numbers rest on: name -> sentence.
    """

    model: str
    start: str
    end: str
    of: str
    source: str
    method: str
    roles: Roles
    terms: Terms
    reverse: Terms
    mediators: tuple[MediatorPart, ...] = ()
    paths: tuple[PathPart, ...] = ()
    along: tuple[AlongPart, ...] = ()
    rows_only: RowsOnly | None = None
    difference: Difference | None = None
    not_identified: tuple[NotIdentified, ...] = ()
    said: tuple[str, ...] = ()
    options: Mapping[str, Json] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Json] = field(default_factory=dict)
    assumptions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """One document: each term at the top, ``{"value", "low", "high"}``, null where it cannot be had; ``reverse`` has the same keys.

        ``mediators`` and ``paths`` are lists whose values add up to NIE and to TE; further parts stand beside them.
        """
        return {
            "schema": 1,
            "model": self.model,
            "attribute": self.roles.attribute,
            "from": self.start,
            "to": self.end,
            "of": self.of,
            **_terms(self.terms),
            "reverse": dict(_terms(self.reverse)),
            "mediators": [_mediator(part) for part in self.mediators],
            "paths": [{"path": list(part.path), **_path(part)} for part in self.paths],
            "along": [{"paths": [list(path) for path in part.paths], **_path(part)} for part in self.along],
            "source": self.source,
            "method": self.method,
            "not_identified": [each.to_json() for each in self.not_identified],
            **self._both(),
            "confounders": list(self.roles.confounders),
            "mediating": [*self.roles.mediators, *self.roles.latent_mediators],
            "said": list(self.said),
            "assumptions": [{"name": name, "text": text} for name, text in self.assumptions.items()],
            "options": dict(self.options),
            "seed": self.options.get("seed"),
            "versions": dict(self.versions),
            "data": dict(self.data),
        }

    def _both(self) -> dict[str, Json]:
        """What was found from rows alone, and how far the model is from it."""
        if self.rows_only is None or self.difference is None:
            return {}
        errors = self.difference.standard_errors
        differences: dict[str, Json] = {
            term: {**_numbers(each), "standard_error": errors[term]} for term, each in self.difference.terms.items()
        }
        rows: dict[str, Json] = {
            **_terms(self.rows_only.terms),
            "reverse": dict(_terms(self.rows_only.reverse)),
            "trimmed": list(self.rows_only.trimmed),
        }
        return {"doubly_robust": rows, "difference": differences}


def _terms(found: Terms) -> dict[str, Json]:
    return {term: _numbers(found.get(term)) for term in TERMS}


def _numbers(estimate: Estimate | None) -> dict[str, Json]:
    """``{"value", "low", "high"}``."""
    ends: Sequence[float | None] = (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
    return dict(zip(("value", "low", "high"), ends, strict=True))


def _mediator(part: MediatorPart) -> dict[str, Json]:
    parts = {"sequential": part.nie_sequential, "ctf_ie": part.ctf_ie, "ctf_ie_sequential": part.ctf_ie_sequential}
    return {"mediator": part.mediator, **_numbers(part.nie), **{name: _numbers(each) for name, each in parts.items()}}


def _path(part: PathPart | AlongPart) -> dict[str, Json]:
    return {**_numbers(part.te), "ett": _numbers(part.ett), "recanting": list(part.recanting)}
