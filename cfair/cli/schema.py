"""``cfair schema``: what a dag.yaml may hold, for editors."""

import json

import typer

from cfair.spec import spec_schema

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of dag.yaml, for editors."""
    typer.echo(json.dumps(spec_schema(), indent=2))
