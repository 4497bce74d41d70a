"""How numbers are written."""

import pytest

from cfair.auditing import Row
from cfair.report.numbers import align, figure, plain, unrounded


def row(value: float | None, low: float | None = None, high: float | None = None) -> Row:
    return Row(predictor="full", measure="rmse", value=value, low=low, high=high)


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.86636, 0.84891, 0.88381, "0.866 [0.849, 0.884]"),
        (-0.0069694, -0.0107577, -0.0031811, "-0.0070 [-0.0108, -0.0032]"),
        (0.00069227, 0.00064533, 0.00073921, "0.00069 [0.00065, 0.00074]"),
        (1.02453, 1.02365, 1.02541, "1.025 [1.024, 1.025]"),
        (12.3456, 11.9876, 12.7, "12.35 [11.99, 12.70]"),
        (52310.4, 51200.2, 53400.9, "52310 [51200, 53401]"),
        (3.2e7, 3.1e7, 3.3e7, "3.2e+07 [3.1e+07, 3.3e+07]"),
        (3e-6, 0.0, 6e-6, "3.0e-06 [0, 6.0e-06]"),
        (-0.00001, -0.02, 0.02, "0.0000 [-0.0200, 0.0200]"),
        (4.3e-18, 1.7e-18, 7.0e-18, "4.3e-18"),
        (0.5, None, None, "0.500"),
        (0.5, 0.5, 0.5, "0.500"),
        (0.0, 0.0, 0.0, "0"),
        (-0.0, None, None, "0"),
        (0.0, -0.03, 0.03, "0 [-0.0300, 0.0300]"),
        (None, None, None, "undefined"),
    ],
)
def test_a_figure_has_three_or_four_digits_and_its_interval_as_many_decimals(
    value: float | None, low: float | None, high: float | None, text: str
) -> None:
    assert figure(row(value, low, high)) == text


def test_only_an_exact_0_is_written_as_0() -> None:
    assert plain(0.0) == plain(0.0, 5.0) == plain(-0.0) == "0"
    assert plain(-1e-9, 5.0) == "0.000"
    assert plain(1e-300) == "1.0e-300"


def test_a_measure_that_was_not_taken_is_left_blank() -> None:
    assert figure(None) == ""


def test_points_and_brackets_stand_below_one_another() -> None:
    column = align(["0", "0.992 [0.991, 0.993]", "-0.0725 [-0.0832, -0.0619]", "", "undefined", "12.35 [11.99, 12.70]"])
    assert column == [
        " 0",
        " 0.992  [0.991, 0.993]",
        "-0.0725 [-0.0832, -0.0619]",
        "",
        "undefined",
        "12.35   [11.99, 12.70]",
    ]
    assert align([]) == []


def test_what_is_nothing_but_rounding_is_written_as_0() -> None:
    assert [unrounded(value) for value in (1.1e-16, -1.1e-16, 0.25, None)] == ["0", "0", "0.250", "undefined"]
