"""``cfair calibrate``: whether inference on a declared model finds what made the data. Slow imports wait until the DAG has been read."""

import json
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from cfair.cli._dag import DagOption, read_dag

if TYPE_CHECKING:
    from cfair.calibration import Calibration

__all__ = ["calibrate"]

DRAWN = {"none": "known parameters"}
WHOLE, MANY = 400, 100  # simulations that tell most errors, and of which fewer show little
SHOWN = 12  # statistics, worst first


def calibrate(
    dag: DagOption,
    simulations: Annotated[int, typer.Option(min=10, help="Tables to simulate: few show gross errors only, 400 most.")] = 400,
    rows: Annotated[int, typer.Option(min=2, help="Rows of each.")] = 200,
    engine: Annotated[str, typer.Option(help="That learns: auto, quadrature, svi or nuts.")] = "auto",
    uncertainty: Annotated[str, typer.Option(help="Of the parameters: auto, laplace, nuts, ridge or none (known).")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of everything.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Of torch. More of them are slower on small models.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Simulate tables from the priors, learn each, and rank what made it among the draws: uniform where inference is right."""
    spec = read_dag(dag)

    from cfair.calibration import calibrate as ranks  # torch: only once the DAG has been read
    from cfair.cli._progress import progress
    from cfair.threads import threads as torch_threads

    with progress(quiet=quiet, lines=True) as tell, torch_threads(threads):
        found = ranks(
            spec,
            simulations=simulations,
            n=rows,
            engine=cast("Literal['auto']", engine),
            uncertainty=cast("Literal['auto']", uncertainty),
            seed=seed,
            progress=tell,
        )
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        typer.echo("\n".join(_lines(found)))


def _lines(found: "Calibration") -> list[str]:
    """What to read of a calibration, the verdict first and then the worst statistics."""
    verdict = "calibrated" if found.calibrated else "NOT calibrated"
    drawn = DRAWN.get(found.uncertainty, found.uncertainty)
    lines = [
        f"{found.name}: {found.engine} with {drawn} is {verdict} on {found.simulations} simulated tables of {found.rows} rows",
        f"smallest p x {len(found.statistics)} statistics = {found.smallest:.3g}; below 0.01 speaks against it",
        "",
        f"{'quantity':<40}{'p':>10}{'shift':>9}{'spread':>9}",
    ]
    lines.insert(2, _seen(found))
    lines += [f"{each.name:<40}{each.p:>10.2g}{each.shift:>+9.3f}{each.spread:>9.3f}" for each in found.statistics[:SHOWN]]
    if len(found.statistics) > SHOWN:
        lines.append(f"and {len(found.statistics) - SHOWN} more, none worse")
    lines += ["", "shift: above 0, draws lie too low, by this share of their distribution; spread: above 1, draws are too narrow"]
    lines += [f"median k-hat of {part}: {k_hat:.2f}" for part, k_hat in found.k_hat.items()]
    lines += [f"no answer in {count} of {found.simulations} simulations: {message}" for message, count in found.failures.items()]
    return lines


def _seen(found: "Calibration") -> str:
    """How large an error must be to be seen."""
    shift, spread = found.visible()
    said = f"{found.simulations - found.lost} simulations see a shift of {shift:.2f} or a spread of {spread:.2f} in four of five cases"
    if found.simulations >= MANY:
        return said
    shift, spread = found.visible(WHOLE)
    return f"{said}, which is little: {WHOLE} see {shift:.2f} and {spread:.2f}"
