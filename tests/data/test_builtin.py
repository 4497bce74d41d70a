"""The built-in tables are what the catalogue says."""

import pandas as pd
import pyarrow.parquet as parquet
import pytest

from cfair.data import TableInfo, builtin_path, builtin_tables
from cfair.data.catalogue import FOLDER
from cfair.errors import DataError

EVERY = pytest.mark.parametrize("table", builtin_tables(), ids=lambda table: table.name)


@EVERY
def test_size_and_means_are_those_of_the_file(table: TableInfo) -> None:
    metadata = parquet.read_metadata(builtin_path(table.name))
    assert (metadata.num_rows, metadata.num_columns) == (table.rows, table.columns)
    frame = pd.read_parquet(builtin_path(table.name))
    assert {column: round(frame[column].mean(), 4) for column in table.means} == table.means
    assert not frame.isna().any(axis=None)


@EVERY
def test_codings_speak_of_columns_that_exist(table: TableInfo) -> None:
    names = parquet.read_schema(builtin_path(table.name)).names
    for column in (part.strip() for coding in table.codings for part in coding.split(",")):
        assert column == "..." or any(name == column or name.startswith(column.rstrip("*")) for name in names)


@EVERY
def test_the_readme_beside_the_files_lists_it(table: TableInfo) -> None:
    assert f"| {table.name} | {table.rows:,} x {table.columns} |" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_file_is_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.parquet")} == {table.name for table in builtin_tables()}


def test_law_school_is_the_table_of_the_paper() -> None:
    frame = pd.read_parquet(builtin_path("law_school"))
    assert (round(frame.zfya.mean(), 4), round(frame.zfya.std(), 4)) == (0.0964, 0.9326)
    assert (frame.race == "White").sum() == 18_285
    assert (frame.lsat % 1 != 0).mean() == pytest.approx(0.093, abs=5e-4)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match="Did you mean 'adult'"):
        builtin_path("adults")
