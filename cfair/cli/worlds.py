"""``cfair worlds``: the rows of every counterfactual world as files, for a model outside of Python to score."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from cfair.cli._dag import AllowPython

__all__ = ["worlds"]


def worlds(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    dag: Annotated[str | None, typer.Option("--dag", metavar="DAG", help="A dag.yaml, or the name of a shipped model.")] = None,
    data: Annotated[
        str | None, typer.Option(help="The table: a file, or a built-in one's name. By default the DAG's or the run's.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Move people in this run's model; by default its held-out people.")] = None,
    draws: Annotated[int, typer.Option(min=1, help="Posterior draws per person.")] = 50,
    attributes: Annotated[str, typer.Option(help="Protected attributes, separated by commas. By default all.")] = "",
    carry: Annotated[str, typer.Option(help="Undeclared columns, separated by commas, that are the same in every world.")] = "",
    test_share: Annotated[float, typer.Option(help="Share of people to ask about, learning from the others; 0: everyone for both.")] = 0.0,
    missing: Annotated[str, typer.Option(help="Rows with missing values: error or drop.")] = "error",
    weights: Annotated[str | None, typer.Option(metavar="COLUMN", help="How many people each row stands for.", show_default=False)] = None,
    engine: Annotated[str, typer.Option(help="Of the inference: auto, quadrature, svi or nuts.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the learning, the split and the draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: {out, worlds: {label: file}}.")] = False,
    allow_python: AllowPython = False,
) -> None:
    """Write one parquet file per world, the factual one and one for each combination of protected attributes.

    Each row has the ids world, row and draw, and the columns that a model may read, as the table writes them. Score every row, keep the
    ids beside a column 'prediction' (or 'prediction[level]' for each class), and give that to 'cfair audit --worlds'.
    """
    from cfair.cli._auditing import learned, people_of, question_of  # torch and pandas
    from cfair.store import write_worlds
    from cfair.store.handing import check_worlds

    question = question_of(context)
    people = people_of(question)
    check_worlds(people.spec, people.asked, out)
    files = write_worlds(learned(people, question), people.asked, out, draws=draws, seed=seed, attributes=question.attributes)
    if as_json:
        typer.echo(json.dumps({"out": str(out), "worlds": files}))
    else:
        where = shlex.quote(str(out))
        typer.echo(f"{len(files)} worlds of {people.asked.n:,} people written to {where}, {draws} draws each but the factual one")
        typer.echo(f"Next: score every row, then cfair audit --worlds {where} --predictions F")
