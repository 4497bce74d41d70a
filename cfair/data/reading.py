"""A table read and coded as the spec declares."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from cfair.data.coding import Floats, code
from cfair.data.codings import codings_of
from cfair.data.sources import Source, open_table
from cfair.data.table import Table, likely, shown
from cfair.data.weighing import refuse_node, weigh
from cfair.errors import DataError, QueryError, nearest
from cfair.interfaces import Columns, Facts
from cfair.spec import ModelSpec

__all__ = ["read_table", "refuse_absent"]

TREATMENTS = ("error", "drop", "latent")  # of missing values


def read_table(
    source: Source,
    spec: ModelSpec,
    *,
    missing: Literal["error", "drop", "latent"] = "error",
    require: Collection[str] | None = None,
    weights: str | None = None,
) -> Columns:
    """Observed nodes' columns of a table, coded as ``spec`` declares, in the table's order.

    A DataFrame is read as it is, its columns by their names. A Path is a file. A str is a built-in table if it names one, else a file;
    with a "." or a "/" it always is a file.

    Args:
        source: where the table is.
        spec: what the columns are.
        missing: ``error`` refuses rows without an entry; ``drop`` leaves them out and counts them; ``latent`` keeps them, to be integrated
            out, and refuses those without a protected attribute.
        require: the nodes to read, by default all observed ones. No other column is looked at, whatever it holds.
        weights: the column that says how many people like them each person stands for (survey weights); one each if None. Rows of weight
            0 stay in the table and count for nothing. A missing weight is an error whatever ``missing`` says.

    Raises:
        DataError: the table cannot be read, lacks a column, has no rows, an entry does not fit the spec, or a weight is not finite,
            negative or missing, or all are 0.
        QueryError: ``require`` names something that is not an observed node, ``weights`` a node, or ``missing`` is none of the words.
    """
    required = _required(spec, require)
    if missing not in TREATMENTS:
        raise QueryError("missing", f"'{missing}' is not a way to treat missing values", "use 'error', 'drop' or 'latent'")
    refuse_node(weights, spec)
    wanted = [*required, *([weights] if weights is not None else [])]
    table = open_table(source, wanted)
    refuse_absent(table, wanted)
    if not len(table.frame):
        raise DataError(table.place, "has no rows", "give at least one below the header")
    coded = {node: code(table, node, spec.nodes[node]) for node in required}
    codings = codings_of(table, coded, spec)
    weighed = None if weights is None else weigh(table, weights)
    kept = np.arange(len(table.frame)) if missing == "latent" else _kept(table, coded, drop=missing == "drop")
    _refuse_ungrouped(table, {node: coded[node][kept] for node in required if node in spec.protected})
    table = replace(table, sha256=table.sha256 or _fingerprint(coded if weighed is None else {**coded, "weights": weighed}))
    columns = _columns(table, {node: values[kept] for node, values in coded.items()}, kept, spec)
    columns = replace(columns, codings=codings)
    return columns if weighed is None else _weighed(columns, str(weights), weighed[kept])


def _required(spec: ModelSpec, require: Collection[str] | None) -> Sequence[str]:
    """The nodes that the table must have, in the spec's order."""
    for node in require or ():
        if node not in spec.observed:
            raise QueryError("require", f"'{node}' is not an observed node", nearest(node, spec.observed))
    return spec.observed if require is None else [node for node in spec.observed if node in require]


def refuse_absent(table: Table, required: Sequence[str]) -> None:
    """Refuse a table that lacks a required column."""
    absent = [node for node in required if node not in table.columns]
    if not absent:
        return
    quoted = ", ".join(f"'{shown(node)}'" for node in absent)
    problem = f"there is no column {quoted}" if len(absent) == 1 else f"there are no columns {quoted}"
    packed = len(table.columns) == 1 and set(table.columns[0]) & set(";\t|")
    named = likely(absent[0], table.columns, f"add {'it' if len(absent) == 1 else 'them'} to those that the table has")
    raise DataError(table.place, problem, "separate the columns by commas" if packed else named)


def _kept(table: Table, coded: Mapping[str, Floats], *, drop: bool) -> NDArray[np.int64]:
    """Positions of the rows in which no column has a missing entry; refuses the others unless they are to be dropped."""
    gaps = {node: np.isnan(values) for node, values in coded.items()}
    gaps = {node: gap for node, gap in gaps.items() if gap.any()}
    if gaps and not drop:
        where = "; ".join(f"column '{shown(node)}', {table.rows(gap)}" for node, gap in gaps.items())
        counts = ", ".join(f"{gap.sum()} in '{shown(node)}'" for node, gap in gaps.items())
        problem = f"missing values: {counts}"
        raise DataError(
            f"{table.place}, {where}",
            problem,
            "fill them in, leave these rows out (missing='drop', --missing drop), or integrate them out ('latent')",
        )
    complete = ~np.logical_or.reduce([np.zeros(len(table.frame), bool), *gaps.values()])
    if not complete.any():
        raise DataError(table.place, f"each of the {len(table.frame)} rows has a missing value", "fill some of them in")
    return np.flatnonzero(complete)


def _refuse_ungrouped(table: Table, protected: Mapping[str, Floats]) -> None:
    """Refuse people without a protected attribute: whom they are to be compared with is not to be guessed."""
    for node, values in protected.items():
        gap = np.isnan(values)
        if gap.any():
            count = "1 value is" if gap.sum() == 1 else f"{gap.sum()} values are"
            problem = f"{count} missing, and a protected attribute is not integrated out"
            raise table.misfit(node, gap, problem, "fill them in, or leave these rows out (missing='drop')")


def _fingerprint(coded: Mapping[str, Floats]) -> str:
    """The SHA-256 of coded values, the same whatever types of column they came in."""
    digest = hashlib.sha256()
    for node, values in coded.items():
        digest.update(node.encode(errors="replace") + np.where(np.isnan(values), np.nan, values).tobytes())
    return digest.hexdigest()


def _columns(table: Table, coded: Mapping[str, Floats], kept: NDArray[np.int64], spec: ModelSpec) -> Columns:
    """The kept rows, counts rounded, with what was found on the way."""
    whole = {node: np.rint(values) if spec.nodes[node].kind == "count" else values for node, values in coded.items()}
    gaps = {node: gap for node, values in coded.items() if (gap := np.isnan(values)).any()}
    rounded = {node: int((np.abs(values - coded[node]) > 0).sum()) for node, values in whole.items()}
    facts = Facts(
        name=table.name,
        rows=len(table.frame),
        sha256=table.sha256,
        dropped=len(table.frame) - len(kept),
        rounded={node: rows for node, rows in rounded.items() if rows},
        unused=tuple(name for name in table.columns if name not in spec.observed),
        missing={node: int(gap.sum()) for node, gap in gaps.items()},
    )
    values = {node: torch.from_numpy(column + 0.0) for node, column in whole.items()}  # -0.0 is 0.0
    return Columns(values, torch.from_numpy(kept), facts, missing={node: torch.from_numpy(gap) for node, gap in gaps.items()})


def _weighed(columns: Columns, name: str, weights: Floats) -> Columns:
    """The columns with their people's weights, shape (n,), from the column ``name``."""
    unused = tuple(column for column in columns.facts.unused if column != name)
    facts = replace(columns.facts, unused=unused, weights=name, weightless=int((weights == 0).sum()))
    return replace(columns, facts=facts, weights=torch.from_numpy(weights))
