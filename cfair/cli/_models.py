"""A model that a command is to audit: code of the user's own, or an estimator that skops wrote."""

import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from cfair.errors import CodeError, QueryError
from cfair.spec.own_code import at_border, run_class

__all__ = ["check_model", "read_model"]

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def check_model(reference: str, *, allow_python: bool) -> None:
    """Refuse, before anything is read, a model that is neither a file of skops nor code that may run.

    Raises:
        CodeError: it is code of the user's own, and nobody has allowed it to run.
        QueryError: it is neither, or there is no such file.
    """
    if Path(reference).suffix == ".skops":
        if not Path(reference).is_file():
            raise QueryError("model", f"there is no file '{reference}'", "check the path")
        return
    if not _REFERENCE.fullmatch(reference):
        mend = "write my_module:predict, or give a file that skops.io.dump wrote, as model.skops; pickles are never read"
        raise QueryError("model", f"'{reference}' is neither code nor a file of skops", mend)
    if not allow_python:
        problem = f"'{reference}' is code of the user's own, and nobody has allowed it to run"
        raise CodeError("model", problem, "if you trust it, pass --allow-python")


def read_model(reference: str, *, trust: Sequence[str], beside: Path | None) -> object:
    """What ``--model`` names: ``module:name``, or a file of skops.

    Args:
        reference: that ``check_model`` let pass.
        trust: types that a file of skops may have beside those that skops trusts.
        beside: the folder in which a module is looked for first, then in the current one, then on ``sys.path``.

    Raises:
        CodeError: the module cannot be found, or raises something; or the file has types that are not trusted.
        QueryError: skops is not installed, or the file cannot be read.
    """
    if Path(reference).suffix == ".skops":
        return _of_skops(Path(reference), trust)
    module, _, name = reference.partition(":")
    return run_class(module, name, _source(module, beside), where=f"model '{reference}'", mend="define it there")


def _source(module: str, beside: Path | None) -> Path:
    """The file of a module."""
    for folder in (beside, Path.cwd()):
        path = folder / f"{module}.py" if folder is not None else None
        if path is not None and "." not in module and path.is_file():
            return path.resolve()
    with at_border(f"model '{module}'", f"looking for the module '{module}'"):
        sys.path.insert(0, str(Path.cwd()))
        try:
            found = find_spec(module)
        finally:
            sys.path.remove(str(Path.cwd()))
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        problem = f"there is no module '{module}'" if found is None else f"'{module}' is no Python file"
        raise CodeError(f"model '{module}'", problem, "write it into this folder, or put its folder on PYTHONPATH")
    return Path(found.origin)


def _of_skops(path: Path, trust: Sequence[str]) -> object:
    """The estimator in a file of skops, whose types are all trusted."""
    try:
        from skops import io  # an extra
    except ImportError as error:
        raise QueryError("model", "skops is not installed, and it reads this file", "install it: pip install 'cfair[skops]'") from error
    try:
        unknown = [name for name in io.get_untrusted_types(file=path) if name not in trust]
    except Exception as error:
        raise QueryError(str(path), f"it cannot be read as a file of skops ({' '.join(str(error).split())})", "write it again") from error
    if unknown:
        flags = " ".join(f"--trust {name}" for name in unknown)
        raise CodeError(str(path), f"it holds types that nobody trusts yet: {', '.join(unknown)}", f"if you trust them, pass {flags}")
    with at_border(str(path), "reading it"):
        return cast("object", io.load(path, trusted=list(trust)))
