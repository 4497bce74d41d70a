"""Which group constraints were trained in, how, and what is left of their violations."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from cfair.auditing import Report
from cfair.report.numbers import plain, unrounded
from cfair.report.sheets import Sheet

__all__ = ["trained"]

EXPECTED = "in expectation"  # what the line of a log ends with that is of decisions before they are drawn

NOTE = (
    "Differences between groups in hard decisions of training rows, without and with; held-out rows stand under the constraints. "
    "Of several splits these are of the first; of calibration it is the largest calibration error of a group."
)


def trained(report: Report) -> Iterator[Sheet]:
    """A line for each constraint of each predictor in which some were trained; nothing where none was asked for.

    Args:
        report: of a run. Of several splits it is the first that is shown.
    """
    own, refused = report.data.get("trained_in", {}), report.data.get("refused", [])
    if not own and not refused:
        return
    assert isinstance(own, Mapping)
    assert isinstance(refused, list)
    rows = [row for name, record in own.items() for row in _rows(name, cast("Mapping[str, Any]", record))]
    after = [*_held(own), *_decisions(own), *(f"Not trained: {why}." for why in refused)]
    header = ("predictor", "features", "groups by", "constraint", "without", "with", "stages", "settled")
    yield Sheet(title="Constraints trained in", note=NOTE, header=header, rows=rows, names=4, keys=1, after=tuple(after))


def _rows(name: str, record: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    first, last = record["log"][0], record["log"][-1]
    for constraint in record["constraints"]:
        before, left = (plain(line["violations"].get(constraint)) for line in (first, last))
        expected = [line for line in record["log"] if line["what"].endswith(EXPECTED)]
        left += f" ({unrounded(expected[-1]['violations'].get(constraint))} {EXPECTED})" if expected else ""
        settled = "yes" if last["converged"] else "no"
        yield (name, record["features"], " x ".join(record["by"]), constraint, before, left, str(len(record["log"]) - 1), settled)


def _decisions(own: Mapping[str, Any]) -> Iterator[str]:
    """Predictions that are no probabilities."""
    names = [name for name, record in own.items() if not record["probabilities"]]
    if names:
        yield f"These decide from 0.5 on and are no probabilities; log-loss and Brier score mean little: {', '.join(names)}."


def _held(own: Mapping[str, Any]) -> Iterator[str]:
    """Groups that took no part, said once for all predictors that left the same out."""
    found: dict[str, list[str]] = {}
    for name, record in own.items():
        if len(record["held"]) == record["groups"]:
            yield f"{name}: fewer than two groups could take part, and nothing was trained in."
        elif record["held"]:
            found.setdefault("; ".join(record["held"]), []).append(name)
    for groups, names in found.items():
        yield f"Took no part, being too small or without anybody of whom the constraint asks ({', '.join(names)}): {groups}."
