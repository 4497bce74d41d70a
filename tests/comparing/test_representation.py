"""The data before any model, against closed forms, published figures and simulation."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from cfair.comparing import Division
from cfair.comparing.dividing import divisions
from cfair.comparing.representation import Reference, detectable_rows, missing_rows, outcome_rows, share_rows

MEMBER = torch.tensor([0] * 56 + [1] * 14)
DIVISION = Division("g", ("a", "b"), MEMBER)


def values(rows: object) -> dict[tuple[str, str | None], tuple[float | None, float | None, float | None]]:
    return {(row.measure, row.group): (row.value, row.low, row.high) for row in rows}  # type: ignore[attr-defined]


def test_shares_have_wilson_intervals_and_add_up_to_one() -> None:
    found = values(share_rows(DIVISION))
    expected = binomtest(56, 70).proportion_ci(method="wilson")
    assert found["share", "a"] == pytest.approx((0.8, expected.low, expected.high))
    assert found["share", "a"][0] + found["share", "b"][0] == pytest.approx(1)  # type: ignore[operator]


def test_the_difference_to_a_sampled_reference_is_newcombes_published_example() -> None:
    found = values(share_rows(DIVISION, None, Reference({"a": 48 / 80, "b": 32 / 80}, 80.0)))
    assert found["share_minus_reference", "a"] == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)  # Newcombe (1998), table II, (a), 10


def test_a_known_reference_adds_no_uncertainty() -> None:
    found = values(share_rows(DIVISION, None, Reference({"a": 0.7, "b": 0.3})))
    share = found["share", "a"]
    assert found["share_minus_reference", "a"] == pytest.approx(tuple(each - 0.7 for each in share if each is not None))


def test_weights_of_two_say_as_much_as_of_one_and_unequal_ones_say_less() -> None:
    equal = values(share_rows(DIVISION, torch.full((70,), 2.0, dtype=torch.float64)))
    assert equal == values(share_rows(DIVISION))
    weights = torch.where(torch.arange(70) % 2 == 0, 1.0, 3.0).double()
    uneven = values(share_rows(DIVISION, weights))
    assert uneven["effective_size", "a"][0] == pytest.approx((28 * 1 + 28 * 3) ** 2 / (28 * 1 + 28 * 9))  # Kish: (Σw)² / Σw²
    assert uneven["share", "a"][2] - uneven["share", "a"][1] > equal["share", "a"][2] - equal["share", "a"][1]  # type: ignore[operator]


def test_means_of_shares_and_of_numbers_by_group() -> None:
    y = torch.cat([torch.ones(14), torch.zeros(42), torch.ones(7), torch.zeros(7)]).double()
    found = values(outcome_rows(y, DIVISION, measure="base_rate", shares=True))
    expected = binomtest(14, 56).proportion_ci(method="wilson")
    assert found["base_rate", "a"] == pytest.approx((0.25, expected.low, expected.high))
    numbers = values(outcome_rows(3 + y, DIVISION, measure="mean_outcome", shares=False))
    error = (56 * 0.25 * 0.75 / (56 * 55)) ** 0.5
    assert numbers["mean_outcome", "a"] == pytest.approx((3.25, 3.25 - 1.959964 * error, 3.25 + 1.959964 * error))


def test_only_columns_with_holes_are_spoken_of() -> None:
    holes = {"x": torch.arange(70) < 7, "z": torch.zeros(70, dtype=torch.bool)}
    found = values(missing_rows(holes, DIVISION))
    assert set(found) == {("missing_share[x]", "a"), ("missing_share[x]", "b")}
    assert (found["missing_share[x]", "a"][0], found["missing_share[x]", "b"][0]) == (0.125, 0.0)


@pytest.mark.parametrize("sizes", [(400, 300), (2_000, 100)])
def test_a_gap_of_the_smallest_detectable_size_is_found_four_times_in_five(sizes: tuple[int, int]) -> None:
    n, m = sizes
    y = torch.cat([torch.arange(n) % 2, torch.arange(m) % 2]).double()
    division = Division("g", ("a", "b"), torch.tensor([0] * n + [1] * m))
    ((row, reason),) = detectable_rows(y, division, shares=True, min_group_size=30)
    assert reason is None
    assert row.group == "b - a"
    source, gap, tables = np.random.default_rng(0), row.value, 40_000
    assert gap is not None
    p, q = 0.5 + gap * m / (n + m), 0.5 - gap * n / (n + m)  # the rate over everyone stays a half
    a, b = source.binomial(n, p, tables) / n, source.binomial(m, q, tables) / m
    pooled = (a * n + b * m) / (n + m)
    found = np.abs(a - b) > 1.959964 * np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    assert abs(found.mean() - 0.8) < 0.02  # the normal approximation of the formula; Monte Carlo error 0.002


def test_a_gap_that_cannot_be_found_has_no_value_but_a_reason() -> None:
    division = Division("g", ("a", "b", "c"), torch.tensor([0, 0, 1, 1, 2]))
    y = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    ((row, reason),) = detectable_rows(y, division, shares=True, min_group_size=2)
    assert row.value is None
    assert reason == "even a gap of 1 would not be found"


def test_a_gap_in_means_goes_by_the_spread_within_groups() -> None:
    y = torch.cat([torch.tensor([-1.0, 1.0]).repeat(50), 100 + torch.tensor([-1.0, 1.0]).repeat(50)]).double()
    division = Division("g", ("a", "b"), torch.tensor([0] * 100 + [1] * 100))
    ((row, _),) = detectable_rows(y, division, shares=False, min_group_size=30)
    assert row.value == pytest.approx((1.959964 + 0.841621) * (200 / 198 * (1 / 100 + 1 / 100)) ** 0.5, rel=1e-6)


def test_attributes_are_crossed_by_what_occurs() -> None:
    race, sex = torch.tensor([1, 0, 1, 1]), torch.tensor([0, 1, 1, 0])
    by_race, by_sex, both = divisions({"race": (("w", "b"), race), "sex": (("m", "f"), sex)})
    assert (by_race.attribute, by_sex.attribute, both.attribute) == ("race", "sex", "race x sex")
    assert both.names == ("w, f", "b, m", "b, f")
    assert both.member.tolist() == [1, 0, 2, 1]
