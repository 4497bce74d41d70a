"""Predictions in a file, put beside the people whom they are of."""

import numpy as np
import torch
from torch import Tensor

from cfair.data.coding import Floats, numbers
from cfair.data.sources import Source, open_table
from cfair.data.table import Table, likely, shown
from cfair.errors import DataError
from cfair.interfaces import Columns

__all__ = ["read_predictions"]

ROW = "row"  # the column that says whose prediction it is, as ``cfair predict`` writes it


def read_predictions(source: Source, column: str, columns: Columns) -> Tensor:
    """The prediction of each person of a table, shape (n,), from a column of another table.

    Where that has a column ``row``, it names each prediction's row in the table as given, 0-based, in any order; otherwise both tables
    have the same rows in the same order.

    Args:
        source: a DataFrame, or a file.
        column: that holds the predictions.
        columns: the people.

    Raises:
        DataError: there is no such column, a person has no prediction or two, or a prediction is no finite number.
    """
    table = open_table(source, [column, ROW])
    if column not in table.columns:
        raise DataError(table.place, f"there is no column '{shown(column)}'", likely(column, table.columns, "use one of"))
    values = numbers(table, column)
    if np.isnan(values).any():
        raise table.misfit(column, np.isnan(values), f"{np.isnan(values).sum()} predictions are missing", "give one for every row")
    placed = _by_row(table, values, columns) if ROW in table.columns else _in_order(table, values, columns)
    return torch.from_numpy(placed + 0.0)


def _by_row(table: Table, values: Floats, columns: Columns) -> Floats:
    """Predictions by the rows that they name."""
    rows = numbers(table, ROW)
    wrong = np.isnan(rows) | (rows < 0) | (rows != np.rint(rows)) | (rows >= columns.facts.rows)
    if wrong.any():
        mend = f"write whole numbers from 0 to {columns.facts.rows - 1}, each person's place in {columns.facts.name}"
        raise table.misfit(ROW, wrong, "names no row of the people's table", mend)
    twice = np.bincount(rows.astype(np.int64), minlength=columns.facts.rows) > 1
    if twice.any():
        repeated = twice[rows.astype(np.int64)]
        raise table.misfit(ROW, repeated, f"{twice.sum()} people have more than one prediction", "keep one for each")
    placed = np.full(columns.facts.rows, np.nan)
    placed[rows.astype(np.int64)] = values
    own: Floats = placed[columns.rows.numpy()]
    if np.isnan(own).any():
        lacking = columns.rows.numpy()[np.isnan(own)]
        problem = f"{len(lacking)} of {columns.n} people have no prediction, the first of them row {lacking[0]}"
        raise DataError(f"{table.place}, column '{ROW}'", problem, "predict them all")
    return own


def _in_order(table: Table, values: Floats, columns: Columns) -> Floats:
    """Predictions in the order of the people's table."""
    if len(values) != columns.facts.rows:
        problem = f"{len(values)} predictions of {columns.facts.rows} rows"
        raise DataError(table.place, problem, f"give one per row of {columns.facts.name}, in its order, or add a column '{ROW}'")
    own: Floats = values[columns.rows.numpy()]
    return own
