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


def test_berkeley_is_the_published_counts() -> None:
    """Source: Bickel, Hammel & O'Connell (1975), the six largest departments: men and women who applied, and how many were admitted."""
    published = {
        "A": ((825, 512), (108, 89)),
        "B": ((560, 353), (25, 17)),
        "C": ((325, 120), (593, 202)),
        "D": ((417, 138), (375, 131)),
        "E": ((191, 53), (393, 94)),
        "F": ((373, 22), (341, 24)),
    }
    frame = pd.read_parquet(builtin_path("berkeley"))
    counted = frame.groupby(["department", "sex"]).admitted.agg(["size", "sum"])
    for department, (men, women) in published.items():
        assert tuple(counted.loc[department, "male"]) == men
        assert tuple(counted.loc[department, "female"]) == women
    everyone = frame.groupby("sex").admitted.agg(["size", "sum"])
    assert (tuple(everyone.loc["male"]), tuple(everyone.loc["female"])) == ((2_691, 1_198), (1_835, 557))
