"""What pydantic found wrong, in a reader's words and at the place where it is written."""

from collections.abc import Collection, Mapping

from pydantic import ValidationError

from cfair.errors import SpecError, nearest
from cfair.families import FAMILIES
from cfair.spec.frozen import Record
from cfair.spec.given import OWN
from cfair.spec.options import family_name
from cfair.spec.places import Path, Places
from cfair.spec.records import NodeSpec
from cfair.spec.scalars import described

__all__ = ["spec_error"]

_LATER = frozenset({"defaults", "columns"})  # keys of dag.yaml that are not built yet


def spec_error(error: ValidationError, raw: object, *, model: type[Record], places: Places) -> SpecError:
    """The first mistake in the order of lines; on one line, a wrong value before an unknown key.

    A key that is missing beside one that is unknown is most likely misspelt: the unknown one is told.

    Args:
        error: all that pydantic found.
        raw: the declaration as it was given.
        model: the record that was being read.
        places: where its parts stand.
    """
    found = [(_path(details["loc"]), details) for details in error.errors(include_url=False)]
    misspelt = {path[:-1] for path, details in found if details["type"] == "extra_forbidden"}
    told = [each for each in found if each[1]["type"] != "missing" or each[0][:-1] not in misspelt]
    path, first = min(told, key=lambda each: (places.line(each[0]), each[1]["type"] == "extra_forbidden"))
    match first["type"]:
        case "cfair":
            context = first["ctx"]
            return SpecError(places.where((*path, *context["path"])), context["problem"], context["mend"])
        case "missing":
            return SpecError(places.where(path[:-1]), f"'{path[-1]}' is missing", _missing(str(path[-1])))
        case "extra_forbidden":
            return SpecError(places.where(path), f"'{path[-1]}' is not a known key", _unknown(path, _keys(path, raw, model)))
        case "invalid_key":
            return SpecError(places.where(path[:-1]), f"the key {path[-1]!r} is not text", "put it in quotes")
    return SpecError(places.where(path), f"must be a mapping, not {described(first['input'])}", "write {key: value}, indented or in braces")


def _path(location: tuple[int | str, ...]) -> Path:
    """A location of pydantic as the file has it: levels and a family's own stand directly under ``parameters``, keys have no marker."""
    path = tuple(step for step in location if step != "[key]")
    if path[:1] == ("nodes",) and path[2:] == ("prior", "cell"):
        return path[:3]
    if path[:1] != ("nodes",) or path[2:3] != ("parameters",) or not path[3:]:
        return path
    if path[3] == "rows":
        return (*path[:3], "probabilities", *(step for step in path[4:] if step != "given"))
    return path[:3] + path[4:] if path[3] in {"levels", *OWN} else path


def _keys(path: Path, raw: object, model: type[Record]) -> Collection[str]:
    """The keys that could stand at the end of ``path``."""
    if path[:1] != ("nodes",) or len(path) < 3:
        return tuple(model.model_fields)
    node: object = raw
    for step in path[:2]:
        node = node[step] if isinstance(node, Mapping) else {}
    family = FAMILIES.get(str(family_name(node.get("mechanism")))) if isinstance(node, Mapping) else None
    if len(path) == 3 or family is None:
        return tuple(name for name in NodeSpec.model_fields if name not in ("own", "options"))
    return tuple(family.priors) if path[2] == "prior" else family.parameters


def _unknown(path: Path, keys: Collection[str]) -> str:
    return "it is planned; leave it out for now" if path[-1] in _LATER else nearest(str(path[-1]), keys)


def _missing(key: str) -> str:
    forms = {
        "mechanism": f"name one of: {', '.join(FAMILIES)}",
        "protected": "list the protected attributes, as in 'protected: [race]'",
        "outcome": "name the outcome, as in 'outcome: y'",
    }
    return forms.get(key, f"declare '{key}:'")
