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

__all__ = ["Column", "Several", "gather"]

Column: TypeAlias = str | pd.Series | NDArray[np.generic] | Tensor | Sequence[object]  # a column's name, or its values
Several: TypeAlias = Column | Mapping[str, Column] | pd.DataFrame  # one of them, names, or name -> values

SEVERAL = ("attributes", "prediction", "score")  # roles that more than one column can have


def gather(data: Source | None, roles: Mapping[str, Several | None]) -> tuple[Source, dict[str, tuple[str, ...]]]:
    """A table that holds every column, and the names of each role's columns.

    A list of texts names columns where the table has them all, or where it is not one text per person.

    Args:
        data: the table that names refer to, or None.
        roles: role -> its column, or several.

    Raises:
        QueryError: a name without a table, values beside a file, two columns of one name, or values that are not one for each person.
    """
    asked = {role: {} if columns is None else _by(role, columns, data) for role, columns in roles.items()}
    for role, columns in asked.items():
        if role not in SEVERAL and len(columns) > 1:
            raise QueryError(role, f"{len(columns)} columns are given for it", "give one")
    names = {
        role: tuple(column if isinstance(column, str) else name for name, column in columns.items()) for role, columns in asked.items()
    }
    values = dict[str, Column]()
    for role, columns in asked.items():
        for name, column in columns.items():
            if name in values and not isinstance(column, str):
                raise QueryError(role, f"values are given for two columns '{name}'", "name them differently")
            values |= {} if isinstance(column, str) else {name: column}
    if not values:
        if data is None:
            raise QueryError("data", "columns are named, and there is no table to find them in", "give one, or give the columns' values")
        return data, names
    if isinstance(data, str | Path):
        problem = f"'{next(iter(values))}' is given by its values beside a file"
        raise QueryError("data", problem, "read the file into a DataFrame, or name the file's columns")
    return _together(data, values), names


def _by(role: str, columns: Several, data: Source | None) -> dict[str, Column]:
    """Each column of a role, by its name; values alone are named as the role is."""
    if isinstance(columns, pd.DataFrame):
        return {str(name): columns[name] for name in columns.columns}
    if isinstance(columns, Mapping):
        return {str(name): column for name, column in columns.items()}
    if isinstance(columns, str):
        return {columns: columns}
    if role in SEVERAL and isinstance(columns, list | tuple | pd.Index | np.ndarray):
        texts = [each for each in columns if isinstance(each, str)]
        if len(texts) == len(columns) and (role == "attributes" or _are_names(texts, data)):
            return {name: name for name in texts}
    return {str(columns.name) if role == "attributes" and isinstance(columns, pd.Series) and columns.name is not None else role: columns}


def _are_names(texts: Sequence[str], data: Source | None) -> bool:
    """Whether texts name columns, and are no values."""
    if isinstance(data, pd.DataFrame):
        return len(texts) != len(data) or all(text in data.columns for text in texts)
    return data is not None


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
