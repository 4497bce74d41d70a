"""The command line: ``main`` finds the command, and is the one place that turns a mistake into a message and an exit code.

Exit 0, 2 a user's mistake, 3 a policy not met (``raise typer.Exit(3)``), 1 our bug, with its traceback, which shows no data.
To add a command: ``cfair/cli/<command>.py`` with a function of that name, and one line in ``COMMANDS``.
"""

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, cast

import typer

from cfair import __version__
from cfair.errors import CfairError

__all__ = ["COMMANDS", "main"]

COMMANDS = {  # name -> "module:function", imported when called, and its line in ``cfair --help``
    "check": ("cfair.cli.check:check", "Say what a DAG declares, and what each predictor may see."),
    "fit": ("cfair.cli.fit:fit", "Learn a declared model, fit predictors on it, audit them, and keep the run."),
    "sweep": ("cfair.cli.sweep:sweep", "Train a group constraint in at many settings, and show what each costs."),
    "predict": ("cfair.cli.predict:predict", "Predict the outcome of the people in a table with a run."),
    "decompose": ("cfair.cli.decompose:decompose", "Take a difference between groups apart: direct, indirect, spurious, by path."),
    "explain": ("cfair.cli.explain:explain", "Say what one person's prediction would have been, and what moved it."),
    "audit": ("cfair.cli.audit:audit", "Audit any model, ours or not, in Python or not."),
    "groups": ("cfair.cli.groups:groups", "Compare groups by anyone's predictions, and the data before any model; no DAG needed."),
    "worlds": ("cfair.cli.worlds:worlds", "Write every counterfactual world's rows as files, for any model to score."),
    "diagnose": ("cfair.cli.diagnose:diagnose", "Say what the held-out rows of a run say against its model."),
    "calibrate": ("cfair.cli.calibrate:calibrate", "Say whether inference on a declared model finds what made simulated data."),
    "simulate": ("cfair.cli.simulate:simulate", "Draw people from a declared model."),
    "data": ("cfair.cli.data:data", "List the built-in tables."),
    "schema": ("cfair.cli.schema:schema", "Print the JSON Schema of dag.yaml, for editors."),
}

_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])  # typer's own click, or the installed one, by version


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the words after ``cfair``; those of the process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = _app(words)(words, prog_name="cfair", standalone_mode=False)
    except CfairError as error:
        return _refuse(error, as_json="--json" in words)
    except _UsageError as error:
        return _refuse(_usage_mistake(error.format_message(), words), as_json="--json" in words)
    except (typer.Abort, KeyboardInterrupt):  # the latter while a command is imported
        return 130
    return code if isinstance(code, int) else 0


def _app(words: Sequence[str]) -> typer.Typer:
    """All commands by name; only the one that is called is imported."""
    called = next((word for word in words if not word.startswith("-")), "")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich" if sys.stdout.isatty() else None)
    app.callback()(_cfair)
    for name, (target, summary) in COMMANDS.items():
        app.command(name, short_help=summary)(_imported(target) if name == called else _uncalled)
    return app


def _imported(target: str) -> Callable[..., None]:
    module, function = target.split(":")
    return cast("Callable[..., None]", getattr(import_module(module), function))


def _uncalled() -> None:
    """Stands in ``--help`` for a command whose module need not be imported."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cfair {__version__}")
        raise typer.Exit


def _cfair(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Counterfactual fairness with structural causal models: declare, learn, abduct, predict, audit."""


def _usage_mistake(message: str, words: Sequence[str]) -> CfairError:
    """A word that no command understands, with typer's guess at the right one."""
    problem, _, guess = " ".join(message.split()).rstrip(".").partition(". Did you mean")
    place = " ".join(["cfair", *(word for word in words[:1] if word in COMMANDS)])
    return CfairError(place, problem, f"did you mean{guess}" if guess else f"see '{place} --help'")


def _refuse(error: CfairError, *, as_json: bool) -> int:
    """One line on stderr, whatever the names in it hold; one JSON document on stdout if asked for."""
    typer.echo("".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(error)), err=True)
    if as_json:
        typer.echo(json.dumps({"error": {"where": error.where, "problem": error.problem, "mend": error.mend}}))
    return 2
