"""The border with a user's own code: the one place that runs it, and where what it raises becomes a CodeError."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from cfair.errors import CfairError, CodeError

__all__ = ["at_border", "run_class"]


@contextmanager
def at_border(where: str, doing: str) -> Iterator[None]:
    """Within it the user's code runs: whatever it raises comes out as a CodeError with it as its cause.

    Args:
        where: the node and the class.
        doing: what was asked of it, as ``value(noise, parents)``.

    Raises:
        CodeError: the code raised something.
    """
    try:
        yield
    except CfairError:
        raise
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split()) or "without a word"
        raise CodeError(
            where, f"{doing} raised {type(error).__name__}: {said[:500]}", "mend the code; its traceback is the cause"
        ) from error


def run_class(module: str, name: str, path: Path, *, where: str, mend: str = "define it there") -> object:
    """What ``module`` calls ``name``, its file run at most once per content.

    Raises:
        CodeError: the module raised something, or has no such name.
    """
    with at_border(where, f"importing {path}"):
        found = _imported(module, path)
    if not hasattr(found, name):
        raise CodeError(where, f"{path} has no '{name}'", mend)
    return getattr(found, name)


def _imported(module: str, path: Path) -> ModuleType:
    """The module as Python imports it where it is on ``sys.path``; else run from its file, under a name that its content gives it."""
    try:
        on_path = find_spec(module)
    except (ImportError, ValueError, AttributeError):
        on_path = None
    if on_path is not None and on_path.origin is not None and Path(on_path.origin).resolve() == path.resolve():
        return import_module(module)
    source = path.read_bytes()
    name = f"{module}_{sha256(source).hexdigest()[:16]}"
    return sys.modules[name] if name in sys.modules else _run(name, source, path)


def _run(name: str, source: bytes, path: Path) -> ModuleType:
    """A new module from its source. Nothing is written beside it; what lies beside it can be imported by it."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and torch look a class's module up
    sys.path.insert(0, str(path.parent))
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - who allows Python asks for this
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module
