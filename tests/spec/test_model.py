"""A declaration as a value: the same through every form, read-only, and with an answer to each question."""

import copy
import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from pydantic import ValidationError

from cfair.errors import QueryError, SpecError
from cfair.spec import ModelSpec, NodeSpec, Normal, Parameters, Prior, dump_spec, read_spec, weight_names

from strategies import LAW, specs


def graph(**nodes: dict[str, object]) -> "nx.DiGraph[str]":
    """Three nodes a -> x -> y, with more said of some of them."""
    drawn: nx.DiGraph[str] = nx.DiGraph(protected=["a"], outcome="y")
    said = {"a": {"mechanism": "bernoulli", "levels": [0, 1]}, "x": {"mechanism": "gaussian"}, "y": {"mechanism": "gaussian"}}
    for name, attributes in said.items():
        drawn.add_node(name, **attributes | nodes.get(name, {}))
    drawn.add_edges_from([("a", "x"), ("x", "y"), ("a", "y")])
    return drawn


def refusal(drawn: object) -> SpecError:
    with pytest.raises(SpecError) as refused:
        ModelSpec.from_graph(drawn)  # type: ignore[arg-type]
    return refused.value


@LAW
@given(specs())
def test_through_yaml_and_back_is_the_identity(spec: ModelSpec) -> None:
    again = read_spec(dump_spec(spec), name="dag.yaml")
    assert again == spec
    assert hash(again) == hash(spec)
    assert list(again.nodes) == list(spec.nodes)
    assert dump_spec(again) == dump_spec(spec)


@LAW
@given(specs())
def test_through_a_graph_and_back_is_the_identity(spec: ModelSpec) -> None:
    again = ModelSpec.from_graph(spec.to_graph())
    assert again == spec
    assert [node.parents for node in again.nodes.values()] == [node.parents for node in spec.nodes.values()]
    drawn = spec.to_graph()
    assert nx.utils.graphs_equal(drawn, again.to_graph())


@LAW
@given(specs())
def test_parents_come_before_children_and_declared_order_wins_otherwise(spec: ModelSpec) -> None:
    places = {name: place for place, name in enumerate(spec.order)}
    assert sorted(spec.order) == sorted(spec.nodes)
    assert all(places[parent] < places[name] for name, node in spec.nodes.items() for parent in node.parents)
    if all(
        place < list(spec.nodes).index(name) for name, node in spec.nodes.items() for place in map(list(spec.nodes).index, node.parents)
    ):
        assert spec.order == tuple(spec.nodes)


@LAW
@given(specs())
def test_a_copy_is_equal_and_nothing_can_be_changed(spec: ModelSpec) -> None:
    assert spec.graph is spec.graph
    assert copy.deepcopy(spec) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    with pytest.raises(ValidationError):
        spec.outcome = "other"
    with pytest.raises(TypeError):
        spec.nodes["new"] = next(iter(spec.nodes.values()))  # type: ignore[index]
    with pytest.raises(nx.NetworkXError):
        spec.graph.add_edge("a", "b")


def test_order_of_nodes_is_part_of_a_declaration() -> None:
    spec = ModelSpec.from_graph(graph())
    other = ModelSpec(protected=("a",), outcome="y", nodes={name: spec.nodes[name] for name in ("x", "a", "y")})
    assert spec != other
    assert other.order == ("a", "x", "y")


def test_a_graph_needs_only_what_has_no_default() -> None:
    spec = ModelSpec.from_graph(
        graph(x={"latent": None, "parameters": {"scale": 2, "weights": {"a=1": 1}}, "prior": {"intercept": {"normal": 3}}})
    )
    assert (spec.name, spec.source, spec.data, spec.resolving) == ("model", "", None, ())
    assert spec.nodes["a"].levels == ("0", "1")
    assert spec.nodes["x"].parameters == Parameters(scale=2.0, weights={"a=1": 1.0})
    assert spec.nodes["x"].prior == Prior(intercept=Normal(sd=3.0))
    assert spec.nodes["y"].parents == ("x", "a")


def test_records_serve_where_a_graph_is_written_in_python() -> None:
    said = {"parameters": Parameters(intercept=1.0), "prior": Prior(weights=Normal(mean=1.0, sd=2.0))}
    assert ModelSpec.from_graph(graph(x=said)) == ModelSpec.from_graph(
        graph(x={"parameters": {"intercept": 1}, "prior": {"weights": {"normal": [1, 2]}}})
    )


def test_a_mistake_in_a_graph_names_the_node() -> None:
    error = refusal(graph(x={"mechanism": "gausian"}))
    assert str(error) == "graph node 'x', mechanism: 'gausian' is not a known mechanism. Did you mean 'gaussian'?"
    assert refusal(graph(x={"colour": "red"})).where == "graph node 'x', colour"
    assert refusal(graph(x={"parents": ["a"]})).problem == "parents are the graph's edges"
    assert refusal(graph(x={"parameters": {"scale": float("nan")}})).where == "graph node 'x', parameters.scale"


def test_values_from_numpy_are_as_good_as_pythons() -> None:
    said = {"levels": [np.int64(0), np.float64(1.0)]}
    parameters = {"scale": np.float32(2.0), "intercept": np.int64(1)}
    numpy_graph = graph(a=said, x={"latent": np.True_, "parameters": parameters})
    assert ModelSpec.from_graph(numpy_graph) == ModelSpec.from_graph(graph(x={"latent": True, "parameters": {"scale": 2, "intercept": 1}}))
    assert refusal(graph(a={"levels": np.array([0, 1])})).mend == "write it as a list"


def test_a_key_that_is_not_text_is_refused() -> None:
    assert refusal(graph(x={"prior": {1: 2}})).problem == "the key 1 is not text"
    assert refusal(graph(x={"parameters": {"weights": {1: 2}}})).where == "graph node 'x', parameters.weights[1]"
    assert refusal(graph(x={"parameters": 3})).problem == "must be a mapping, not '3'"


def test_a_mistake_of_the_graph_itself_is_named() -> None:
    drawn = graph()
    drawn.graph["protected"] = ["b"]
    assert refusal(drawn).where == "graph attribute protected[0]"
    drawn = graph()
    drawn.add_edge("y", "x")
    assert "cycle x -> y -> x" in refusal(drawn).problem
    drawn.add_edge("ghost", "x")
    assert refusal(drawn).where == "graph node 'ghost'"
    assert refusal(nx.DiGraph()).where == "graph"


@pytest.mark.parametrize("wrong", [nx.Graph(), nx.MultiDiGraph(), {"a": ["b"]}, None])
def test_what_is_not_a_directed_graph_is_refused(wrong: object) -> None:
    assert "is not a networkx.DiGraph" in refusal(wrong).problem


def test_weights_on_edges_are_not_silently_lost() -> None:
    drawn = graph()
    drawn.edges["a", "x"]["weight"] = 0.5
    assert refusal(drawn).mend == "fix weights by the node attribute 'parameters'"


def test_nodes_that_are_numbers_are_refused_with_the_way_out() -> None:
    assert "relabel_nodes" in refusal(nx.path_graph(3, create_using=nx.DiGraph)).mend


def test_a_declaration_in_python_is_checked_too() -> None:
    with pytest.raises(SpecError, match=r"^nodes\.y\.parents\[0\]: 'b' is not a declared node"):
        ModelSpec(protected=("y",), outcome="y", nodes={"y": NodeSpec(mechanism="gaussian", parents=("b",))})
    with pytest.raises(SpecError, match="'nodes' is missing"):
        ModelSpec.model_validate({"protected": ["a"], "outcome": "y"})


def test_a_level_is_found_by_its_text() -> None:
    spec = ModelSpec.from_graph(graph())
    assert [spec.level("a", level) for level in (0, 1.0, "1", "0")] == [0, 1, 1, 0]
    for node, level, mend in (("a", "10", "did you mean '1'?"), ("b", "1", "did you mean 'a'?"), ("x", "1", "number")):
        with pytest.raises(QueryError) as refused:
            spec.level(node, level)
        assert mend in refused.value.mend or node == "b"


def test_weights_are_named_by_parent_and_by_level_but_the_first() -> None:
    spec = ModelSpec.from_graph(graph())
    assert weight_names(spec, "y") == ("x", "a=1")
    assert weight_names(spec, "a") == ()


def test_roles_follow_from_the_graph() -> None:
    spec = ModelSpec.from_graph(graph())
    assert (spec.observed, spec.latents, spec.evidence) == (("a", "x", "y"), (), ("a", "x"))
    assert (spec.descendants, spec.non_descendants, spec.level_1) == (("x", "y"), (), ())
    assert (spec.nodes["a"].kind, spec.nodes["x"].kind, spec.nodes["a"].discrete) == ("binary", "real", True)


def test_a_descendant_of_the_outcome_alone_is_no_descendant_of_a_and_not_level_1() -> None:
    drawn = graph()
    drawn.remove_edges_from([("a", "y"), ("x", "y")])
    drawn.add_node("after", mechanism="gaussian")
    drawn.add_edge("y", "after")
    spec = ModelSpec.from_graph(drawn)
    assert spec.non_descendants == ("after",)
    assert spec.level_1 == ()
    assert spec.evidence == ("a", "x")
