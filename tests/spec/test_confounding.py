"""``confounded: [[a, b]]`` stands for a latent common cause."""

from pathlib import Path

import pytest

from cfair.errors import SpecError
from cfair.graph import d_separated
from cfair.inference import learn, posterior
from cfair.scm import SCM
from cfair.spec import ModelSpec, load_spec, spec_schema

from oracles import people

DAG = """
protected: [a]
outcome: y
confounded: [[x, y]]
nodes:
  a: {mechanism: bernoulli, levels: [no, yes]}
  x: {mechanism: gaussian, parents: [a]}
  y: {mechanism: gaussian, parents: [a, x]}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dag.yaml"
    path.write_text(text)
    return path


def test_a_pair_is_a_latent_parent_of_both(tmp_path: Path) -> None:
    spec = load_spec(written(tmp_path, DAG))
    assert spec.latents == ("x <-> y",)
    assert spec.nodes["x"].parents == ("a", "x <-> y")
    assert spec.nodes["y"].parents == ("a", "x", "x <-> y")
    assert spec.confounded == ()
    assert not d_separated(spec.graph, "x <-> y", "y", ("x",))


def test_what_it_stands_for_written_out_is_the_same_model(tmp_path: Path) -> None:
    short = load_spec(written(tmp_path, DAG))
    long = DAG.replace("confounded: [[x, y]]\n", "").replace("[a]}\n", "[a, x <-> y]}\n").replace("[a, x]}", "[a, x, x <-> y]}")
    assert load_spec(written(tmp_path, long + "  x <-> y: {mechanism: gaussian, latent: true}\n")).nodes == short.nodes
    assert ModelSpec.from_graph(short.to_graph()) == short


def test_its_loadings_may_be_fixed(tmp_path: Path) -> None:
    text = DAG.replace(
        "x: {mechanism: gaussian, parents: [a]}", "x: {mechanism: gaussian, parents: [a], parameters: {weights: {'x <-> y': 0.8}}}"
    )
    spec = load_spec(written(tmp_path, text))
    given = spec.nodes["x"].parameters
    assert given is not None
    assert given.weights == {"x <-> y": 0.8}


def test_a_confounded_model_is_learned_and_its_latent_inferred() -> None:
    """The product of the two loadings is what the data say: the covariance that the other parents leave."""
    known = {
        "x": {"intercept": 0.0, "weights": {"a=yes": 1.0, "x <-> z": 0.9}, "scale": 0.7},
        "z": {"intercept": 0.0, "weights": {"x <-> z": 0.8}, "scale": 0.9},
    }
    nodes = {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}},
        "x": {"mechanism": "gaussian", "parents": ["a"], "parameters": known["x"]},
        "z": {"mechanism": "gaussian", "parents": [], "parameters": known["z"]},
        "y": {"mechanism": "gaussian", "parents": ["a"]},
    }
    head = {"protected": ["a"], "outcome": "y", "confounded": [["x", "z"]]}
    truth = ModelSpec.model_validate(
        {**head, "nodes": {**nodes, "y": {**nodes["y"], "parameters": {"intercept": 0.0, "weights": {}, "scale": 1.0}}}}
    )
    columns = people(SCM(truth), 4_000)
    free = {name: {key: value for key, value in node.items() if key != "parameters"} for name, node in nodes.items()}
    scm = learn(ModelSpec.model_validate({**head, "nodes": free}), columns)
    found = scm.parameters_in_units()
    product = found["x"]["weights"]["x <-> z"] * found["z"]["weights"]["x <-> z"]  # type: ignore[index]
    assert product == pytest.approx(0.72, abs=5 * 0.02)  # the standard error of a covariance of 4,000 people
    assert posterior(scm, columns).sd["x <-> z"].max() < 1


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("[[x, w]]", r"dag.yaml:4, confounded\[0\]\[1\]: 'w' is not a declared node"),
        ("[[x]]", r"confounded\[0\]: a hidden common cause is of two nodes"),
        ("[[x, x]]", r"confounded\[0\]: a hidden common cause is of two nodes"),
        ("[[x, y], [y, x]]", r"confounded\[1\]: y <-> x is repeated"),
        ("[x, y]", r"dag.yaml:4, confounded"),
        ("x", r"dag.yaml:4, confounded"),
    ],
)
def test_a_pair_that_is_none_is_refused_at_its_place(tmp_path: Path, pairs: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_spec(written(tmp_path, DAG.replace("[[x, y]]", pairs)))


def test_a_latent_cannot_be_confounded_again(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"'k' is latent"):
        load_spec(written(tmp_path, DAG.replace("[[x, y]]", "[[x, k]]") + "  k: {mechanism: gaussian, latent: true}\n"))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("{mechanism: poisson, latent: true}", r"nodes.k.latent: a poisson node cannot be latent. Make it one of: gaussian, bernoulli"),
        ("{mechanism: table, levels: [s, t], latent: true}", r"a table node that is latent has no values to learn its probabilities from"),
    ],
)
def test_a_latent_that_cannot_be_integrated_out_is_refused(tmp_path: Path, node: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_spec(written(tmp_path, DAG + f"  k: {node}\n"))


def test_the_schema_knows_of_pairs() -> None:
    assert "confounded" in spec_schema()["properties"]  # type: ignore[operator]
