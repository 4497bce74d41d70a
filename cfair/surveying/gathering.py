"""Columns given as arrays, put into one table with those that are named."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from cfair.data.sources import Source
from cfair.errors import QueryError

__all__ = ["Column", "gather"]

Column: TypeAlias = str | pd.Series | NDArray[np.generic] | Tensor | Sequence[object]  # a column's name, or its values


def gather(
    data: Source | None, roles: Mapping[str, Column | None], attributes: Sequence[str] | Mapping[str, Column] | pd.DataFrame | str
) -> tuple[Source, dict[str, str | None], tuple[str, ...]]:
    """A table that holds every column, and the name of each role's column and of the attributes'.

    Args:
        data: the table that names refer to, or None.
        roles: role -> its column.
        attributes: names, or name -> values.

    Raises:
        QueryError: a name without a table, values beside a file, or values that are not one for each person.
    """
    by = _by(attributes)
    given = {**by, **{role: column for role, column in roles.items() if column is not None and not isinstance(column, str)}}
    values = {name: column for name, column in given.items() if not isinstance(column, str)}
    words = {role: column if column is None or isinstance(column, str) else role for role, column in roles.items()}
    asked = tuple(column if isinstance(column, str) else name for name, column in by.items())
    if not values:
        if data is None:
            raise QueryError("data", "columns are named, and there is no table to find them in", "give one, or give the columns' values")
        return data, words, asked
    if isinstance(data, str | Path):
        problem = f"'{next(iter(values))}' is given by its values beside a file"
        raise QueryError("data", problem, "read the file into a DataFrame, or name the file's columns")
    return _together(data, values), words, asked


def _by(attributes: Sequence[str] | Mapping[str, Column] | pd.DataFrame | str) -> dict[str, Column]:
    """Each attribute's column, by its name."""
    if isinstance(attributes, pd.DataFrame):
        return {str(name): attributes[name] for name in attributes.columns}
    if isinstance(attributes, Mapping):
        return {str(name): column for name, column in attributes.items()}
    return {name: name for name in ([attributes] if isinstance(attributes, str) else attributes)}


def _together(data: pd.DataFrame | None, values: Mapping[str, Column]) -> pd.DataFrame:
    """The table with the values as further columns.

    Raises:
        QueryError: values that are not one for each person, or named as a column that the table has.
    """
    columns, people = dict[str, object](), None if data is None else len(data)
    for name, column in values.items():
        if data is not None and name in data.columns:
            raise QueryError(name, f"the table has a column '{name}', and values are given for one", "rename the table's")
        if isinstance(column, pd.Series) and data is not None and not column.index.equals(data.index):
            raise QueryError(name, "its index is not that of the table", "give its values in the table's order, as .to_numpy()")
        array = column.reset_index(drop=True) if isinstance(column, pd.Series) else pd.Series(_array(name, column))
        if people is not None and len(array) != people:
            raise QueryError(name, f"{len(array):,} values for {people:,} people", "give one value per person, in their order")
        columns[name], people = array, len(array)
    given = pd.DataFrame(columns)
    return given if data is None else pd.concat([data.reset_index(drop=True), given], axis=1)


def _array(name: str, column: Column) -> NDArray[np.generic]:
    """One value per person.

    Raises:
        QueryError: the values are no single column.
    """
    values = np.asarray(column.detach().cpu().numpy() if isinstance(column, Tensor) else column)
    if values.ndim != 1:
        raise QueryError(name, f"the values have shape {values.shape}", "give one value per person, shape (n,)")
    return values
