"""``cfair decompose``: a difference between groups taken apart. What is slow to import waits until the DAG has been read."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cfair.cli._dag import AllowPython, read_dag
from cfair.errors import QueryError

if TYPE_CHECKING:
    from cfair.spec import ModelSpec

__all__ = ["decompose"]

PREDICTION = "prediction"  # the column that cfair predict writes


def decompose(
    attribute: Annotated[str, typer.Option(help="Whose levels are compared.", show_default=False)],
    start: Annotated[str, typer.Option("--from", help="x0: a level, or a number.", show_default=False)],
    end: Annotated[str, typer.Option("--to", help="x1.", show_default=False)],
    dag: Annotated[str | None, typer.Option(help="A dag.yaml, or the name of a shipped model.", show_default=False)] = None,
    data: Annotated[str | None, typer.Option(help="The table: a file, or a built-in one's name. By default the DAG's 'data:'.")] = None,
    of: Annotated[str | None, typer.Option(help="A node, or node=level. By default the outcome.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="A table of predictions of which the map is not known.")] = None,
    column: Annotated[str, typer.Option(help="Of --predictions.")] = PREDICTION,
    run: Annotated[Path | None, typer.Option(help="A folder that 'cfair fit' wrote: its learned model, and its held-out rows.")] = None,
    predictor: Annotated[str | None, typer.Option(help="One of the run's: its deployed map is taken apart.")] = None,
    level: Annotated[str | None, typer.Option(help="With --predictor, of an outcome with several levels: whose probability.")] = None,
    source: Annotated[str, typer.Option(help="scm, doubly_robust (from rows, without mechanisms) or both.")] = "scm",
    along: Annotated[list[str] | None, typer.Option(help="A path, as 'race->lsat->prediction'; may be repeated.")] = None,
    learners: Annotated[str, typer.Option(help="Of doubly_robust: linear or boosted.")] = "linear",
    draws: Annotated[int, typer.Option(help="Posterior draws per person of the table.")] = 100,
    people: Annotated[int, typer.Option(help="Who are simulated where there is no table.")] = 100_000,
    parameter_draws: Annotated[int, typer.Option(help="Of parameters that are learned here, for intervals; a run has its own.")] = 200,
    missing: Annotated[str, typer.Option(help="Rows with missing values: error, drop, or latent to integrate them out.")] = "error",
    weights: Annotated[str | None, typer.Option(metavar="COLUMN", help="How many people each row stands for.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    allow_python: AllowPython = False,
) -> None:
    """Take a difference between two groups apart: direct, indirect, spurious; by mediator and by path.

    A model whose parameters are all fixed needs no table. JSON: tv te ett nde nie ctf_de ctf_ie ctf_se exp_se_from exp_se_to, each
    {"value", "low", "high"}, reverse (the same keys), mediators, paths, along, source, method, not_identified, said, assumptions, options.
    """
    _check_named(dag, run)
    _check_target(of, predictions, predictor, run)
    if column != PREDICTION and predictions is None:
        raise QueryError("--column", "is one of --predictions, and none are given", "give --predictions, or leave it out")
    if level is not None and predictor is None:
        raise QueryError("--level", "is one of a prediction's, and none is asked for", "give --predictor, or --of node=level")
    spec = None if dag is None else read_dag(dag, allow_python=allow_python)

    from cfair.cli._decomposing import Effort, People, Wanted, of_dag, of_run, taken_apart  # torch and pandas: once the DAG has been read
    from cfair.cli._drawing import draw
    from cfair.cli._progress import progress
    from cfair.effects.decomposing import check_effort
    from cfair.report import to_decomposition

    asked = People(data=data, missing=missing, weights=weights, predictions=predictions, column=column, rows=source != "scm", level=level)
    wanted = Wanted(attribute, start, end, of, None if along is None else tuple(along))
    effort = Effort(source, learners, draws, people, parameter_draws, seed)
    check_effort(source, learners, draws=draws, people=people, parameter_draws=parameter_draws)
    with progress(quiet=quiet) as tell:
        tell("reading and learning", 0.0)
        if run is not None:
            read = of_run(run, predictor, asked, spec=spec, allow_python=allow_python)
        else:
            read = of_dag(cast("ModelSpec", spec), str(dag), asked, wanted=wanted, effort=effort)
        found = taken_apart(read, wanted, effort, tell)
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        draw(to_decomposition(found))


def _check_named(dag: str | None, run: Path | None) -> None:
    if dag is None and run is None:
        raise QueryError("cfair decompose", "no model is named", "give --dag, or --run")


def _check_target(of: str | None, predictions: Path | None, predictor: str | None, run: Path | None) -> None:
    """Refuse several things whose difference is to be taken apart."""
    if predictions is not None and (of is not None or predictor is not None):
        raise QueryError("--predictions", "a node or a predictor is asked for, too", "ask for one of them")
    if predictor is not None and (of is not None or run is None):
        raise QueryError("--predictor", "is one of a run's, and asked for by itself", "give --run, and no --of")
