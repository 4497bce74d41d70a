"""What dag.yaml says under ``parameters:`` of one node, as frozen records."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator

from cfair.errors import nearest
from cfair.families import Family, Form
from cfair.spec.frozen import Frozen, Record
from cfair.spec.scalars import Level, NotNegative, Number, Plain, Positive, Text, described, level_text, mistake

__all__ = ["OWN", "LevelParameters", "Parameters", "Row", "gathered"]


def _listed(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise mistake("must be a list of numbers", "write one probability per level, in square brackets")
    return value


def _numbers(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise mistake(f"must be a list of numbers, not {described(value)}", "write them in square brackets")
    return value


LevelOf = Annotated[Mapping[Text, Level], AfterValidator(Frozen)]
Weights = Annotated[Mapping[Text, Number], AfterValidator(Frozen)]


class Row(Record):
    """The probabilities of a table's levels for one combination of its parents' levels, ``{x: "0", d: "1", p: [0.7, 0.3]}``."""

    given: LevelOf  # parent -> level
    p: tuple[NotNegative, ...]


def _rows(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise mistake("must be a list of rows", "write [{x: level, p: [0.7, 0.3]}, ...], one row per combination of the parents' levels")
    return value


def _row(value: object) -> object:
    """A row as a file has it, its parents beside ``p``."""
    if isinstance(value, Row):
        return value
    if not isinstance(value, Mapping) or "p" not in value:
        raise mistake("a row has the parents' levels and 'p', its probabilities", "write {x: level, p: [0.7, 0.3]}")
    return {"given": {key: level for key, level in value.items() if key != "p"}, "p": _listed(value["p"])}


class LevelParameters(Record):
    """Fixed parameters of one level of a category."""

    intercept: Number | None = None
    weights: Weights | None = None


class Parameters(Record):
    """Fixed parameters of a mechanism; what is None, or missing, is learned.

    Args:
        intercept: on the scale of the linear predictor: raw, logit or log.
        weights: weight name -> weight; when given, weights not named are 0.
        scale: of the noise: its standard deviation where it is normal.
        scale_weights: of the log of a scale that parents change; when given, weights not named are 0.
        levels: of a category: level -> its parameters; the first level's are 0 and never named.
        probabilities: of a category without parents: one per level, summing to 1.
        numbers: the family's other parameters that are one number; in a file they stand beside the rest.
        lists: those that are a list of numbers.
        rows: of a table: its ``probabilities``, a row per combination of the parents' levels.
    """

    intercept: Number | None = None
    weights: Weights | None = None
    scale: Positive | None = None
    scale_weights: Weights | None = None
    levels: Annotated[Mapping[str, LevelParameters], AfterValidator(Frozen)] | None = None
    probabilities: Annotated[tuple[Positive, ...], BeforeValidator(_listed)] | None = None
    numbers: Annotated[Mapping[str, Number], AfterValidator(Frozen)] = Frozen({})
    lists: Annotated[Mapping[str, Annotated[tuple[Number, ...], BeforeValidator(_numbers)]], AfterValidator(Frozen)] = Frozen({})
    rows: Annotated[tuple[Annotated[Row, BeforeValidator(_row)], ...], BeforeValidator(_rows)] | None = None


FIELDS: Mapping[Form, str] = {"number": "numbers", "positive": "numbers", "cutpoints": "lists"}  # where a parameter of this form is kept
OWN = frozenset({"numbers", "lists", "rows"})  # fields of Parameters for a family's own: no keys of a file


def gathered(family: Family, given: Mapping[str, object]) -> dict[str, object]:
    """What a file has under ``parameters`` as fields of ``Parameters``: levels, and the family's own parameters, stand there by name."""
    return _by_level(given) if family.by_level else _by_form(family, given)


def _by_form(family: Family, given: Mapping[str, object]) -> dict[str, object]:
    shared: dict[str, object] = {}
    own: dict[str, dict[str, object]] = {}
    for key, value in given.items():
        if key in OWN:
            raise mistake(f"this node has no parameter '{key}'", nearest(str(key), family.parameters), "parameters", str(key))
        form = family.parameters.get(key)
        if form == "rows":
            shared["rows"] = value
        elif form is None or key in Parameters.model_fields:
            shared[key] = value
        else:
            own.setdefault(FIELDS[form], {})[str(key)] = value
    return {**shared, **own}


def _by_level(given: Mapping[str, object]) -> dict[str, object]:
    """``{Black: {...}, probabilities: [...]}`` with the levels gathered under ``levels``."""
    own = {key: value for key, value in given.items() if key == "probabilities" and not isinstance(value, Mapping)}
    levels: dict[str, object] = {}
    for key in given:
        read = key.value() if isinstance(key, Plain) else key
        text = str(key) if read is None else level_text(read)
        if text in levels:
            raise mistake(f"level '{text}' is given twice", "keep one of them", "parameters", str(key))
        if key not in own:
            if not isinstance(given[key], Mapping | BaseModel):
                raise mistake("a category's parameters stand under its levels", "write {Level: {intercept: 0.0}}", "parameters", str(key))
            levels[text] = given[key]
    return {**own, "levels": levels} if levels or not own else dict(own)
