"""The JSON Schema of dag.yaml, for editors."""

from typing import TypeAlias

from cfair.families import DISCRETE, FAMILIES, Family, Form, Option, OptionForm, PriorForm

__all__ = ["spec_schema"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json]"

_Object: TypeAlias = dict[str, Json]

_TEXT: _Object = {"type": ["string", "number", "boolean"]}  # names and levels count by their text
_NAMES: _Object = {"type": "array", "items": _TEXT, "uniqueItems": True}
_PAIR: _Object = {**_NAMES, "minItems": 2, "maxItems": 2}
_FLAG: _Object = {"type": "boolean"}
_NUMBER: _Object = {"type": "number"}
_POSITIVE: _Object = {"type": "number", "exclusiveMinimum": 0}
_WEIGHTS: _Object = {"type": "object", "additionalProperties": _NUMBER, "description": "Fixes them all: what is not named is 0."}
_PROBABILITIES: _Object = {"type": "array", "items": _POSITIVE, "minItems": 2}
_CUTPOINTS: _Object = {"type": "array", "items": _NUMBER, "minItems": 1, "description": "Increasing, one fewer than levels."}
_CHANCES: _Object = {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 2}
_ROW: _Object = {"type": "object", "properties": {"p": _CHANCES}, "required": ["p"], "additionalProperties": _TEXT}
_ROWS: _Object = {"type": "array", "items": _ROW, "minItems": 1, "description": "One row per combination of the parents' levels."}
_FORMS: dict[Form, _Object] = {
    "number": _NUMBER,
    "positive": _POSITIVE,
    "weights": _WEIGHTS,
    "scale_weights": _WEIGHTS,
    "cutpoints": _CUTPOINTS,
    "rows": _ROWS,
}
_WHOLE: _Object = {"type": "integer", "minimum": 1}
_GROUP: _Object = {**_NAMES, "minItems": 2}
_OPTIONS: dict[OptionForm, _Object] = {
    "flag": _FLAG,
    "positive": _POSITIVE,
    "whole": _WHOLE,
    "sizes": {"type": "array", "items": _WHOLE},
    "groups": {"type": "array", "items": _GROUP},
}


def spec_schema() -> _Object:
    """The JSON Schema (draft 2020-12) of a dag.yaml. What it cannot say (parents exist, no cycle) ``load_spec`` checks."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cfair dag.yaml",
        "description": "A structural causal model: nodes with their mechanisms and parents, what is protected, and what is predicted.",
        **_object(
            {
                "name": {**_TEXT, "description": "Name of the model, and of its run's folder."},
                "source": {**_TEXT, "description": "Where the model comes from."},
                "data": {**_TEXT, "description": "A built-in table, or a path beside this file."},
                "protected": {**_NAMES, "minItems": 1, "description": "The protected attributes."},
                "outcome": {**_TEXT, "description": "The node to be predicted."},
                "resolving": {**_NAMES, "description": "Descendants of a protected attribute through which influence is accepted."},
                "unfair_paths": {
                    "type": "array",
                    "items": {"oneOf": [_NAMES, {"type": "string", "pattern": "->"}]},
                    "description": "Paths from a protected attribute along which influence is not accepted; what is on none is held.",
                },
                "confounded": {"type": "array", "items": _PAIR, "description": "Pairs of nodes with a hidden common cause."},
                "nodes": {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": {"pattern": r"^[^=,\[\]]+$", "maxLength": 200},
                    "additionalProperties": {"oneOf": [*(_node(name, family) for name, family in FAMILIES.items()), _own()]},
                },
            },
            required=["protected", "outcome", "nodes"],
        ),
    }


def _node(name: str, family: Family) -> _Object:
    """What may be said of a node of one family."""
    said: _Object = {
        "mechanism": {"oneOf": [{"const": name}, _mechanism(name, family)]},
        "parents": {**_NAMES, "description": "Nodes that cause this one."},
        "latent": {**_FLAG, "description": "Never observed."},
        "parameters": {**_parameters(family), "description": "What is fixed; the rest is learned."},
        "prior": _priors(family),
    }
    if family.couplings:
        said["coupling"] = {"enum": list(family.couplings), "description": "How noise is shared between worlds; the first by default."}
    if family.kind == "binary":
        said["levels"] = {**_NAMES, "minItems": 2, "maxItems": 2, "description": "The reference, then the event."}
    elif family.kind in DISCRETE:
        order = "In their order; the first is the reference." if family.kind == "ordinal" else "The first is the reference."
        said["levels"] = {**_NAMES, "minItems": 2, "description": order}
    elif family.kind == "count":
        said["round"] = {**_FLAG, "description": "Round a fractional count when reading."}
    return {"title": name, **_object(said, required=["mechanism", "levels"] if "levels" in said else ["mechanism"])}


def _own() -> _Object:
    """What may be said of a node whose mechanism is the user's own: which keys fit, its kind decides."""
    reference: _Object = {"type": "string", "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", "description": "module:Class"}
    mapping: _Object = {"type": "object", "properties": {"python": reference, "sha256": {"type": "string"}}, "required": ["python"]}
    said: _Object = {"mechanism": mapping, "parents": _NAMES, "latent": _FLAG, "levels": {**_NAMES, "minItems": 2}, "round": _FLAG}
    return {"title": "python", **_object(said, required=["mechanism"])}


def _mechanism(name: str, family: Family) -> _Object:
    """``{family: name}`` with the family's options."""
    options: _Object = {option: _option(stated) for option, stated in family.options.items()}
    return _object({"family": {"const": name}, **options}, required=["family"])


def _option(stated: Option) -> _Object:
    form: _Object = {"enum": list(stated.form)} if isinstance(stated.form, tuple) else _OPTIONS[stated.form]
    return {**form, "description": stated.meaning} if stated.meaning else form


def _parameters(family: Family) -> _Object:
    own = _object({name: _FORMS[form] for name, form in family.parameters.items()})
    if not family.by_level:
        return own
    levels: _Object = {"type": "object", "additionalProperties": own, "description": "One set per level but the first."}
    return {"anyOf": [levels, _object({"probabilities": _PROBABILITIES}, required=["probabilities"])]}


def _priors(family: Family) -> _Object:
    if "cell" in family.priors:
        return {"type": "number", "minimum": 0, "description": "Pseudo-count per cell, 0.5 by default; 0 gives frequencies."}
    return {**_object({parameter: _prior(prior) for parameter, prior in family.priors.items()}), "description": "In raw units."}


def _prior(family: PriorForm) -> _Object:
    """``{normal: sd}``, ``{normal: [mean, sd]}`` or ``{inverse_gamma: [shape, scale]}``."""
    first = _NUMBER if family == "normal" else _POSITIVE
    pair: _Object = {"type": "array", "prefixItems": [first, _POSITIVE], "minItems": 2, "maxItems": 2}
    return _object({family: {"anyOf": [_POSITIVE, pair]} if family == "normal" else pair}, required=[family])


def _object(properties: _Object, required: list[Json] | None = None) -> _Object:
    """A mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "required": required or [], "additionalProperties": False}
