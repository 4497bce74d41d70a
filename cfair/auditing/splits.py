"""Reports of several splits of one table as one report."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from cfair.auditing.pairs import worst_rows
from cfair.auditing.records import Curve, Json, Report
from cfair.comparing import Row, clipped
from cfair.metrics import nadeau_bengio

__all__ = ["over_splits"]

P_VALUE = re.compile(r"_p(\[|$)")


def over_splits(reports: Sequence[Report], *, test_share: float, min_group_size: int) -> Report:
    """The first report with each value replaced by its mean over the splits, each interval by Nadeau & Bengio's; one report as it is.

    The worst pair is that of the mean gaps: the mean of each split's largest would be too large. A measure that some splits cannot
    have (a group without people) is averaged over those that have it. Of p-values twice the mean is one, however they depend on one another
    (Vovk & Wang 2020, Combining p-values via averaging, proposition 2).

    Args:
        reports: one per split, of the same predictors and model.
        test_share: share of people in each test part.
        min_group_size: people below which a group takes no part in a worst pair.
    """
    if len(reports) == 1:
        return reports[0]
    found: dict[tuple[str | None, ...], list[Row]] = {}
    for report in reports:
        for row in report.rows:
            if row.measure.endswith("_worst"):
                continue
            found.setdefault((row.predictor, row.measure, row.attribute, row.group, row.world), []).append(row)
    rows = [_over(rows, test_share) for rows in found.values()]
    worst = worst_rows(rows, min_group_size)
    return replace(reports[0], rows=(*rows, *worst), curves=tuple(_curves(reports)), model=_doubted(reports))


def _doubted(reports: Sequence[Report]) -> Mapping[str, Json]:
    """The first report's model, with the first split's draws of parameters that are not to be trusted, if any are not."""
    drawn = [own for report in reports if isinstance(own := report.model.get("uncertainty"), Mapping) and own["doubt"] is not None]
    return {**reports[0].model, "uncertainty": drawn[0]} if drawn else reports[0].model


def _curves(reports: Sequence[Report]) -> Iterator[Curve]:
    """Each curve's mean over the splits, 0 where a split has none."""
    found: dict[tuple[str | None, ...], list[Curve]] = {}
    for report in reports:
        for curve in report.curves:
            found.setdefault((curve.predictor, curve.attribute, curve.group, curve.world), []).append(curve)
    for own in found.values():
        epsilon = tuple(fmean(values) for values in zip(*(curve.epsilon for curve in own), strict=True))
        delta, share = (
            tuple(sum(values) / len(reports) for values in zip(*(getattr(curve, name) for curve in own), strict=True))
            for name in ("delta", "share")
        )
        yield replace(own[0], epsilon=epsilon, delta=delta, share=share)


def _over(rows: Sequence[Row], test_share: float) -> Row:
    values = [row.value for row in rows if row.value is not None]
    if values and P_VALUE.search(rows[0].measure):
        return replace(rows[0], value=min(1.0, 2 * fmean(values)))
    if len(values) < 2:
        return replace(rows[0], value=fmean(values) if values else None, low=None, high=None)
    mean, low, high = nadeau_bengio(values, test_share, 1 - test_share)
    return clipped(replace(rows[0], value=mean, low=low, high=high))
