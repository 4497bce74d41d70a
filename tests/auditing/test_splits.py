"""One report out of several."""

from dataclasses import replace

import pytest

from cfair.auditing.records import Report
from cfair.auditing.splits import over_splits
from cfair.comparing import Row
from cfair.metrics import nadeau_bengio


def report(value: float | None) -> Report:
    rows = (Row(predictor="full", measure="rmse", value=value, low=0.0, high=9.0, n=10),)
    return Report(rows, {}, {}, {}, {}, (), ())


def test_values_are_means_and_intervals_those_of_overlapping_splits() -> None:
    (row,) = over_splits([report(3.0), report(3.2), report(3.3)], test_share=0.2, min_group_size=1).rows
    assert (row.value, row.low, row.high) == pytest.approx(nadeau_bengio([3.0, 3.2, 3.3], 20, 80))
    assert row.n == 10


RANGES = [("gap_same_noise", 0, None), ("selection_rate", 0, 1), ("rmse_minus_full", None, None)]


@pytest.mark.parametrize(("measure", "low", "high"), RANGES)
def test_intervals_stay_where_the_measure_can_be(measure: str, low: float | None, high: float | None) -> None:
    rows = [replace(report(value).rows[0], measure=measure) for value in (0.0, 1.0)]
    (row,) = over_splits([Report((row,), {}, {}, {}, {}, (), ()) for row in rows], test_share=0.2, min_group_size=1).rows
    _, free_low, free_high = nadeau_bengio([0.0, 1.0], 20, 80)
    assert (row.low, row.high) == (free_low if low is None else low, free_high if high is None else high)


def test_one_report_is_left_as_it_is() -> None:
    alone = report(1.0)
    assert over_splits([alone], test_share=0.2, min_group_size=1) is alone


def test_a_measure_that_some_splits_lack_is_averaged_over_the_others() -> None:
    (row,) = over_splits([report(None), report(2.0), report(4.0)], test_share=0.2, min_group_size=1).rows
    assert row.value == 3.0
    (lone,) = over_splits([report(None), report(2.0)], test_share=0.2, min_group_size=1).rows
    assert (lone.value, lone.low, lone.high) == (2.0, None, None)
    (none,) = over_splits([report(None), report(None)], test_share=0.2, min_group_size=1).rows
    assert none.value is None


def test_the_worst_pair_is_that_of_the_mean_gaps() -> None:
    def gaps(first: float, second: float) -> Report:
        pair = Row(predictor="full", measure="gap_same_noise", attribute="a", group="x", world="a=y", value=first, n=10)
        other = replace(pair, group="y", world="a=x", value=second)
        worst = replace(pair, measure="gap_same_noise_worst", group=None, world=None, value=max(first, second))
        return Report((pair, other, worst), {}, {}, {}, {}, (), ())

    rows = over_splits([gaps(1.0, 3.0), gaps(2.5, 1.1)], test_share=0.2, min_group_size=1).rows
    assert [row.value for row in rows if row.measure == "gap_same_noise_worst"] == [2.05]
