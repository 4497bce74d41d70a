"""The work behind ``cfair fit``: everything checked, then everything done, then the run written."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from cfair import pipeline
from cfair.auditing import Json, Report
from cfair.cli._progress import progress
from cfair.data import read_table
from cfair.pipeline import Options
from cfair.report import to_markdown
from cfair.spec import ModelSpec
from cfair.store import check_target, save
from cfair.threads import threads as torch_threads

__all__ = ["Asked", "Options", "fit_and_save"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed beside the work to be done, for the report to say how it is repeated.

    Args:
        dag: a file, or the name of a shipped model.
        out: where the run was to be written, if that was said.
        missing: what to do with rows that lack a value: error, drop, or latent.
        weights: the column that says how many people each row stands for; None: one each.
        allow_python: whether mechanisms of the user's own may run.
    """

    dag: str
    out: Path | None
    missing: str
    weights: str | None
    allow_python: bool

    @property
    def folder(self) -> str | None:
        """Where the run was to be written, as it was typed."""
        return None if self.out is None else str(self.out)


def fit_and_save(spec: ModelSpec, table: str | Path, folder: Path, options: Options, *, asked: Asked, threads: int, quiet: bool) -> Report:
    """The report of a run that now stands in ``folder``; whatever can be refused is refused before any long work.

    Args:
        spec: the declared model.
        table: a file, or a built-in table's name.
        folder: where the run is written.
        options: how much work to spend, and on what.
        asked: what else was typed.
        threads: of torch.
        quiet: show no progress.
    """
    pipeline.check(spec, options)
    check_target(folder)
    missing = cast("Literal['error', 'drop', 'latent']", asked.missing)
    columns = read_table(table, spec, missing=missing, weights=asked.weights)
    with progress(quiet=quiet) as tell, torch_threads(threads):
        run = pipeline.fit(spec, columns, options, progress=tell)
    said: dict[str, Json] = {"dag": asked.dag, "data": str(table), "missing": missing, "threads": threads}
    said |= {"allow_python": True} if asked.allow_python else {}
    report = replace(run.report, options={**run.report.options, **said})
    save(replace(run, report=report), folder, texts={"report.md": to_markdown(report, out=asked.folder)})
    return report
