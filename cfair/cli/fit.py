"""``cfair fit``: the straight line from a DAG and a table to a run. What is slow to import waits until the DAG has been read."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from cfair.cli._dag import AllowPython, DagOption, read_dag, table_of
from cfair.cli._listed import names as names_of

__all__ = ["fit"]


def fit(
    dag: DagOption,
    data: Annotated[str | None, typer.Option(help="The table: a file, or a built-in one's name. By default the DAG's 'data:'.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the run is written. By default runs/<name of the model>.")] = None,
    predictors: Annotated[str, typer.Option(help="Names, separated by commas.")] = "constant,full,unaware,nondescendants,latent,residual",
    head: Annotated[
        str, typer.Option(help="From what is seen to a prediction: linear, logistic, mlp or boosted; auto goes by the outcome.")
    ] = "auto",
    engine: Annotated[str, typer.Option(help="Of the inference: auto, quadrature, svi or nuts.")] = "auto",
    uncertainty: Annotated[str, typer.Option(help="How parameters are drawn: auto, laplace, ridge, nuts (slow) or none.")] = "auto",
    parameter_draws: Annotated[
        int,
        typer.Option(
            help="Worlds of drawn parameters in which fitted predictors are judged: the first of 64 draws, or of more if asked for."
        ),
    ] = 40,
    draws: Annotated[int, typer.Option(help="Posterior draws per audited person.")] = 200,
    splits: Annotated[int, typer.Option(help="Random splits; with several, the report gives means and intervals over them.")] = 1,
    test_share: Annotated[float, typer.Option(help="Share of people held out for the audit.")] = 0.2,
    missing: Annotated[str, typer.Option(help="Rows with missing values: error, drop, or latent to integrate them out.")] = "error",
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column that says how many people each row stands for.", show_default=False)
    ] = None,
    constraints: Annotated[
        str | None,
        typer.Option(
            help="Group constraints to train in, separated by commas; with + between those to train in at once.", show_default=False
        ),
    ] = None,
    mitigations: Annotated[str | None, typer.Option(help="How they are trained in, separated by commas.", show_default=False)] = None,
    features: Annotated[str, typer.Option(help="The predictor that is constrained: it sees what that sees.")] = "unaware",
    by: Annotated[
        str | None, typer.Option(help="Attributes whose levels together make the groups. By default all.", show_default=False)
    ] = None,
    min_group_size: Annotated[int, typer.Option(help="People below which a group is not compared, and takes no part.")] = 30,
    strength: Annotated[float, typer.Option(help="Of mitigations that weigh violations against errors.")] = 30.0,
    tolerance: Annotated[float, typer.Option(help="Of mitigations that bound violations.")] = 0.0,
    without_group: Annotated[
        bool, typer.Option("--without-group", help="Mitigations after training do not read the group at prediction time.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the splits and the draws.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Of torch. More of them are slower on small models.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: the report, and where the run is.")] = False,
    allow_python: AllowPython = False,
) -> None:
    """Learn a declared model, fit predictors on it, audit them on other people, and keep the run."""
    spec = read_dag(dag, allow_python=allow_python)
    table, folder, names = table_of(spec, dag, data), out or Path("runs") / spec.name, names_of(predictors)

    from cfair.cli._drawing import draw  # rich, torch and pandas: only once the DAG has been read
    from cfair.cli._fitting import Asked, Options, fit_and_save
    from cfair.report import to_table

    work = Options(
        predictors=names,
        head=head,
        engine=cast("Literal['auto']", engine),
        uncertainty=cast("Literal['none']", uncertainty),
        parameter_draws=parameter_draws,
        draws=draws,
        splits=splits,
        test_share=test_share,
        seed=seed,
        constraints=names_of(constraints or ""),
        mitigations=names_of(mitigations or ""),
        features=features,
        by=names_of(by or ""),
        min_group_size=min_group_size,
        strength=strength,
        tolerance=tolerance,
        reads_group=not without_group,
    )
    asked = Asked(dag, out, missing=missing, weights=weights, allow_python=allow_python)
    report = fit_and_save(spec, table, folder, work, asked=asked, threads=threads, quiet=quiet)
    if as_json:
        typer.echo(json.dumps({**report.to_json(), "out": str(folder)}))
    else:
        draw(to_table(report, out=asked.folder))
        typer.echo(f"\n{_last_line(folder, names)}")


def _last_line(folder: Path, predictors: Sequence[str]) -> str:
    """Where the run is, and what can be done with it."""
    where = shlex.quote(str(folder))
    chosen = "latent" if "latent" in predictors else predictors[-1]
    return f"Written to {where}. Next: cfair predict --run {where} --data F --predictor {chosen} --out predictions.csv"
