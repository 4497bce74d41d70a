"""YAML 1.2, and only the part of it that a declaration needs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfair.errors import SpecError
from cfair.spec import level_text, load_spec, read_spec, shipped_models

from strategies import LAW, TRICKY, damaged

TEXT = """\
protected: [2019]
outcome: no
nodes:
  2019: {mechanism: categorical, levels: [no, yes, on]}
  no: {mechanism: categorical, levels: [%s]}
"""
HEAD = "protected: [a]\noutcome: y\n"
NODES = "nodes: {a: {mechanism: bernoulli, levels: [u, v]}, y: {mechanism: gaussian, parents: [a]}}\n"

REFUSED = {
    "tag": (HEAD.replace("y", "!!str y") + NODES, 2, "tag 'tag:yaml.org,2002:str' is not read"),
    "own tag": (HEAD + NODES.replace("[a]", "!set [a]"), 3, "tag '!set' is not read"),
    "tag on a mapping": (HEAD + NODES.replace("nodes: {", "nodes: !map {"), 3, "tag '!map' is not read"),
    "anchor": (HEAD.replace("y", "&y y") + NODES, 2, "anchor '&y' is not read"),
    "anchor on a key": (HEAD.replace("outcome", "&o outcome") + NODES, 2, "anchor '&o' is not read"),
    "alias": (HEAD.replace("y", "*y") + NODES, 2, "alias '*y' is not read"),
    "merge key": (HEAD + "<<: {name: b}\n" + NODES, 3, "merge keys '<<' are not read"),
    "second document": (HEAD + NODES + "---\n" + HEAD, 4, "a second document begins here"),
    "list as a key": (HEAD + "? [a]\n: b\n" + NODES, 3, "a key must be one word"),
    "YAML 1.1": ("%YAML 1.1\n---\n" + HEAD + NODES, 2, "this version of YAML is not read"),
    "tab": (HEAD + "\tname: b\n" + NODES, 3, "not YAML: found character '\\t'"),
    "colon": (HEAD.replace("y", "y: z") + NODES, 2, "not YAML: mapping values are not allowed here"),
    "open quote": (HEAD.replace("y", "'y") + NODES, 4, "not YAML: found unexpected end of stream"),
    "open bracket": (HEAD.replace("[a]", "[a"), 2, "not YAML:"),
    "null byte": (HEAD + "name: a\x00b\n" + NODES, 3, "a character is not text"),
    "surrogate": (HEAD + 'name: "\\ud800"\n' + NODES, 3, "half of a surrogate pair"),
    "beyond Unicode": ('name: "\\U7fffffff"\n' + HEAD + NODES, 1, "stands for no character"),
    "thousand brackets": (HEAD + "name: " + "[" * 1000 + "]" * 1000 + "\n" + NODES, 3, "is nested too deeply"),
    "thousand dashes": (HEAD + "name:\n  " + "- " * 1000 + "a\n" + NODES, 4, "is nested too deeply"),
    "thousand braces": (HEAD + "name: " + "{a: " * 1000 + "}" * 1000 + "\n" + NODES, 3, "is nested too deeply"),
    "empty": ("", 1, "the file is empty"),
    "only a comment": ("# nothing\n", 1, "the file is empty"),
    "empty document": ("---\n", 2, "the file is empty"),
    "null": ("~\n", 1, "the file is empty"),
    "a list": ("- a\n- b\n", 1, "the file holds a list, not a declaration"),
    "a table": ("race,sex\n1,2\n", 1, "the file holds text, not a declaration"),
}


LEVELS = {  # as written: as meant
    "1": "1",
    "1.0": "1",
    '"1"': "1",
    '"1.0"': "1.0",
    "+1": "1",
    "-0.0": "0",
    "1e3": "1000",
    "0x1F": "31",
    "0o17": "15",
    "0.50": "0.5",
    "true": "true",
    "False": "false",
    '"True"': "True",
    "1_000": "1_000",
    "12:30": "12:30",
    "<=50K": "<=50K",
    "2020-01-01": "2020-01-01",
}


def refusal(text: str) -> SpecError | None:
    """How ``text`` is refused, if it is."""
    try:
        read_spec(text, name="dag.yaml")
    except SpecError as error:
        return error
    return None


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_declaration_does_not_need_is_refused_with_its_line(case: str) -> None:
    text, line, problem = REFUSED[case]
    error = refusal(text)
    assert error is not None
    assert error.where.partition(",")[0] == f"dag.yaml:{line}"
    assert problem in error.problem
    assert error.mend


def test_no_yes_and_on_are_text_and_a_year_may_be_a_name() -> None:
    spec = read_spec(TEXT % "a, b", name="dag.yaml")
    assert spec.protected == ("2019",)
    assert spec.outcome == "no"
    assert spec.nodes["2019"].levels == ("no", "yes", "on")


@pytest.mark.parametrize("written", LEVELS)
def test_levels_count_by_their_text(written: str) -> None:
    level = LEVELS[written]
    spec = read_spec(TEXT % f"{written}, other", name="dag.yaml")
    assert spec.nodes["no"].levels[0] == level
    assert spec.level("no", level) == 0


@LAW
@given(st.integers() | st.floats(allow_nan=False) | st.booleans())
def test_level_text_is_its_own_text_and_agrees_across_types(value: float) -> None:
    assert level_text(level_text(value)) == level_text(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e15:
        assert level_text(float(value)) == level_text(value)


@LAW
@given(st.data())
def test_a_damaged_declaration_is_read_or_refused_at_a_line(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(shipped_models())))
    text = data.draw(damaged(shipped_models()[name].read_text()))
    error = refusal(text)
    if error is not None:
        assert re.match(r"dag\.yaml:[1-9][0-9]*(, |$)", error.where)
        assert error.problem
        assert error.mend


@LAW
@given(st.text() | st.lists(st.sampled_from([*TRICKY, "\n", " ", ":", "-", "[", "{", "a"])).map("".join))
def test_any_text_at_all_is_refused_at_a_line(text: str) -> None:
    error = refusal(text)
    assert error is not None
    assert error.where.startswith("dag.yaml:")


@LAW
@given(st.binary())
def test_any_bytes_at_all_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("junk") / "dag.yaml"
    file.write_bytes(content)
    with pytest.raises(SpecError):
        load_spec(file)
