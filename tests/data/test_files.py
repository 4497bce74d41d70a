"""A file that is no table, or lacks a column, is refused in one line, with its place and its mend."""

from pathlib import Path

import pandas as pd
import pytest

from cfair.data import read_table
from cfair.errors import DataError

from tables import HEADER, ROWS, SPEC, frame, write_csv

WHITE, BLACK, _ = ROWS
ADD_THEM = "add them to those that the table has"


def refused(source: object) -> DataError:
    """The error, which is one line."""
    with pytest.raises(DataError) as caught:
        read_table(source, SPEC)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("header", "problem", "mend"),
    [
        (HEADER.replace("lsat", "LSAT"), "there is no column 'lsat'", "did you mean 'LSAT'?"),
        (HEADER.replace("lsat", "lsatt"), "there is no column 'lsat'", "did you mean 'lsatt'?"),
        ("race,member,site,p,visits,q,y", "there are no columns 'lsat', 'ugpa'", f"{ADD_THEM}: race, member, site, p, visits, q, y"),
        (HEADER.replace("lsat", "y"), "two columns are called 'y'", "rename or remove one of them"),
    ],
)
def test_a_missing_or_repeated_column_is_named(tmp_path: Path, header: str, problem: str, mend: str) -> None:
    error = refused(write_csv(tmp_path, WHITE, header=header))
    assert (error.problem, error.mend) == (problem, mend)


def test_a_file_with_semicolons_is_recognised(tmp_path: Path) -> None:
    path = write_csv(tmp_path, WHITE.replace(",", ";"), header=HEADER.replace(",", ";"))
    assert refused(path).mend == "separate the columns by commas"


@pytest.mark.parametrize("row", ["White,true,1,33,0,2.7", "White,true,1,33,0,2.7,1,2"])
def test_a_row_of_another_length_than_the_header_is_named(tmp_path: Path, row: str) -> None:
    path = write_csv(tmp_path, WHITE, "", row, BLACK)
    error = refused(path)
    assert error.where == f"{path}, row 1 (line 4)"
    assert error.problem == f"has {len(row.split(','))} entries where the header has 7"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv", b" \n\n", "is empty"),
        ("t.csv", b"\xef\xbb\xbf\n", "is not a CSV file: CSV parse error"),
        ("t.parquet", b"", "is empty"),
        ("t.csv", HEADER.encode(), "has no rows"),
        ("t.csv", HEADER.encode() + b"\n", "has no rows"),
        ("t.csv", "race,Größe\nWhite,1\n".encode("latin-1"), "is not UTF-8 text"),
        ("t.csv", frame().to_csv().encode("utf-16"), "is not UTF-8 text"),
        ("t.csv", f'{HEADER}\n"White,true,1,33,0,2.7,1\n{BLACK}\n'.encode(), "is not a CSV file: unexpected end of data"),
        ("t.parquet", HEADER.encode(), "is not a parquet file that can be read"),
        ("t.parquet", b"PAR1" + bytes(100) + b"PAR1", "is not a parquet file that can be read"),
        ("t.txt", HEADER.encode(), "'.txt' is not a table's extension"),
        ("table", HEADER.encode(), "has no extension"),
    ],
)
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    error = refused(tmp_path / name)
    assert error.where.startswith(str(tmp_path / name))
    assert error.problem.startswith(problem)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.concat([frame()] * 1000).to_parquet(path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:100] + bytes(200) + whole[300:]):
        path.write_bytes(damaged)
        assert "is not a parquet file that can be read" in refused(path).problem


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path).problem == "is a folder, not a table"
    assert refused(str(tmp_path / "nowhere.csv")).problem == "there is no such file"


def test_a_misspelt_built_in_table_is_answered_with_the_nearest() -> None:
    error = refused("lawschool")
    assert (error.where, error.mend) == ("'lawschool'", "did you mean 'law_school'?")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    frame().head(0).to_parquet(tmp_path / "t.parquet")
    for source in (frame().head(0), tmp_path / "t.parquet"):
        assert refused(source).problem == "has no rows"


def test_an_odd_quotation_mark_within_an_entry_is_no_open_one(tmp_path: Path) -> None:
    path = write_csv(tmp_path, f'5" pipe,{WHITE}', f"x,{BLACK}", header=f"note,{HEADER}")
    assert read_table(path, SPEC).n == 2


def test_an_entry_too_long_for_pythons_csv_reader_still_gets_a_message(tmp_path: Path) -> None:
    path = write_csv(tmp_path, f"{'x' * 200_000},{WHITE}", f"x,{BLACK.replace('Black', 'Blak')}", header=f"note,{HEADER}")
    assert refused(path).where == f"{path}, column 'race', row 1"
