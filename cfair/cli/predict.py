"""``cfair predict``: a run's predictions for the people of a table."""

from pathlib import Path
from typing import Annotated

import typer

from cfair.cli._dag import AllowPython
from cfair.data import check_writable, write_table
from cfair.store import load

__all__ = ["predict"]


def predict(
    run: Annotated[Path, typer.Option(help="The folder that 'cfair fit' wrote.", show_default=False)],
    data: Annotated[str, typer.Option(help="The table: a file, or a built-in one's name.", show_default=False)],
    predictor: Annotated[str, typer.Option(help="One of the run's.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A .csv or .parquet file to write.", show_default=False)],
    allow_python: AllowPython = False,
) -> None:
    """Predict the outcome of the people in a table: one row each, in their order."""
    check_writable(out)
    loaded = load(run, allow_python=allow_python)
    predictions = loaded.predict(data, predictor)
    write_table(predictions.reset_index(), out)
    typer.echo(f"{len(predictions):,} predictions of {loaded.spec.outcome} written to {out}")
