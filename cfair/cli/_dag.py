"""What a command's DAG argument means, and which table goes with it."""

from pathlib import Path
from typing import Annotated

import typer

from cfair.errors import SpecError
from cfair.spec import ModelSpec, find_model, load_spec

__all__ = ["AllowPython", "Dag", "DagOption", "read_dag", "table_of"]

_HELP = "A dag.yaml, or the name of a shipped model."
Dag = Annotated[str, typer.Argument(metavar="DAG", help=_HELP, show_default=False)]
AllowPython = Annotated[
    bool, typer.Option("--allow-python", help="Run mechanisms of the user's own, {python: module:Class}. Only for code that you trust.")
]
DagOption = Annotated[str, typer.Option("--dag", metavar="DAG", help=_HELP, show_default=False)]


def read_dag(dag: str, *, allow_python: bool = False) -> ModelSpec:
    """The declaration in a file, or the shipped model of that name.

    Raises:
        CodeError: it names code of the user's own that is not allowed, or cannot be used.
        SpecError: ``dag`` is neither, or declares no model.
    """
    return load_spec(find_model(dag), allow_python=allow_python)


def table_of(spec: ModelSpec, dag: str, data: str | None = None) -> str | Path:
    """The table to read: ``--data`` if given, else what the declaration names: a built-in table, or a file beside the dag.yaml.

    Raises:
        SpecError: neither names a table.
    """
    if data is not None:
        return data
    if spec.data is None:
        raise SpecError(dag, "names no table", "write 'data:' into it, or pass --data")
    return find_model(dag).parent / spec.data if set("./\\") & set(spec.data) else spec.data
