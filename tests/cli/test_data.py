"""``cfair data`` lists the built-in tables."""

import json

import pytest

from cfair.cli.data import data
from cfair.data import builtin_tables


def test_each_table_has_a_line_with_its_size_source_and_licence(capsys: pytest.CaptureFixture[str]) -> None:
    data()
    _, *lines = capsys.readouterr().out.splitlines()
    for line, table in zip(lines, builtin_tables(), strict=True):
        assert line.split()[:3] == [table.name, f"{table.rows:,}", str(table.columns)]
        assert table.source in line
        assert line.endswith(table.licence)


def test_json_is_one_document_that_holds_everything_known(capsys: pytest.CaptureFixture[str]) -> None:
    data(as_json=True)
    listed = json.loads(capsys.readouterr().out)["tables"]
    assert [table["name"] for table in listed] == [table.name for table in builtin_tables()]
    assert all(table["source"] and table["licence"] and table["codings"] for table in listed)
