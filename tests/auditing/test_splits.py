"""One report out of several."""

import pytest

from cfair.auditing.records import Report, Row
from cfair.auditing.splits import over_splits
from cfair.metrics import nadeau_bengio


def report(value: float | None) -> Report:
    rows = (Row(predictor="full", measure="rmse", value=value, low=0.0, high=9.0, n=10),)
    return Report(rows, {}, {}, {}, {}, (), ())


def test_values_are_means_and_intervals_those_of_overlapping_splits() -> None:
    (row,) = over_splits([report(1.0), report(2.0), report(4.5)], test_share=0.2).rows
    assert (row.value, row.low, row.high) == pytest.approx(nadeau_bengio([1.0, 2.0, 4.5], 20, 80))
    assert row.n == 10


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
