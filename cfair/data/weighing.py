"""The column of a table that holds the people's weights."""

import numpy as np

from cfair.data.coding import Floats, numbers
from cfair.data.table import Table, shown
from cfair.errors import DataError, QueryError
from cfair.spec import ModelSpec

__all__ = ["refuse_node", "weigh"]

NUMBERS = "write finite numbers with a point, how many people each row stands for"


def refuse_node(weights: str | None, spec: ModelSpec) -> None:
    """Refuse weights that are a node of the model: what is modelled cannot say how much it counts.

    Raises:
        QueryError: ``weights`` is a node.
    """
    if weights in spec.nodes:
        mend = "name a column that the model does not declare, or take the node out of it"
        raise QueryError("weights", f"'{shown(weights)}' is a node of the model", mend)


def weigh(table: Table, column: str) -> Floats:
    """Each row's weight, shape (n,).

    Raises:
        DataError: a weight is no number, infinite, missing or negative, or all are 0; the message names the rows.
    """
    weights = numbers(table, column, text=f"{NUMBERS}, or name another column", infinity=NUMBERS)
    missing, negative = np.isnan(weights), weights < 0
    if missing.any():
        problem = f"no weight in {missing.sum()} of {len(weights)} rows"
        raise table.misfit(column, missing, problem, "give every row a weight; one of 0 counts for nothing")
    if negative.any():
        raise table.misfit(column, negative, f"a weight of {weights[negative][0]:g} is negative", "write 0 for a row that is not to count")
    if not weights.any():
        where = f"{table.place}, column '{shown(column)}', rows 0 to {len(weights) - 1}"
        raise DataError(where, "every weight is 0", "give somebody a weight above 0, or leave the weights out")
    return weights + 0.0  # -0.0 is 0.0
