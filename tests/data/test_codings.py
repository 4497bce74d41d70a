"""Coded values written back as their table wrote them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cfair.data import read_table, to_original
from cfair.interfaces import Columns

from tables import SPEC, frame


def back(columns: Columns, names: list[str]) -> pd.DataFrame:
    return to_original(columns.codings, {name: columns[name] for name in names}, SPEC)


NAMES = ["race", "member", "site", "visits"]


@pytest.mark.parametrize("site", ["int64", "float64", "str", "object", "category", "Int64"])
def test_levels_come_back_in_the_columns_own_type(site: str) -> None:
    table = frame().astype({"site": site})
    pd.testing.assert_frame_equal(back(read_table(table, SPEC), NAMES), table[NAMES])


def test_a_csv_file_comes_back_as_pandas_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    frame().to_csv(path, index=False)
    pd.testing.assert_frame_equal(back(read_table(path, SPEC), NAMES), pd.read_csv(path)[NAMES])


def test_columns_keep_the_tables_order() -> None:
    table = frame()[["y", "site", "ugpa", "race", "visits", "member", "lsat"]]
    assert list(read_table(table, SPEC).codings) == list(table.columns)


def test_a_level_that_the_table_lacks_is_written_in_the_columns_type() -> None:
    table = frame().assign(site=[1, 2, 1], race=pd.Categorical(["White", "Black", "White"]))
    every = {"site": torch.tensor([0.0, 1.0, 2.0]), "race": torch.tensor([0.0, 1.0, 2.0])}
    written = to_original(read_table(table, SPEC).codings, every, SPEC)
    assert written["site"].tolist() == [1, 2, 10]
    assert written["site"].dtype == np.int64
    assert written["race"].tolist() == ["White", "Black", "Puerto Rican"]
    assert isinstance(written["race"].dtype, pd.CategoricalDtype)


def test_of_several_spellings_the_most_frequent_stands_for_a_level_and_it_is_remembered() -> None:
    table = pd.concat([frame(), frame()], ignore_index=True).assign(site=["01", "10", "2", "1", "10", "1"])
    columns = read_table(table, SPEC)
    assert back(columns, ["site"])["site"].tolist() == ["1", "10", "2", "1", "10", "1"]
    assert columns.codings["site"].spellings == ("1",)  # type: ignore[attr-defined]


def test_people_who_come_from_no_table_are_written_in_the_words_of_the_spec() -> None:
    values = {"race": torch.tensor([1.0, 2.0]), "visits": torch.tensor([0.0, 3.0])}
    written = to_original({}, values, SPEC)
    assert written["race"].tolist() == ["Black", "Puerto Rican"]
    assert written["visits"].dtype == np.int64
