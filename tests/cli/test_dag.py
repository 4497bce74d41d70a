"""Which table goes with a DAG."""

from pathlib import Path

import pytest

from cfair.cli._dag import read_dag, table_of
from cfair.errors import SpecError

DAG = "protected: [a]\noutcome: y\n{}nodes: {{a: {{mechanism: bernoulli, levels: [u, v]}}, y: {{mechanism: gaussian, parents: [a]}}}}\n"


@pytest.mark.parametrize(("named", "given", "meant"), [("law_school", None, "law_school"), ("law_school", "my.csv", "my.csv")])
def test_a_table_is_the_one_given_or_else_the_one_declared(tmp_path: Path, named: str, given: str | None, meant: str) -> None:
    dag = tmp_path / "dag.yaml"
    dag.write_text(DAG.format(f"data: {named}\n"))
    assert table_of(read_dag(str(dag)), str(dag), given) == meant


@pytest.mark.parametrize("named", ["my.csv", "./tables/my", "../my.parquet"])
def test_a_declared_file_lies_beside_the_declaration(tmp_path: Path, named: str) -> None:
    dag = tmp_path / "dag.yaml"
    dag.write_text(DAG.format(f"data: {named}\n"))
    assert table_of(read_dag(str(dag)), str(dag)) == tmp_path / named


def test_without_a_table_the_mend_names_both_ways(tmp_path: Path) -> None:
    dag = tmp_path / "dag.yaml"
    dag.write_text(DAG.format(""))
    with pytest.raises(SpecError, match=r"names no table\. Write 'data:' into it, or pass --data"):
        table_of(read_dag(str(dag)), str(dag))
