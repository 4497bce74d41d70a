"""``cfair sweep``: one mitigation at setting after setting, and what each costs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cfair.cli._dag import AllowPython, DagOption, read_dag, table_of
from cfair.cli._listed import names as names_of

__all__ = ["sweep"]


def sweep(
    dag: DagOption,
    constraint: Annotated[str, typer.Option(help="What is to be equal; + joins several that are trained in at once.", show_default=False)],
    mitigation: Annotated[str, typer.Option(help="How it is trained in.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A folder for tradeoff.json and tradeoff.md.", show_default=False)],
    points: Annotated[int, typer.Option(help="Settings of the mitigation's dial, from nothing trained in on.")] = 20,
    accept: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help='As "equalized_odds_difference<=0.05": pick the most accurate point that keeps it on validation rows.',
            show_default=False,
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="The table: a file, or a built-in one's name. By default the DAG's 'data:'.")] = None,
    features: Annotated[str, typer.Option(help="The predictor that is constrained: it sees what that sees.")] = "unaware",
    by: Annotated[
        str | None, typer.Option(help="Attributes whose levels together make the groups. By default all.", show_default=False)
    ] = None,
    without_group: Annotated[
        bool, typer.Option("--without-group", help="Mitigations after training do not read the group at prediction time.")
    ] = False,
    predictors: Annotated[
        str, typer.Option(help="Measured beside it, without constraints.")
    ] = "full,unaware,nondescendants,latent,residual",
    head: Annotated[
        str, typer.Option(help="From what is seen to a prediction: logistic; mlp for some; any before threshold or recalibration.")
    ] = "auto",
    draws: Annotated[int, typer.Option(help="Posterior draws per person.")] = 20,
    splits: Annotated[int, typer.Option(help="Random splits, in parallel; with several, means and intervals over them.")] = 1,
    test_share: Annotated[float, typer.Option(help="Share of people held out; a quarter of the others chooses points.")] = 0.2,
    min_group_size: Annotated[int, typer.Option(help="People below which a group takes no part.")] = 30,
    missing: Annotated[str, typer.Option(help="Rows with missing values: error or drop.")] = "error",
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column that says how many people each row stands for.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the splits and the draws.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: the rows, and what was accepted.")] = False,
    allow_python: AllowPython = False,
) -> None:
    """Train a group constraint in at one setting after the other, and show what each costs in accuracy, beside counterfactual predictors.

    With --accept the exit code is 3 if no point keeps the policy.
    """
    spec = read_dag(dag, allow_python=allow_python)
    table = table_of(spec, dag, data)

    from cfair.cli._drawing import draw  # rich, torch and pandas: only once the DAG has been read
    from cfair.cli._sweeping import Options, Plan, swept
    from cfair.report import to_tradeoff

    options = Options(
        predictors=names_of(predictors),
        head=head,
        uncertainty="none",
        draws=draws,
        splits=splits,
        test_share=test_share,
        min_group_size=min_group_size,
        seed=seed,
    )
    plan = Plan(
        mitigation=mitigation,
        constraints=tuple(constraint.split("+")),
        features=features,
        by=names_of(by or ""),
        reads_group=not without_group,
        min_group_size=min_group_size,
        seed=seed,
    )
    found = swept(spec, table, plan, options, points=points, accept=accept, missing=missing, weights=weights, out=out, quiet=quiet)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "out": str(out)}))
    else:
        draw(to_tradeoff(found.curve, policy=found.policy, found=found.accepted))
        typer.echo(f"\nWritten to {out}.")
    if found.accepted is not None and not found.accepted.rows:
        raise typer.Exit(3)
