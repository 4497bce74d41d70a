"""Tables of every form are read as the spec codes them."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cfair.data import builtin_path, read_table
from cfair.errors import DataError, QueryError
from cfair.interfaces import Columns

from tables import HEADER, NODES, ROWS, SPEC, declare, frame, write_csv

CODED = {
    "race": [0.0, 1.0, 2.0],
    "member": [1.0, 0.0, 1.0],
    "site": [0.0, 2.0, 1.0],
    "lsat": [33.0, 34.0, 45.0],
    "visits": [0.0, 2.0, 0.0],
    "ugpa": [2.7, 3.4, 3.9],
    "y": [1.16, -0.15, 0.78],
}


def coded(columns: Columns) -> dict[str, list[float]]:
    return {node: column.tolist() for node, column in columns.items()}


def test_a_csv_file_is_read_as_the_spec_codes_it(tmp_path: Path) -> None:
    columns = read_table(write_csv(tmp_path, *ROWS), SPEC)
    assert coded(columns) == CODED
    assert all(column.dtype == torch.float64 for column in columns.coded.values())
    assert columns.rows.tolist() == [0, 1, 2]


def test_a_dataframe_a_csv_file_and_a_parquet_file_read_alike(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    frame().to_parquet(tmp_path / "t.parquet")
    for source in (frame(), tmp_path / "t.csv", tmp_path / "t.parquet", str(tmp_path / "t.csv")):
        assert coded(read_table(source, SPEC)) == CODED


@pytest.mark.parametrize(
    ("node", "entries"),
    [
        ("race", pd.Series(["White", "Black", "Puerto Rican"], dtype=object)),
        ("race", pd.Series(["White", "Black", "Puerto Rican"], dtype="string")),
        ("race", pd.Series(["White", "Black", "Puerto Rican"], dtype="category")),
        ("race", pd.Categorical(["White", "Black", "Puerto Rican"], categories=["unused", "Puerto Rican", "Black", "White"])),
        ("race", pd.Series([" White", "Black ", "Puerto Rican"])),
        ("member", pd.Series([True, False, True], dtype=object)),
        ("member", pd.Series([True, False, True], dtype="boolean")),
        ("member", pd.Series(["True", "FALSE", "true"])),
        ("member", pd.Series([True, False, True], dtype="bool[pyarrow]")),
        ("site", pd.Series([1.0, 10.0, 2.0])),
        ("site", pd.Series(["1", "10", "2"])),
        ("site", pd.Series(["1.0", "10.0", "02"])),
        ("site", pd.Series([1, 10, 2], dtype="Int64")),
        ("site", pd.Series([1, 10, 2], dtype="category")),
        ("site", pd.Series([1, "10", 2.0], dtype=object)),
        ("site", pd.Series([1, 10, 2], dtype="int32[pyarrow]")),
        ("ugpa", pd.Series(["2.7", " 3.4", "+3.9"])),
        ("ugpa", pd.Series(["2.7", 3.4, 3.9], dtype=object)),
        ("ugpa", pd.Series([2.7, 3.4, 3.9], dtype="Float64")),
        ("ugpa", pd.Series([2.7, 3.4, 3.9], dtype="double[pyarrow]")),
        ("ugpa", pd.Series([2.7, 3.4, 3.9], dtype="category")),
        ("visits", pd.Series([0, 2, 0], dtype="uint8")),
        ("visits", pd.Series(["0", "2.0", "-0.0"])),
        ("visits", pd.Series([0, 2, 0], dtype="Int64")),
    ],
)
def test_every_type_of_column_that_says_the_same_is_coded_the_same(node: str, entries: pd.Series) -> None:
    columns = read_table(frame().assign(**{node: entries}), SPEC)
    assert columns[node].tolist() == CODED[node]
    assert not torch.signbit(columns["visits"]).any()


@pytest.mark.parametrize("text", ["NA", "None", "null", "nan", "N/A"])
def test_a_usual_marker_of_missing_values_is_a_level_where_it_is_declared_one(tmp_path: Path, text: str) -> None:
    spec = declare({"a": {"mechanism": "categorical", "levels": ["x", text]}, "y": {"mechanism": "gaussian"}})
    assert read_table(write_csv(tmp_path, "x,1", f"{text},2", header="a,y"), spec)["a"].tolist() == [0.0, 1.0]


def test_leading_zeros_are_kept_where_a_level_has_them(tmp_path: Path) -> None:
    spec = declare({"a": {"mechanism": "categorical", "levels": ["01", "1"]}, "y": {"mechanism": "gaussian"}})
    columns = read_table(write_csv(tmp_path, "01,0", "1,0", "1.0,0", header="a,y"), spec)
    assert columns["a"].tolist() == [0.0, 1.0, 1.0]


def test_numbers_in_csv_are_read_to_the_last_bit(tmp_path: Path) -> None:
    spec = declare({"a": {"mechanism": "gaussian"}, "y": {"mechanism": "gaussian"}})
    values = np.random.default_rng(0).normal(size=2000) * 10.0 ** np.arange(2000).__mod__(40)
    pd.DataFrame({"a": values, "y": 1e-300}).to_csv(tmp_path / "t.csv", index=False)
    assert np.array_equal(read_table(tmp_path / "t.csv", spec)["a"].numpy(), values)


def test_quoted_entries_may_hold_commas_and_line_breaks_and_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    spec = declare({"a": {"mechanism": "categorical", "levels": ["x, y", "z"]}, "y": {"mechanism": "gaussian"}})
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfa,note,y\r\n"x, y","two\r\nlines",1\r\n\r\nz,"he said ""no""",2')
    columns = read_table(tmp_path / "t.csv", spec)
    assert coded(columns) == {"a": [0.0, 1.0], "y": [1.0, 2.0]}


def test_fractional_counts_are_rounded_to_even_where_declared_and_counted() -> None:
    table = frame().assign(lsat=[33.5, 34.5, 45.0])
    columns = read_table(table, SPEC)
    assert columns["lsat"].tolist() == [34.0, 34.0, 45.0]
    assert columns.facts.rounded == {"lsat": 2}


def test_rows_with_missing_values_are_dropped_and_counted_when_asked() -> None:
    table = pd.concat([frame()] * 2, ignore_index=True)
    table.loc[1, "ugpa"] = np.nan
    table.loc[[1, 4], "race"] = None
    columns = read_table(table, SPEC, missing="drop")
    assert columns.rows.tolist() == [0, 2, 3, 5]
    assert columns["y"].tolist() == [1.16, 0.78, 1.16, 0.78]
    assert (columns.facts.rows, columns.facts.dropped, columns.facts.rounded) == (6, 2, {})


def test_order_and_positions_of_rows_survive_whatever_the_index() -> None:
    table = frame().set_axis([7, 7, 3], axis=0).iloc[::-1]
    columns = read_table(table, SPEC)
    assert columns["y"].tolist() == CODED["y"][::-1]
    assert columns.rows.tolist() == [0, 1, 2]


def test_reading_leaves_the_users_table_alone() -> None:
    table = frame()
    read_table(table, SPEC)["y"].zero_()
    pd.testing.assert_frame_equal(table, frame())


def test_only_required_nodes_must_be_there_and_one_row_will_do() -> None:
    columns = read_table(frame()[["race", "ugpa"]].head(1), SPEC, require=["ugpa", "race"])
    assert coded(columns) == {"race": [0.0], "ugpa": [2.7]}


def test_a_column_that_is_not_required_may_hold_anything_and_no_row_is_dropped_for_it() -> None:
    columns = read_table(frame().assign(y=[1.0, np.nan, 2.0], lsat=["x", [], -1], site=7), SPEC, require=["race"], missing="drop")
    assert (list(columns), columns.n) == (["race"], 3)
    assert columns.facts.unused == ()


def test_a_predictor_that_needs_no_column_still_learns_how_many_rows_there_are(tmp_path: Path) -> None:
    for source in (write_csv(tmp_path, "a", "b", header="note"), pd.DataFrame(index=range(2))):
        columns = read_table(source, SPEC, require=[])
        assert (columns.n, len(columns)) == (2, 0)


def test_a_latents_own_column_is_not_read() -> None:
    columns = read_table(frame().assign(talent=0.0, note="x"), SPEC)
    assert "talent" not in columns
    assert columns.facts.unused == ("talent", "note")


def test_facts_name_the_table_and_fingerprint_its_content(tmp_path: Path) -> None:
    path = write_csv(tmp_path, *ROWS)
    from_file, from_frame = read_table(path, SPEC).facts, read_table(frame(), SPEC).facts
    assert (from_file.name, from_file.sha256) == ("people.csv", hashlib.sha256(path.read_bytes()).hexdigest())
    assert from_frame.name == "DataFrame"
    assert from_frame.sha256 == read_table(frame().set_axis([5, 6, 7], axis=0).assign(note=1), SPEC).facts.sha256
    assert from_frame.sha256 != read_table(frame().iloc[::-1], SPEC).facts.sha256


def test_a_bare_name_is_a_built_in_table_and_a_dot_or_slash_makes_it_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = declare({"race": {"mechanism": "categorical", "levels": ["caucasian", "non_caucasian"]}, "age": {"mechanism": "gaussian"}})
    columns = read_table("compas", spec)
    assert (columns.n, columns.facts.name) == (6167, "compas")
    assert columns.facts.sha256 == hashlib.sha256(builtin_path("compas").read_bytes()).hexdigest()
    monkeypatch.chdir(tmp_path)
    for source in ("./compas", "compas.csv", Path("compas")):
        with pytest.raises(DataError, match="there is no such file"):
            read_table(source, spec)


def test_a_node_to_be_required_must_be_observed() -> None:
    with pytest.raises(QueryError, match="'talent' is not an observed node"):
        read_table(frame(), SPEC, require=["talent"])


def test_the_declaration_in_use_covers_every_kind() -> None:
    assert {node.kind for node in SPEC.nodes.values()} == {"real", "count", "binary", "category"}
    assert HEADER.split(",") == [name for name in NODES if name != "talent"]
