"""What a mapping under ``mechanism:`` says beside the family: its options, each of the form that the family states."""

from collections.abc import Mapping
from typing import cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from cfair.errors import nearest
from cfair.families import Family, Option, OptionForm, OptionValue
from cfair.spec.frozen import Frozen
from cfair.spec.scalars import Flag, Groups, Positive, Sizes, Whole, described, mistake

__all__ = ["family_name", "split"]

_FORMS: dict[OptionForm, TypeAdapter[OptionValue]] = {
    "flag": TypeAdapter(Flag),
    "positive": TypeAdapter(Positive),
    "whole": TypeAdapter(Whole),
    "sizes": TypeAdapter(Sizes),
    "groups": TypeAdapter(Groups),
}


def family_name(mechanism: object) -> object:
    """The family in ``name`` or ``{family: name}``; whatever else it is, as it is."""
    return mechanism.get("family") if isinstance(mechanism, Mapping) else mechanism


def split(family: Family, node: Mapping[str, object]) -> dict[str, object]:
    """What a file says of a node, with ``mechanism: {family: name, option: value}`` taken apart into its name and its ``options``."""
    mechanism, own = node.get("mechanism"), node.get("options", Frozen({}))
    if not isinstance(own, Frozen):
        raise mistake("'options' is not a known key", "write options in the mechanism: {family: name, option: value}", "options")
    if not isinstance(mechanism, Mapping):
        return dict(node)
    options = {str(name): _read(family, mechanism, str(name)) for name in mechanism if name != "family"}
    return {**node, "mechanism": mechanism["family"], "options": Frozen(options)}


def _read(family: Family, mechanism: Mapping[str, object], name: str) -> OptionValue:
    """The option of this name, by its form."""
    if name not in family.options:
        mend = nearest(name, family.options) if family.options else "leave it out"
        raise mistake(f"'{name}' is not an option of '{mechanism['family']}'", mend, "mechanism", name)
    option, value = family.options[name], mechanism[name]
    if isinstance(option.form, tuple):
        return _word(option, value, name)
    try:
        return _FORMS[option.form].validate_python(value)
    except ValidationError as error:
        raise _moved(error, name) from None


def _word(option: Option, value: object, name: str) -> str:
    words = cast("tuple[str, ...]", option.form)
    if not isinstance(value, str) or value not in words:
        raise mistake(f"{described(value)} is not a {name}", nearest(value if isinstance(value, str) else "", words), "mechanism", name)
    return str(value)


def _moved(error: ValidationError, name: str) -> PydanticCustomError:
    """The first mistake in an option's value, at its place in the node."""
    first = error.errors(include_url=False)[0]
    context = first["ctx"]
    return mistake(context["problem"], context["mend"], "mechanism", name, *first["loc"], *context["path"])
