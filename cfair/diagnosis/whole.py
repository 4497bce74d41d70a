"""The rows that lack no value: checks are made on them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cfair.diagnosis.groups import MIN_PEOPLE
from cfair.errors import DataError
from cfair.interfaces import Columns
from cfair.scm import SCM

__all__ = ["left_out", "whole"]


def whole(scm: SCM, columns: Columns) -> Columns:
    """The rows with a value in every column.

    Raises:
        DataError: an observed node has no column, or fewer than MIN_PEOPLE rows are whole.
    """
    if missing := [node for node in scm.spec.observed if node not in columns]:
        raise DataError(columns.facts.name, f"the table has no column '{missing[0]}'", "read it with every observed node")
    kept = columns.take((~_lacking(columns)).nonzero().squeeze(-1)) if columns.missing else columns
    if kept.n < MIN_PEOPLE:
        rows = f"{kept.n} of {columns.n} rows have every value, and" if columns.missing else f"{kept.n} rows"
        raise DataError(columns.facts.name, f"{rows} say too little", f"give at least {MIN_PEOPLE}")
    return kept


def left_out(tested: Columns, training: Columns | None) -> Iterator[str]:
    """A word on the rows that lack a value."""
    tables = {"tested": tested} if training is None else {"tested": tested, "training": training}
    lost = [f"{int(_lacking(table).sum()):,} of {table.n:,} {name} rows" for name, table in tables.items() if table.missing]
    if lost:
        yield (
            f"Left out for want of a value: {' and '.join(lost)}. If who lacks one depends on what the table has of them, the others "
            "differ from everybody, and a check may fail for that alone."
        )


def _lacking(columns: Columns) -> Tensor:
    """Who lacks a value, shape (n,), bool."""
    return torch.stack([*columns.missing.values()]).any(0)
