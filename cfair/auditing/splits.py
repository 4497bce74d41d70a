"""Reports of several splits of one table as one report."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from cfair.auditing.records import Report, Row
from cfair.metrics import nadeau_bengio

__all__ = ["over_splits"]


def over_splits(reports: Sequence[Report], test_share: float) -> Report:
    """The first report with each value replaced by its mean over the splits, each interval by Nadeau & Bengio's; one report as it is.

    A measure that some splits cannot have (a group without people) is averaged over those that have it.

    Args:
        reports: one per split, of the same predictors and model.
        test_share: share of people in each test part.
    """
    if len(reports) == 1:
        return reports[0]
    found: dict[tuple[str | None, ...], list[Row]] = {}
    for report in reports:
        for row in report.rows:
            found.setdefault((row.predictor, row.measure, row.attribute, row.group, row.world), []).append(row)
    return replace(reports[0], rows=tuple(_over(rows, test_share) for rows in found.values()))


def _over(rows: Sequence[Row], test_share: float) -> Row:
    values = [row.value for row in rows if row.value is not None]
    if len(values) < 2:
        return replace(rows[0], value=fmean(values) if values else None, low=None, high=None)
    mean, low, high = nadeau_bengio(values, test_share, 1 - test_share)
    least, most = _range(rows[0].measure)
    return replace(rows[0], value=mean, low=max(low, least), high=min(high, most))


def _range(measure: str) -> tuple[float, float]:
    """What a measure can be: an interval of few splits may reach beyond it."""
    if measure.startswith(("mean_", "r2")) or "_minus_" in measure or measure.endswith("_signed"):
        return -math.inf, math.inf
    return 0.0, math.inf if measure.startswith(("rmse", "mae", "log_loss", "gap_")) else 1.0
