"""How far the work is, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["progress"]

TENTHS = 10  # lines of all the work


@contextmanager
def progress(*, quiet: bool, lines: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A callback that shows what is being done and the share that is done, on stderr, and leaves nothing there.

    Args:
        quiet: show nothing.
        lines: where stderr is no terminal, write a line for each tenth of the work; else nothing is shown there.
    """
    console = Console(stderr=True)
    if lines and not quiet and not console.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


class _Lines:
    """A line on stderr when another tenth of the work is done."""

    def __init__(self) -> None:
        self._tenths, self._begun = 0, monotonic()

    def __call__(self, what: str, share: float) -> None:
        if (tenths := int(share * TENTHS + 1e-9)) > self._tenths:
            self._tenths = tenths
            typer.echo(f"{tenths * 100 // TENTHS} % after {monotonic() - self._begun:.0f} s: {what}", err=True)
