"""Tables are written whole, in a form that reads back to the last bit."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from cfair.data import check_writable, decode, read_table, to_frame, write_table
from cfair.errors import QueryError

from tables import SPEC, frame


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "T.CSV"])
def test_what_is_decoded_and_written_reads_back_to_the_last_bit(tmp_path: Path, name: str) -> None:
    columns = read_table(frame().assign(ugpa=[1 / 3, 1e-300, -0.1]), SPEC)
    write_table(to_frame(SPEC, columns), tmp_path / name)
    again = read_table(tmp_path / name, SPEC)
    assert all(torch.equal(again[node], columns[node]) for node in SPEC.observed)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_decoding_gives_names_of_levels_whole_counts_and_numbers() -> None:
    columns = read_table(frame(), SPEC)
    decoded = {node: decode(SPEC, node, columns[node]) for node in ("race", "member", "lsat", "ugpa")}
    assert decoded == {
        "race": ["White", "Black", "Puerto Rican"],
        "member": ["true", "false", "true"],
        "lsat": [33, 34, 45],
        "ugpa": [2.7, 3.4, 3.9],
    }
    assert all(type(count) is int for count in decoded["lsat"])


def test_a_table_of_coded_values_has_the_specs_order_and_the_latents_that_are_given() -> None:
    values = {node: torch.zeros(2, dtype=torch.float64) for node in reversed(list(SPEC.nodes))}
    assert list(to_frame(SPEC, values).columns) == list(SPEC.nodes)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("t.txt", "'.txt' is not a table's extension"),
        ("t", "has no extension"),
        ("no/t.csv", "there is no folder"),
        (".csv", "has no extension"),
    ],
)
def test_where_no_table_can_be_written_is_known_before_any_work(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(QueryError, match=problem):
        check_writable(tmp_path / name)


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(QueryError, match="is a folder"):
        write_table(frame(), tmp_path / "t.csv")


def test_when_writing_fails_the_old_file_stays_and_nothing_else_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")

    def fill_disk(self: pd.DataFrame, aside: Path, index: bool) -> None:
        aside.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fill_disk)
    with pytest.raises(QueryError, match="cannot be written: No space left on device"):
        write_table(frame(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
