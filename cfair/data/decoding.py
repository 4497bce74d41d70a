"""Coded values back in the table's own words."""

import numpy as np
import pandas as pd
from torch import Tensor

from cfair.interfaces import Values
from cfair.spec import ModelSpec

__all__ = ["decode", "to_frame"]


def decode(spec: ModelSpec, node: str, column: Tensor) -> list[str] | list[float] | list[int]:
    """The names of the levels, the counts, or the real numbers that a node's coded values, shape (n,), stand for."""
    values, declared = column.numpy(), spec.nodes[node]
    if declared.discrete:
        return list(np.array(declared.levels, dtype=object)[values.astype(np.int64)])
    return list((values.astype(np.int64) if declared.kind == "count" else values).tolist())


def to_frame(spec: ModelSpec, values: Values) -> pd.DataFrame:
    """Coded values, node -> (n,), as a table with a column per node, in the spec's order; ``read_table`` codes them back."""
    return pd.DataFrame({node: decode(spec, node, values[node]) for node in spec.nodes if node in values})
