"""The work behind ``cfair fit``: everything checked, then everything done, then the run written."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

from cfair import pipeline
from cfair.auditing import Report
from cfair.cli._progress import progress
from cfair.data import read_table
from cfair.pipeline import Options
from cfair.report import to_markdown
from cfair.spec import ModelSpec
from cfair.store import check_target, save
from cfair.threads import threads as torch_threads

__all__ = ["Options", "fit_and_save"]


def fit_and_save(
    spec: ModelSpec, table: str | Path, folder: Path, options: Options, *, missing: str, weights: str | None, threads: int, quiet: bool
) -> Report:
    """The report of a run that now stands in ``folder``; whatever can be refused is refused before any long work.

    Args:
        spec: the declared model.
        table: a file, or a built-in table's name.
        folder: where the run is written.
        options: how much work to spend, and on what.
        missing: what to do with rows that lack a value: error, drop, or latent.
        weights: the column that says how many people each row stands for; None: one each.
        threads: of torch.
        quiet: show no progress.
    """
    pipeline.check(spec, options)
    check_target(folder)
    columns = read_table(table, spec, missing=cast("Literal['error', 'drop', 'latent']", missing), weights=weights)
    with progress(quiet=quiet) as tell, torch_threads(threads):
        run = pipeline.fit(spec, columns, options, progress=tell)
    report = replace(run.report, options={**run.report.options, "data": str(table), "missing": missing, "threads": threads})
    save(replace(run, report=report), folder, texts={"report.md": to_markdown(report)})
    return report
