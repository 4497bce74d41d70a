"""``cfair groups``: anyone's predictions by group, and the data before any model. No graph is needed."""

import json
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

__all__ = ["groups"]


def groups(
    data: Annotated[str, typer.Option(help="The table: a file, or a built-in one's name.", show_default=False)],
    outcome: Annotated[str, typer.Option(metavar="COLUMN", help="What happened: two levels, several, or a number.", show_default=False)],
    attributes: Annotated[str, typer.Option(help="Columns by which people are compared, separated by commas.", show_default=False)],
    prediction: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Decisions in the outcome's levels, or numbers where it is one; several, separated by commas, are compared.",
            show_default=False,
        ),
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Numbers that order people; several as above.", show_default=False)
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="From which score on a decision is positive. By default 0.5 of scores between 0 and 1.")
    ] = None,
    weights: Annotated[str | None, typer.Option(metavar="COLUMN", help="How many people each row stands for.", show_default=False)] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="Of the outcome, whose rates are asked for. By default the second of two.")
    ] = None,
    bins: Annotated[
        list[str] | None, typer.Option(metavar="A=0,30,50,100", help="Bounds for an attribute that is a number; may be given again.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="F", help="A population to hold shares against: a table, or a .json of attribute: {level: share}; also of race x sex."
        ),
    ] = None,
    dag: Annotated[
        str | None, typer.Option("--dag", metavar="DAG", help="Says which columns should tell nothing of an attribute, and orders levels.")
    ] = None,
    kind: Annotated[str, typer.Option(help="What the outcome is: auto, levels or number.")] = "auto",
    min_group_size: Annotated[int, typer.Option(help="People below which a group is not compared.")] = 30,
    missing: Annotated[str, typer.Option(help="Rows that lack what is needed: error or drop.")] = "error",
    proxies: Annotated[bool, typer.Option(help="Tell which columns carry the attributes; it reads all of them.")] = True,
    seed: Annotated[int, typer.Option(help="Of the folds in which that is told, and of what is resampled.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A folder for report.json and report.md.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: the report.")] = False,
) -> None:
    """Compare groups of people by anyone's predictions, or by what happened to them alone: rates, constraints, errors, with intervals.

    Beside it the data before any model: who is there, what is missing, which gap could be found at all, and which columns carry the
    attributes. Levels are read by their text: 1, 1.0 and "1" are one.
    """
    from cfair.cli._dag import read_dag
    from cfair.cli._drawing import draw
    from cfair.cli._listed import names, several
    from cfair.cli._surveying import Question, bins_of, surveyed  # torch and pandas
    from cfair.report import to_survey

    question = Question(
        outcome=outcome,
        attributes=names(attributes),
        prediction=several(prediction or ()),
        score=several(score or ()),
        threshold=threshold,
        weights=weights,
        bins=bins_of(bins or ()),
        positive=positive,
        kind=cast("Literal['auto']", kind),
        missing=cast("Literal['error']", missing),
        min_group_size=min_group_size,
        proxies=proxies,
        seed=seed,
    )
    report = surveyed(data, question, reference=reference, spec=None if dag is None else read_dag(dag), out=out)
    if as_json:
        typer.echo(json.dumps({**report.to_json(), "out": None if out is None else str(out)}))
    else:
        draw(to_survey(report))
