"""A declaration that cannot be read, and those that come with cfair."""

from pathlib import Path

import pytest

from cfair.errors import SpecError
from cfair.spec import dump_spec, find_model, load_spec, read_spec, shipped_models, spec_warnings


def refusal(path: str | Path) -> SpecError:
    with pytest.raises(SpecError) as refused:
        load_spec(path)
    return refused.value


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "dag.yaml")
    assert error.where == str(tmp_path / "dag.yaml")
    assert error.problem == "there is no such file"


def test_a_folder_is_named_with_the_file_that_was_meant(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert (error.problem, error.mend) == ("is a folder", f"name the file in it, as {tmp_path / 'dag.yaml'}")


def test_bytes_that_are_not_text_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "dag.yaml").write_bytes(b"name: a\n\xff\xfe\n")
    assert refusal(tmp_path / "dag.yaml").where == f"{tmp_path / 'dag.yaml'}:2"


def test_a_table_by_mistake_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"a,b\n" * 300_000)
    assert "more than 1,000,000 bytes" in refusal(tmp_path / "data.csv").problem


def test_a_path_that_no_file_can_have_is_refused() -> None:
    assert "cannot be read" in refusal("a\0b").problem


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    text = find_model("law_school").read_text()
    (tmp_path / "dag.yaml").write_text(text, encoding="utf-8-sig")
    assert load_spec(tmp_path / "dag.yaml") == read_spec(text, name="dag.yaml")


def test_windows_line_ends_change_nothing_but_count(tmp_path: Path) -> None:
    text = find_model("law_school").read_text()
    (tmp_path / "dag.yaml").write_bytes(text.replace("\n", "\r\n").encode())
    assert load_spec(tmp_path / "dag.yaml") == load_spec(find_model("law_school"))
    (tmp_path / "dag.yaml").write_bytes(text.replace("\n", "\r\n").replace("zfya:", "zfia:").encode())
    assert refusal(tmp_path / "dag.yaml").where == f"{tmp_path / 'dag.yaml'}:{text[: text.index('outcome:')].count(chr(10)) + 1}, outcome"


def test_the_shipped_models_are_found_by_folder_and_named_after_it() -> None:
    assert {"law_school", "law_school_gaussian"} <= set(shipped_models())
    for name, file in shipped_models().items():
        assert load_spec(file).name == name
        assert find_model(name) == file
        assert find_model(str(file)) == file


def test_a_misspelt_model_meets_its_nearest() -> None:
    with pytest.raises(SpecError) as refused:
        find_model("law_scool")
    assert refused.value.mend == "did you mean 'law_school'?"


def test_law_school_is_the_papers_model() -> None:
    spec = load_spec(find_model("law_school"))
    assert spec.latents == ("knowledge",)
    assert spec.evidence == ("race", "sex", "ugpa", "lsat")
    assert spec.non_descendants == ()
    assert {name: spec.nodes[name].mechanism for name in spec.descendants} == {"ugpa": "gaussian", "lsat": "poisson", "zfya": "gaussian"}
    assert all(set(spec.nodes[name].parents) == {"race", "sex", "knowledge"} for name in spec.descendants)
    assert spec.nodes["lsat"].round
    assert dump_spec(spec).splitlines()[-1] == (
        "  zfya: {mechanism: gaussian, parents: [race, sex, knowledge], "
        "parameters: {intercept: 0.0, scale: 1.0}, prior: {weights: {normal: 1.0}}}"
    )


def test_law_school_gaussian_differs_in_the_lsat_and_fixes_nothing() -> None:
    paper, linear = load_spec(find_model("law_school")), load_spec(find_model("law_school_gaussian"))
    assert set(paper.graph.edges) == set(linear.graph.edges)
    assert linear.nodes["lsat"].mechanism == "gaussian"
    assert all(node.parameters is None and node.prior is None for node in linear.nodes.values())
    assert [warning.where for warning in spec_warnings(linear)] == ["nodes"]


def test_a_shipped_model_is_found_by_its_name() -> None:
    assert load_spec("law_school") == load_spec(find_model("law_school"))
