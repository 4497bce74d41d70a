"""What rich draws on stdout; plain where it is not a terminal."""

import os

import typer
from rich.console import Console, RenderableType

__all__ = ["draw"]

ENDLESS = 1_000  # columns
WIDTH = 100  # columns where the output is no terminal and COLUMNS says nothing


def draw(*drawn: RenderableType, wrap: bool = True) -> None:
    """Print to stdout, one below the other, without spaces at the ends of lines.

    Args:
        drawn: tables and texts.
        wrap: where the output is not a terminal, keep to COLUMNS or WIDTH; else lines are as long as they come.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal and not (wrap and "COLUMNS" in os.environ):
        console.width = WIDTH if wrap else ENDLESS
    with console.capture() as captured:
        console.print(*drawn, sep="\n")
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
