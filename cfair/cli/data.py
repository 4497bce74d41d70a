"""``cfair data``: the tables that come with cfair."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from cfair.cli._drawing import draw
from cfair.data import builtin_tables

__all__ = ["data"]


def data(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """List the built-in tables: how large they are, where they come from, and under which licence."""
    if as_json:
        typer.echo(json.dumps({"tables": [asdict(table) for table in builtin_tables()]}))
    else:
        _show()


def _show() -> None:
    """One line per table, or a few in a narrow terminal."""
    listed = Table("table", "rows", "columns", "source", "licence", box=None, pad_edge=False)
    listed.columns[1].justify = listed.columns[2].justify = "right"
    for table in builtin_tables():
        listed.add_row(table.name, f"{table.rows:,}", str(table.columns), table.source, table.licence)
    draw(listed, wrap=False)
