"""``cfair audit``: any model, by its code, its file, or its predictions of worlds that ``cfair worlds`` wrote."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cfair.cli._dag import AllowPython
from cfair.errors import QueryError

__all__ = ["audit"]

USED_WITH_WORLDS = ("worlds", "predictions", "output", "name", "out", "quiet", "as_json", "allow_python")


def audit(
    context: typer.Context,
    dag: Annotated[str | None, typer.Option("--dag", metavar="DAG", help="A dag.yaml, or the name of a shipped model.")] = None,
    data: Annotated[
        str | None, typer.Option(help="The table: a file, or a built-in one's name. By default the DAG's or the run's.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="my_module:predict (a function of a DataFrame, or an estimator), or model.skops.")
    ] = None,
    trust: Annotated[list[str] | None, typer.Option(help="A type that a .skops file may hold; once for each.")] = None,
    run: Annotated[Path | None, typer.Option(help="Move people in this run's model; by default its held-out people.")] = None,
    worlds: Annotated[Path | None, typer.Option(help="A folder that 'cfair worlds' wrote, with --predictions.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="A .parquet or .csv file, or a folder of them: world, row, draw, prediction.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Posterior draws per person.")] = 50,
    bounds: Annotated[
        int, typer.Option(min=0, help="Bound the worst gaps over all couplings, for so many people of the group; it may take minutes.")
    ] = 0,
    attributes: Annotated[str, typer.Option(help="Protected attributes, separated by commas. By default all.")] = "",
    carry: Annotated[str, typer.Option(help="Undeclared columns, separated by commas, that are the same in every world.")] = "",
    output: Annotated[str, typer.Option(help="auto, or score for numbers in a unit of their own.")] = "auto",
    name: Annotated[str, typer.Option(help="Of the model in the report.")] = "model",
    test_share: Annotated[float, typer.Option(help="Share of people to ask about, learning from the others; 0: everyone for both.")] = 0.0,
    missing: Annotated[str, typer.Option(help="Rows with missing values: error, drop, or latent to integrate them out.")] = "error",
    weights: Annotated[str | None, typer.Option(metavar="COLUMN", help="How many people each row stands for.", show_default=False)] = None,
    engine: Annotated[str, typer.Option(help="Of the inference: auto, quadrature, svi or nuts.")] = "auto",
    uncertainty: Annotated[str, typer.Option(help="Worlds of drawn parameters beside the learned one: none, laplace or nuts.")] = "none",
    seed: Annotated[int, typer.Option(min=0, help="Of the learning, the split and the draws.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A folder for report.json and report.md.", show_default=False)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: the report.")] = False,
    allow_python: AllowPython = False,
) -> None:
    """Say how far any model's predictions move when people are moved to another group, and how well and evenly it predicts.

    The model in which people are moved is learned from the table (or a run's), and everyone in it is asked about; whatever is wrong with
    the audited model shows before anything is learned. Nothing of a model is trusted unasked: code runs with --allow-python only, a
    .skops file is read if it holds no type beyond those that skops and --trust name.
    """
    if (worlds is None) != (predictions is None) or (model is None) == (worlds is None):
        raise QueryError(
            "model", "a model, or worlds with its predictions of them, are audited", "give --model, or --worlds and --predictions"
        )

    from cfair.cli._auditing import (  # torch and pandas: only once the words are right
        AUDIT,
        audit_model,
        check_unused,
        question_of,
        save_report,
    )
    from cfair.cli._drawing import draw
    from cfair.cli._progress import progress
    from cfair.report import to_table
    from cfair.store import audit_worlds
    from cfair.store.whole import check_free

    if out is not None:
        check_free(out, AUDIT)
    if worlds is not None and predictions is not None:
        check_unused(context, USED_WITH_WORLDS)
        report = audit_worlds(worlds, predictions, name=name, output=output, allow_python=allow_python)
    else:
        question = question_of(context)
        with progress(quiet=quiet) as tell:
            report = audit_model(question, str(model), name=name, output=output, trust=trust or (), draws=draws, bounds=bounds, tell=tell)
    if out is not None:
        save_report(report, out)
    if as_json:
        typer.echo(json.dumps({**report.to_json(), "out": None if out is None else str(out)}))
    else:
        draw(to_table(report))
