"""Fronts, policies, and means over splits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfair.errors import QueryError
from cfair.metrics import nadeau_bengio
from cfair.tradeoff.points import Part, Point, Policy, accepted, over_splits, policy_of, with_front

MEASURES = ("accuracy", "demographic_parity_difference")


def points(*planes: tuple[float, float], part: Part = "validation", mitigation: str = "penalty") -> list[Point]:
    """Accuracies and differences of settings 0, 1, ..."""
    return [
        Point(
            constraint="demographic_parity",
            mitigation=mitigation,
            strength=float(k),
            split=part,
            measure=measure,
            value=value,
            low=None,
            high=None,
        )
        for k, plane in enumerate(planes)
        for measure, value in zip(MEASURES, plane, strict=True)
    ]


planes = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=8)


@given(planes)
def test_a_point_is_on_the_front_unless_another_is_as_good_in_both_and_better_in_one(found: list[tuple[int, int]]) -> None:
    rows = list(with_front(points(*[(float(a), float(d)) for a, d in found])))
    for row in rows:
        assert row.strength is not None
        own = found[int(row.strength)]
        beaten = any(other != own and other[0] >= own[0] and other[1] <= own[1] for other in found)
        assert row.pareto != beaten


def test_the_front_is_of_validation_rows_and_marks_all_rows_of_a_point() -> None:
    rows = [*points((0.9, 0.1), (0.8, 0.2)), *points((0.5, 0.3), (0.9, 0.0), part="test")]
    marked = list(with_front(rows))
    assert [row.pareto for row in marked] == [row.strength == 0 for row in rows]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("demographic_parity_difference<=0.05", Policy("demographic_parity_difference", at_most=True, bound=0.05)),
        (" accuracy >= 7e-1 ", Policy("accuracy", at_most=False, bound=0.7)),
    ],
)
def test_a_policy_is_a_measure_and_a_bound(text: str, policy: Policy) -> None:
    assert policy_of(text, MEASURES) == policy


@pytest.mark.parametrize("text", ["", "accuracy", "accuracy<0.5", "accuracy<=", "accuracy<=e", "brier<=0.1", "accuracy<=0.1 or so"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match=r"--accept"):
        policy_of(text, MEASURES)


def test_the_most_accurate_point_within_a_policy_is_accepted_by_validation_rows_and_judged_by_test_rows() -> None:
    policy = Policy("demographic_parity_difference", at_most=True, bound=0.1)
    validation = points((0.9, 0.2), (0.8, 0.1), (0.7, 0.0))
    for tested, kept in ((0.12, False), (0.08, True)):
        rows = [*validation, *points((0.9, 0.0), (0.7, tested), (0.9, 0.0), part="test")]
        found = accepted(rows, policy)
        assert {row.strength for row in found.rows} == {1.0}
        assert found.kept_on_test is kept
    assert accepted(validation, Policy("demographic_parity_difference", at_most=True, bound=-1)).rows == ()


def test_over_splits_each_value_is_a_mean_with_its_interval() -> None:
    splits = [points((0.9, d)) for d in (0.1, 0.2, 0.4)]
    found = {row.measure: row for row in over_splits(splits, 0.2, 0.6)}
    mean, low, high = nadeau_bengio([0.1, 0.2, 0.4], 0.2, 0.6)
    row = found["demographic_parity_difference"]
    assert (row.value, row.low, row.high) == (mean, max(low, 0.0), high)
    assert found["accuracy"].value == pytest.approx(0.9)


def test_shares_over_splits_end_at_1_and_odds_do_not() -> None:
    """Of values so far apart that the interval reaches beyond."""
    splits = [points((0.9, d)) for d in (0.1, 0.9)]
    found = {row.measure: row for row in over_splits(splits, 0.2, 0.6)}
    assert (found["demographic_parity_difference"].low, found["demographic_parity_difference"].high) == (0.0, 1.0)
    odds = [[replace(row, measure="treatment_equality_difference") for row in each if row.measure != "accuracy"] for each in splits]
    assert over_splits(odds, 0.2, 0.6)[0].high == nadeau_bengio([0.1, 0.9], 0.2, 0.6)[2] > 1


@pytest.mark.parametrize("bound", ["1e999", "-1e999"])
def test_a_bound_that_is_infinite_bounds_nothing(bound: str) -> None:
    with pytest.raises(QueryError, match="bounds nothing"):
        policy_of(f"accuracy<={bound}", ["accuracy"])
