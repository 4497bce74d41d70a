"""``cfair diagnose``: what the held-out rows of a run say against its model."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cfair.cli._drawing import draw
from cfair.diagnosis import diagnose as diagnosis_of
from cfair.report import to_diagnosis
from cfair.store import load, parts

__all__ = ["diagnose"]


def diagnose(
    run: Annotated[Path, typer.Option(help="The folder that 'cfair fit' wrote.", show_default=False)],
    data: Annotated[str | None, typer.Option(help="Where the run's table is now. By default where the run says that it was.")] = None,
    draws: Annotated[int, typer.Option(help="Tables that are replicated from the model.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, with the keys above.")] = False,
) -> None:
    """Say what the held-out rows of a run say against its model, what they cannot say, and a verdict per node.

    A check fails where p < 0.01 after Holm's correction over all checks and its effect is outside a stated tolerance; where the effect is
    inside, it is "detected, small". That all pass does not show that the model is right.

    JSON: {run, nodes: [{node, verdict, why}], checks: [{check, statistic, node, other, attribute, group, n, value, expected, low, high, p,
    p_holm, effect, tolerance, verdict, why}], latents: [{latent, node, parameter, prior_sd, posterior_sd, ratio, shift, verdict}], flat:
    [{ratio, parameters}], reaches: [{node, parameter, estimate, sd, low, high, fall_low, fall_high, ratio}], support: [{attribute, group,
    world, n, columns, outside, expected, p, p_holm, tolerance, verdict, why}],
    untestable: [{node, attribute, what, why}], engine: [{check, of, value, limit, verdict, why}], notes, model, rows, training_rows, seed,
    draws, schema}. Every number is finite, or null with the reason in "why".
    """
    loaded = load(run)
    training, tested = parts(loaded, data)
    found = diagnosis_of(loaded.scm, tested, training=training, draws=draws, seed=seed)
    if as_json:
        typer.echo(json.dumps({"run": str(run), **found.to_json()}))
    else:
        draw(to_diagnosis(found))
