"""``cfair explain``: one row of a table in other worlds."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from cfair.cli._dag import AllowPython
from cfair.cli._drawing import draw
from cfair.data import read_table
from cfair.errors import QueryError
from cfair.explaining import explain as explanation_of
from cfair.report import to_explanation
from cfair.spec import ModelSpec
from cfair.store import load

__all__ = ["explain"]


def explain(
    run: Annotated[Path, typer.Option(help="The folder that 'cfair fit' wrote.", show_default=False)],
    data: Annotated[str, typer.Option(help="The table: a file, or a built-in one's name.", show_default=False)],
    row: Annotated[int, typer.Option(help="The person's position in it, from 0.", show_default=False)],
    predictor: Annotated[str, typer.Option(help="One of the run's.")] = "latent",
    level: Annotated[
        str | None,
        typer.Option(help="Of an outcome with several: whose probability is explained. By default the likeliest.", show_default=False),
    ] = None,
    world: Annotated[
        list[str] | None, typer.Option(metavar="A=LEVEL[,B=LEVEL]", help="What is done; may be given again. By default each other level.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Of what is not known of the person.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, with the keys above.")] = False,
    allow_python: AllowPython = False,
) -> None:
    """Say what one person's prediction would have been in other worlds, what moved it, and by which paths.

    JSON: {schema, model, predictor, outcome, event, row, prediction, sees, needs, factual: {node: value}, latents: [NODE], worlds: [{world,
    prediction: RANGE, change: RANGE, flips, nodes: [NODE], paths: [{path, contribution: RANGE}], exact, bounds: {low, high, sharp, nodes},
    unbounded, outside, why}], draws, seed}, with RANGE {value, low, high} and NODE {node, factual, number: RANGE, moved,
    levels: {level: share}}. Contributions add up to the change. Of an outcome with several levels the person and each world have
    classes: {level: probability}, too.
    """
    loaded = load(run, allow_python=allow_python)
    asked = None if not world else [_done(loaded.spec, text) for text in world]
    columns = read_table(data, loaded.spec, missing="drop", require=loaded.spec.evidence)  # a row that lacks a value is named if asked for
    found = explanation_of(
        loaded.scm, loaded.predictors, columns, row, predictor=predictor, level=level, worlds=asked, draws=draws, seed=seed
    )
    if as_json:
        typer.echo(json.dumps({"run": str(run), **found.to_json()}))
    else:
        draw(to_explanation(found))


def _done(spec: ModelSpec, text: str) -> dict[str, str | float]:
    """What ``race=White,sex=male`` does; a level may hold commas.

    Raises:
        QueryError: it does nothing that can be read.
    """
    names = "|".join(map(re.escape, spec.protected))
    parts = re.split(rf",(?=(?:{names})=)", text)
    done: dict[str, str | float] = {}
    for part in parts:
        node, equals, at = part.partition("=")
        if not equals:
            raise QueryError("--world", f"'{part}' sets nothing", f"write it as {spec.protected[0]}=LEVEL")
        done[node] = at if node not in spec.nodes or spec.nodes[node].levels else _number(node, at)
    return done


def _number(node: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise QueryError("--world", f"'{node}' is a number, and '{text}' is none", f"write it as {node}=1.5") from None
