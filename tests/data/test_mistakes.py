"""A table that does not fit is refused in one line, with its place and its mend."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cfair.data import check_variation, read_table
from cfair.errors import CfairError, DataError, QueryError
from cfair.spec import ModelSpec

from tables import HEADER, ROWS, SPEC, declare, frame, write_csv

WHITE, BLACK, _ = ROWS
ODD = st.sampled_from(["\ud800", "1", " x", "1e400"])
ENTRY = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), ODD)


def refused(source: object, **options: object) -> CfairError:
    """The error, which is one line."""
    with pytest.raises((DataError, QueryError)) as caught:
        read_table(source, SPEC, **options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("bad", "column", "problem", "mend"),
    [
        ("white,true,1,33,0,2.7,1", "race", "'white' is not a declared level", "did you mean 'White'?"),
        ("Blak,true,1,33,0,2.7,1", "race", "'Blak' is not a declared level", "did you mean 'Black'?"),
        ("White,yes,1,33,0,2.7,1", "member", "'yes' is not a declared level", "use one of: false, true"),
        ("White,1,1,33,0,2.7,1", "member", "'1' is not a declared level", "use one of: false, true"),
        ("White,true,1,33,0,abc,1", "ugpa", "'abc' is not a number", "write numbers with a point, or declare the node with levels"),
        ("White,true,1,33,0,0x1F,1", "ugpa", "'0x1F' is not a number", "write numbers with a point, or declare the node with levels"),
        ("White,true,1,33,0,True,1", "ugpa", "'True' is not a number", "write numbers with a point, or declare the node with levels"),
        ("White,true,1,33,0,inf,1", "ugpa", "'inf' is infinite", "write a number, or leave the entry empty and drop the row"),
        ("White,true,1,33,0,-Infinity,1", "ugpa", "'-Infinity' is infinite", "write a number, or leave the entry empty and drop the row"),
        ("White,true,1,33,0,1e999,1", "ugpa", "'1e999' is infinite", "write a number, or leave the entry empty and drop the row"),
        ("White,true,1,33,-2,2.7,1", "visits", "-2 is negative, and counts are not", "correct it, or use 'gaussian'"),
        ("White,true,1,-0.2,0,2.7,1", "lsat", "-0.2 is negative, and counts are not", "correct it, or use 'gaussian'"),
        (
            "White,true,1,33,0.5,2.7,1",
            "visits",
            "0.5 is not a whole number, and counts are",
            "declare 'round: true' for 'visits' to round it",
        ),
    ],
)
def test_a_bad_entry_is_named_with_its_column_row_line_and_mend(tmp_path: Path, bad: str, column: str, problem: str, mend: str) -> None:
    path = write_csv(tmp_path, WHITE, BLACK, bad)
    error = refused(path)
    assert (error.where, error.problem, error.mend) == (f"{path}, column '{column}', row 2 (line 4)", problem, mend)


def test_rows_beyond_the_first_few_are_counted() -> None:
    table = pd.concat([frame()] * 4, ignore_index=True)
    table["race"] = ["Blak", "Black", "Whit"] * 4
    error = refused(table)
    assert error.where == "DataFrame, column 'race', rows 0, 2, 3, 5, 6 and 3 more"
    assert error.problem == "'Blak' is not a declared level (nor is 'Whit')"


def test_lines_are_right_after_blank_lines_and_entries_of_several_lines(tmp_path: Path) -> None:
    header, bad = f"note,{HEADER}", "x,White,true,1,33,0,abc,1"
    path = write_csv(tmp_path, f'"a\nb",{WHITE}', "", f"x,{BLACK}", "", bad, bad, header=header)
    assert refused(path).where == f"{path}, column 'ugpa', rows 2 and 3 (lines 7 and 8)"


def test_missing_values_are_named_by_column_row_and_count(tmp_path: Path) -> None:
    path = write_csv(tmp_path, WHITE, ",true,1,33,0,NA,1", "Black,true,1,33,0,,1")
    error = refused(path)
    assert error.where == f"{path}, column 'race', row 1 (line 3); column 'ugpa', rows 1 and 2 (lines 3 and 4)"
    assert error.problem == "missing values: 1 in 'race', 2 in 'ugpa'"
    assert "--missing drop" in error.mend


def test_a_table_of_which_no_row_is_complete_is_refused_even_when_rows_may_be_dropped() -> None:
    assert refused(frame().assign(ugpa=np.nan), missing="drop").problem == "each of the 3 rows has a missing value"


def test_lists_dates_and_booleans_are_not_numbers() -> None:
    for entries in ([[1], [2], [3]], pd.date_range("2020", periods=3), [True, False, True], [1j, 2j, 3j]):
        assert "is not a number" in refused(frame().assign(ugpa=pd.Series(entries))).problem
    assert "is not a declared level" in refused(frame().assign(race=pd.Series([[1], [2], [3]]))).problem


def test_a_way_to_treat_missing_values_that_does_not_exist_is_refused() -> None:
    assert refused(frame(), missing="impute").mend == "use 'error', 'drop' or 'latent'"


def test_long_and_odd_entries_stay_on_one_line() -> None:
    error = refused(frame().assign(race=["a\nb" * 100] * 3))
    assert len(error.problem) < 80


@pytest.mark.parametrize(
    ("node", "entry", "problem"), [("race", "White", "protected attribute is 'White'"), ("y", 0.5, "outcome is '0.5'")]
)
def test_people_who_do_not_vary_can_be_read_but_not_learned_from(node: str, entry: object, problem: str) -> None:
    columns = read_table(frame().assign(**{node: entry}), SPEC)
    with pytest.raises(DataError, match=f"DataFrame, column '{node}', rows 0 to 2: the {problem} in every row"):
        check_variation(columns, SPEC)


def test_people_who_vary_can_be_learned_from() -> None:
    check_variation(read_table(frame(), SPEC), SPEC)


def outcome_of_reading(source: object, spec: ModelSpec) -> str:
    """``refused`` in one line with a mend, or ``read`` to finite values; anything else fails."""
    try:
        columns = read_table(source, spec)
    except DataError as error:
        return "refused" if error.mend and "\n" not in error.problem else str(error)
    return "read" if all(column.isfinite().all() for column in columns.coded.values()) else "not finite"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 130), damage=st.binary(max_size=6))
def test_whatever_is_done_to_a_file_it_is_read_or_refused_in_one_line(tmp_path: Path, at: int, damage: bytes) -> None:
    whole = "\n".join([HEADER, *ROWS]).encode()
    (tmp_path / "t.csv").write_bytes(whole[:at] + damage + whole[at + 3 :])
    assert outcome_of_reading(tmp_path / "t.csv", SPEC) in {"read", "refused"}


@settings(max_examples=60, deadline=None)
@given(entries=st.lists(ENTRY, min_size=3, max_size=3))
def test_whatever_is_in_a_column_it_is_read_or_refused(entries: list[object]) -> None:
    spec = declare({"a": {"mechanism": "gaussian"}, "b": {"mechanism": "categorical", "levels": ["1", "x"]}})
    column = pd.Series(entries, dtype=object)
    assert outcome_of_reading(pd.DataFrame({"a": column, "b": "x"}), spec) in {"read", "refused"}
    assert outcome_of_reading(pd.DataFrame({"a": 1.0, "b": column}), spec) in {"read", "refused"}
