"""``cfair check``: what a DAG declares, and whether a table fits it. Imports no torch, numpy or pandas unless a table is read."""

import json
from dataclasses import asdict
from typing import Annotated, Literal, TypeAlias, cast

import typer

from cfair.access import ACCESS, refused, sees
from cfair.cli._dag import AllowPython, Dag, read_dag
from cfair.errors import QueryError
from cfair.families import OptionValue
from cfair.graph import implied_independences
from cfair.spec import ModelSpec, NodeSpec, spec_warnings

__all__ = ["check"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


def check(
    dag: Dag,
    data: Annotated[str | None, typer.Option(help="Read this table too: a file, or a built-in table's name.", show_default=False)] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column that says how many people each row stands for.", show_default=False),
    ] = None,
    missing: Annotated[str, typer.Option(help="Rows with missing values: error, drop, or latent to integrate them out.")] = "error",
    explain: Annotated[bool, typer.Option("--explain", help="Say what each predictor may see, and why not the rest.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    allow_python: AllowPython = False,
) -> None:
    """Say what a DAG declares, who descends from whom, and what each predictor may see."""
    spec = read_dag(dag, allow_python=allow_python)
    if weights is not None and data is None:
        raise QueryError("weights", f"there is no table whose column '{weights}' could be", "pass --data too")
    table = None if data is None else _read(data, spec, weights, missing)
    if as_json:
        typer.echo(json.dumps(_document(spec, explain=explain) | ({} if table is None else {"data": table})))
    else:
        from cfair.cli._declaration import show  # rich, only where something is drawn

        show(spec, explain=explain, table=table)


def _read(data: str, spec: ModelSpec, weights: str | None, missing: str) -> dict[str, Json]:
    """What reading the table found."""
    from cfair.data import read_table  # torch and pandas, only where a table is read
    from cfair.inference import check_patterns

    columns = read_table(data, spec, missing=cast("Literal['error', 'drop', 'latent']", missing), weights=weights)
    check_patterns(spec, columns)
    return asdict(columns.facts)


def _document(spec: ModelSpec, *, explain: bool) -> dict[str, Json]:
    document: dict[str, Json] = {
        "name": spec.name,
        "nodes": {name: _node(node) for name, node in spec.nodes.items()},
        "protected": list(spec.protected),
        "outcome": spec.outcome,
        "resolving": list(spec.resolving),
        "unfair_paths": [list(path) for path in spec.unfair_paths],
        "held": list(spec.held),
        "latents": list(spec.latents),
        "descendants": list(spec.descendants),
        "non_descendants": list(spec.non_descendants),
        "predictors": {name: _predictor(spec, name) for name in ACCESS},
        "warnings": [asdict(warning) for warning in spec_warnings(spec)],
    }
    return document | ({"independences": _independences(spec)} if explain else {})


def _node(node: NodeSpec) -> dict[str, Json]:
    return {
        "mechanism": node.mechanism,
        "kind": node.kind,
        "parents": list(node.parents),
        "levels": list(node.levels),
        "latent": node.latent,
        "round": node.round,
        "options": {name: _listed(value) for name, value in node.options.items()},
    }


def _listed(value: OptionValue) -> Json:
    """An option's value, its tuples as lists."""
    return [list(each) if isinstance(each, tuple) else each for each in value] if isinstance(value, tuple) else value


def _predictor(spec: ModelSpec, name: str) -> dict[str, Json]:
    return {"sees": list(sees(spec, name)), "refused": {column: list(path) for column, path in refused(spec, name).items()}}


def _independences(spec: ModelSpec) -> list[Json]:
    found = implied_independences(spec.graph, spec.latents)
    return [{"first": each.first, "second": each.second, "given": list(each.given)} for each in found]
