"""``cfair simulate``: new people drawn from a declared model."""

from pathlib import Path
from typing import Annotated

import typer

from cfair.cli._dag import AllowPython, DagOption, read_dag, table_of
from cfair.data import check_writable, read_table, to_frame, write_table
from cfair.inference import learn
from cfair.inference.free import is_fixed
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import simulate as drawn_from

__all__ = ["simulate"]


def simulate(
    dag: DagOption,
    rows: Annotated[int, typer.Option(help="How many people.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A .csv or .parquet file to write.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    data: Annotated[
        str | None, typer.Option(help="The table to learn from what 'parameters:' leave open. By default the DAG's 'data:'.")
    ] = None,
    allow_python: AllowPython = False,
) -> None:
    """Draw people from a declared model, and write the nodes that are observed."""
    spec = read_dag(dag, allow_python=allow_python)
    check_writable(out)
    world = drawn_from(_learned(spec, dag, data), rows, seed=seed)
    write_table(to_frame(spec, {node: world.values[node][0] for node in spec.observed}), out)
    typer.echo(f"{rows:,} people drawn from {spec.name} written to {out}")


def _learned(spec: ModelSpec, dag: str, data: str | None) -> SCM:
    """The model as its parameters fix it, what they leave open learned from a table."""
    scm = SCM(spec)
    known = is_fixed(scm)
    if data is None and (known or spec.data is None):
        return scm if known else learn(spec)
    columns = read_table(table_of(spec, dag, data), spec)
    typer.echo(f"learning from {columns.facts.name}, {columns.n:,} rows, what dag.yaml leaves open", err=True)
    return learn(spec, columns)
