"""Columns by their levels, without a declaration."""

import numpy as np
import pandas as pd
import pytest

from cfair.data.levels import is_number, level_places, read_levels
from cfair.data.sources import open_table
from cfair.data.table import Table
from cfair.errors import DataError


def table(*entries: object, dtype: object = None) -> Table:
    return open_table(pd.DataFrame({"a": pd.Series(list(entries), dtype=dtype)}), ["a"])  # type: ignore[call-overload]


@pytest.mark.parametrize("entries", [(1, 0, 1), (1.0, 0.0, 1.0), ("1", "0", " 1"), ("01", "0.0", "1e0")])
def test_levels_are_read_by_their_text(entries: tuple[object, ...]) -> None:
    found = read_levels(table(*entries), "a")
    assert found.names == ("0", "1")
    assert found.positions.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        ((10, 9, 2.5), ("2.5", "9", "10")),
        (("10", "9", "b"), ("10", "9", "b")),
        ((True, False, True), ("false", "true")),
        (("b", "a", None), ("a", "b")),
    ],
)
def test_levels_stand_in_order(entries: tuple[object, ...], names: tuple[str, ...]) -> None:
    assert read_levels(table(*entries), "a").names == names


def test_the_order_of_a_categorical_and_of_a_declaration_counts() -> None:
    column = table("low", "high", "mid", dtype=pd.CategoricalDtype(["low", "mid", "high", "top"]))
    assert read_levels(column, "a").names == ("low", "mid", "high")
    assert read_levels(column, "a", ["mid", "low"]).names == ("mid", "low", "high")


@pytest.mark.parametrize("entry", [None, float("nan"), "NA", "", " nan "])
def test_what_spells_no_value_is_missing_unless_it_is_declared(entry: object) -> None:
    found = read_levels(table("b", entry, "a"), "a")
    assert found.positions.tolist() == [1, -1, 0]
    assert np.isnan(found.floats[1])
    assert read_levels(table("b", "NA"), "a", ["NA"]).names == ("NA", "b")


@pytest.mark.parametrize(
    ("entries", "number"),
    [((1, 2), True), (("1", " 2.5 ", "NA"), True), ((1.5, None), True), (("1", "x"), False), ((True, False), False), ((None, None), False)],
)
def test_a_number_is_what_every_entry_spells(entries: tuple[object, ...], number: bool) -> None:
    assert is_number(table(*entries), "a") is number


def test_an_entry_that_is_no_level_names_its_rows_and_the_nearest() -> None:
    with pytest.raises(DataError, match=r"row 2: 'mael' is not a sex. Did you mean 'male'\?"):
        level_places(table("male", "female", "mael"), "a", ["male", "female"], what="a sex")
    assert level_places(table("male", None, "female"), "a", ["female", "male"], what="a sex")[[0, 2]].tolist() == [1, 0]
