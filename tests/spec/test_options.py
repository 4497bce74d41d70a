"""Options of a family stand beside its name in the mechanism's mapping."""

from dataclasses import replace

import jsonschema
import networkx as nx
import pytest
from ruamel.yaml import YAML

from cfair.errors import SpecError
from cfair.families import FAMILIES, Option
from cfair.spec import ModelSpec, NodeSpec, dump_spec, read_spec, spec_schema

OPTIONS = {
    "bend": Option("flag", False, "whether it bends"),
    "shape": Option(("round", "square"), "round"),
    "hidden": Option("sizes", (32, 32)),
    "knots": Option("whole", 8),
    "decay": Option("positive", 0.5),
    "interactions": Option("groups", ()),
}
TEXT = """\
protected: [a]
outcome: y
nodes:
  a: {mechanism: bernoulli, levels: [u, v]}
  b: {mechanism: gaussian}
  y: {mechanism: {family: gaussian, OPTION}, parents: [a, b]}
"""
ALL = "bend: true, shape: square, hidden: [4, 2], knots: 3, decay: 2, interactions: [[a, b]]"
READ = {"bend": True, "shape": "square", "hidden": (4, 2), "knots": 3, "decay": 2.0, "interactions": (("a", "b"),)}
WRONG = {
    "unknown": ("hiden: [1]", ".hiden", "'hiden' is not an option of 'gaussian'", "did you mean 'hidden'?"),
    "a switch by a word": ("bend: yes", ".bend", "must be true or false, not 'yes'", "write true or false"),
    "no such word": ("shape: squre", ".shape", "'squre' is not a shape", "did you mean 'square'?"),
    "a word of a list": ("shape: [round]", ".shape", "a list is not a shape", "use one of: round, square"),
    "sizes a number": ("hidden: 32", ".hidden", "must be a list, not '32'", "write [32]"),
    "a size of 0": ("hidden: [32, 0]", ".hidden[1]", "must be a whole number above 0, not 0", "such as 8"),
    "half a unit": ("knots: 2.5", ".knots", "must be a whole number above 0, not 2.5", "such as 8"),
    "not above 0": ("decay: 0", ".decay", "must be above 0, not 0", "positive"),
    "a number by a word": ("decay: much", ".decay", "must be a number, not 'much'", "such as 1.0"),
    "groups flat": ("interactions: [a, b]", ".interactions[0]", "must be a list, not 'a'", "write [a]"),
    "a group of a number": ("interactions: [[a, [b]]]", ".interactions[0][1]", "must be text, not a list", "one word"),
}


@pytest.fixture(autouse=True)
def _with_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "gaussian", replace(FAMILIES["gaussian"], options=OPTIONS))


def read(option: str) -> ModelSpec:
    return read_spec(TEXT.replace("OPTION", option), name="dag.yaml")


def test_every_form_is_read_and_what_is_not_given_has_its_default() -> None:
    node, bare = read(ALL).nodes["y"], read("knots: 8").nodes["b"]
    assert dict(node.options) == READ
    assert node.mechanism == "gaussian"
    assert {name: bare.option(name) for name in OPTIONS} == {name: option.default for name, option in OPTIONS.items()}
    found = (node.flag("bend"), node.word("shape"), node.sizes("hidden"), node.whole("knots"), node.number("decay"), node.interactions)
    assert found == tuple(READ.values())


def test_options_come_back_from_text_and_from_a_graph() -> None:
    spec = read(ALL)
    assert read_spec(dump_spec(spec), name="dumped") == spec
    graph = spec.to_graph()
    assert isinstance(graph, nx.DiGraph)
    assert ModelSpec.from_graph(graph) == spec
    assert spec != read("knots: 3")
    assert "hidden: [4, 2]" in dump_spec(spec)


def test_options_may_be_given_in_python() -> None:
    node = NodeSpec.model_validate({"mechanism": {"family": "gaussian", "hidden": [4, 2]}})
    assert node.sizes("hidden") == (4, 2)


def test_the_schema_knows_them() -> None:
    schema = jsonschema.Draft202012Validator(spec_schema())
    assert schema.is_valid(YAML(typ="safe").load(TEXT.replace("OPTION", ALL)))
    for case in WRONG.values():
        assert not schema.is_valid(YAML(typ="safe").load(TEXT.replace("OPTION", case[0]))), case[0]


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_option_is_told_at_its_place(case: str) -> None:
    option, place, problem, mend = WRONG[case]
    with pytest.raises(SpecError) as told:
        read(option)
    assert told.value.where == f"dag.yaml:6, nodes.y.mechanism{place}"
    assert problem in told.value.problem
    assert mend in told.value.mend


def test_options_stand_in_the_mechanism_and_nowhere_else() -> None:
    with pytest.raises(SpecError, match="'options' is not a known key") as told:
        read_spec(TEXT.replace(", OPTION}", "}, options: {knots: 3}"), name="dag.yaml")
    assert "{family: name, option: value}" in told.value.mend
