"""What a decomposition says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cfair.effects.identification import NotIdentified
from cfair.effects.parts import (
    AlongPart,
    Difference,
    MediatorPart,
    PathPart,
    RowsOnly,
    Terms,
    mediator_json,
    numbers_json,
    path_json,
    terms_json,
)
from cfair.effects.records import Json
from cfair.effects.roles import Roles

__all__ = ["Decomposition"]


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
        same_noise: terms of a prediction with an inference of its own inside, when that is not done anew in other worlds; else empty.
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
    same_noise: Terms = field(default_factory=dict)
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
            **terms_json(self.terms),
            "reverse": dict(terms_json(self.reverse)),
            "mediators": [mediator_json(part) for part in self.mediators],
            "paths": [{"path": list(part.path), **path_json(part)} for part in self.paths],
            "along": [{"paths": [list(path) for path in part.paths], **path_json(part)} for part in self.along],
            "source": self.source,
            "method": self.method,
            "not_identified": [each.to_json() for each in self.not_identified],
            **({"same_noise": dict(terms_json(self.same_noise))} if self.same_noise else {}),
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
            term: {**numbers_json(each), "standard_error": errors[term]} for term, each in self.difference.terms.items()
        }
        rows: dict[str, Json] = {
            **terms_json(self.rows_only.terms),
            "reverse": dict(terms_json(self.rows_only.reverse)),
            "trimmed": list(self.rows_only.trimmed),
        }
        return {"doubly_robust": rows, "difference": differences}
