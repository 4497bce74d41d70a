"""dag.yaml to a declaration, and back."""

from pathlib import Path

from cfair.errors import SpecError
from cfair.spec.model import ModelSpec
from cfair.spec.own import admitted
from cfair.spec.plain import yaml_text
from cfair.spec.scalars import Plain
from cfair.spec.shipped import shipped_models
from cfair.spec.yaml import compose

__all__ = ["dump_spec", "load_spec", "read_spec"]

_LARGEST = 1_000_000  # bytes; a declaration has a few thousand, a table by mistake has many


def load_spec(path: str | Path, *, allow_python: bool = False) -> ModelSpec:
    """The declaration in a file, or a shipped model's.

    Args:
        path: a dag.yaml, or the name of a model that comes with cfair, as ``law_school``.
        allow_python: whether mechanisms of the user's own, ``{python: "module:Class"}``, may run their code.

    Raises:
        CodeError: code of the user's own is declared that is not allowed, or cannot be used.
        SpecError: there is no such file, or it does not declare a model; the message names file and line.
    """
    file = shipped_models().get(str(path), Path(path))
    name = str(path) if file == Path(path) else str(file)
    return read_spec(_text(file), name=name, allow_python=allow_python, folder=file.parent)


def read_spec(text: str, *, name: str, allow_python: bool = False, folder: Path | None = None) -> ModelSpec:
    """The declaration in the text of a file called ``name``, in ``folder``.

    Raises:
        CodeError: code of the user's own is declared that is not allowed, or cannot be used.
        SpecError: ``text`` does not declare a model; the message names file and line.
    """
    value, places = compose(text, name)
    if not isinstance(value, dict):
        empty = isinstance(value, Plain) and value.value() is None
        problem = "the file is empty" if empty else f"the file holds {'a list' if isinstance(value, list) else 'text'}, not a declaration"
        raise SpecError(f"{name}:{places.line(())}", problem, "declare 'protected:', 'outcome:' and 'nodes:' at the top")
    known = admitted(value, places, allow_python=allow_python, folder=folder)
    return ModelSpec.model_validate(known, context=places)


def dump_spec(spec: ModelSpec) -> str:
    """YAML from which ``read_spec`` makes an equal declaration."""
    return yaml_text(spec)


def _text(path: Path) -> str:
    """The text of a file, unless it cannot be a declaration."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise SpecError(str(path), "there is no such file", f"check the path; shipped models are: {', '.join(shipped_models())}") from error
    except IsADirectoryError as error:
        raise SpecError(str(path), "is a folder", f"name the file in it, as {path / 'dag.yaml'}") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise SpecError(ascii(str(path))[1:-1], f"cannot be read: {error}", "check the path and its permissions") from error
    if len(content) > _LARGEST:
        raise SpecError(f"{path}:1", f"more than {_LARGEST:,} bytes are not a declaration", "name a dag.yaml, not a table")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(f"{path}:{line}", "is not UTF-8 text", "name a dag.yaml, saved as UTF-8") from error
