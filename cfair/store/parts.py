"""The people of a run again: those it was learned from, and those it was audited on."""

from pathlib import Path
from typing import Literal, cast

from cfair.data import read_table, split
from cfair.errors import DataError, StoreError
from cfair.interfaces import Columns
from cfair.store.run import Run

__all__ = ["parts"]


def parts(run: Run, table: str | Path | None = None) -> tuple[Columns, Columns]:
    """The training rows and the tested rows of a run's first split, from the table that it was fitted on: all that were held out,
    those without an outcome, too, whom the audit left out.

    Args:
        run: whose options tell the table, the seed and the share of tested rows.
        table: where the table is now; by default where the run says that it was.

    Raises:
        StoreError: the run names no table, or it is not where it was.
        DataError: the table is not the one that the run was fitted on, by its SHA-256.
    """
    data, options = run.report.data, run.report.options
    columns = _read(run, table)
    if columns.facts.sha256 != data["sha256"]:
        problem = f"it is not the table that the run was fitted on: its sha256 is {columns.facts.sha256[:12]}..., that of the run's"
        raise DataError(str(table or options.get("data")), f"{problem} {str(data['sha256'])[:12]}...", "give that very file with --data")
    share, seed = cast("float", options["test_share"]), cast("int", options["seed"])
    training, tested = split(columns, run.spec, test_share=share, seed=seed)
    held_out = cast("int", data["audited_rows"]) + cast("int", data.get("audited_rows_without_outcome", 0))
    if (training.n, tested.n) != (data["training_rows"], held_out):
        counted = f"{data['training_rows']} and {held_out}"
        problem = f"the table parts into {training.n} and {tested.n} rows, and the run counts {counted}"
        raise StoreError(run.spec.name, problem, "fit again with this version of cfair")
    return training, tested


def _read(run: Run, table: str | Path | None) -> Columns:
    """The table, read as the run read it."""
    options, name = run.report.options, run.report.data["name"]
    if "training_rows" not in run.report.data or "test_share" not in options:
        raise StoreError(run.spec.name, "the run does not say which rows were held out", "fit again with 'cfair fit'")
    if name == "DataFrame":
        problem = "the run was fitted on a DataFrame, of which no file remains"
        raise StoreError(run.spec.name, problem, "in Python: cfair.diagnose(run.scm, tested, training=training)")
    source = table if table is not None else options.get("data", name)
    missing = cast("Literal['error', 'drop']", options.get("missing", "error"))
    weights = cast("str | None", options.get("weights"))
    try:
        return read_table(str(source), run.spec, missing=missing, weights=weights)
    except DataError as error:
        if table is not None:
            raise
        problem = f"its table '{source}' cannot be read from here ({error.problem})"
        raise StoreError(run.spec.name, problem, "say where the table is now with --data") from error
