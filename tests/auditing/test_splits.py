"""One report out of several."""

from dataclasses import replace

import pytest

from cfair.auditing.records import Report, Row
from cfair.auditing.splits import over_splits
from cfair.metrics import nadeau_bengio


def report(value: float | None) -> Report:
    rows = (Row(predictor="full", measure="rmse", value=value, low=0.0, high=9.0, n=10),)
    return Report(rows, {}, {}, {}, {}, (), ())


def test_values_are_means_and_intervals_those_of_overlapping_splits() -> None:
    (row,) = over_splits([report(3.0), report(3.2), report(3.3)], test_share=0.2).rows
    assert (row.value, row.low, row.high) == pytest.approx(nadeau_bengio([3.0, 3.2, 3.3], 20, 80))
    assert row.n == 10


RANGES = [("gap_same_noise", 0, None), ("selection_rate", 0, 1), ("rmse_minus_full", None, None)]


@pytest.mark.parametrize(("measure", "low", "high"), RANGES)
def test_intervals_stay_where_the_measure_can_be(measure: str, low: float | None, high: float | None) -> None:
    rows = [replace(report(value).rows[0], measure=measure) for value in (0.0, 1.0)]
    (row,) = over_splits([Report((row,), {}, {}, {}, {}, (), ()) for row in rows], test_share=0.2).rows
    _, free_low, free_high = nadeau_bengio([0.0, 1.0], 20, 80)
    assert (row.low, row.high) == (free_low if low is None else low, free_high if high is None else high)


def test_one_report_is_left_as_it_is() -> None:
    alone = report(1.0)
    assert over_splits([alone], 0.2) is alone


def test_a_measure_that_some_splits_lack_is_averaged_over_the_others() -> None:
    (row,) = over_splits([report(None), report(2.0), report(4.0)], test_share=0.2).rows
    assert row.value == 3.0
    (lone,) = over_splits([report(None), report(2.0)], test_share=0.2).rows
    assert (lone.value, lone.low, lone.high) == (2.0, None, None)
    (none,) = over_splits([report(None), report(None)], test_share=0.2).rows
    assert none.value is None
