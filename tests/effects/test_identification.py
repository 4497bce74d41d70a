"""What observed nodes tell: roles from the graph, and the latents that hide an effect, by name."""

from collections.abc import Mapping, Sequence

import pytest

from cfair.effects.identification import ADJUSTED, MEDIATED, not_identified
from cfair.effects.roles import roles_of
from cfair.errors import QueryError
from cfair.spec import ModelSpec

from oracles import declare


def graph(parents: Mapping[str, Sequence[str]], latents: Sequence[str] = (), confounded: Sequence[Sequence[str]] = ()) -> ModelSpec:
    """A model of gaussian nodes with these parents; its parameters do not matter."""
    nodes = {node: {"mechanism": "gaussian", "parents": list(own), "latent": node in latents} for node, own in parents.items()}
    bare = {"protected": ["a"], "outcome": "y", "nodes": nodes, "confounded": list(confounded)}
    return ModelSpec.model_validate(bare) if confounded else declare(nodes)


def hidden(spec: ModelSpec, target: str = "y") -> dict[str, tuple[str, ...]]:
    return {each.term: each.latents for each in not_identified(spec, "a", target)}


MEDIATION = {"z": (), "a": ("z",), "m": ("a", "z"), "y": ("a", "m", "z")}


def test_roles_are_read_off_the_graph() -> None:
    spec = graph(
        {"u": (), "v": ("u",), "z": (), "a": ("z", "u"), "h": ("a",), "m": ("h", "v"), "y": ("m", "z"), "after": ("y",)}, ["u", "v", "h"]
    )
    roles = roles_of(spec, "a", "y")
    assert roles.confounders == ("z",)
    assert roles.mediators == ("m",)
    assert roles.latent_mediators == ("h",)
    assert roles.touches == {"u": ("a", "m"), "v": ("m",), "h": ("m",)}
    assert roles.bidirected == {("a", "m"): ("u",)}


def test_without_latents_everything_is_identified() -> None:
    assert hidden(graph(MEDIATION)) == {}


def test_a_hidden_common_cause_of_mediator_and_outcome_hides_the_mediated_terms() -> None:
    spec = graph({"u": (), **MEDIATION, "m": ("a", "z", "u"), "y": ("a", "m", "z", "u")}, ["u"])
    assert hidden(spec) == dict.fromkeys(MEDIATED, ("u",))


def test_a_hidden_common_cause_of_attribute_and_mediator_hides_every_term_but_tv() -> None:
    spec = graph({"u": (), **MEDIATION, "a": ("z", "u"), "m": ("a", "z", "u")}, ["u"])
    assert hidden(spec) == dict.fromkeys(ADJUSTED + MEDIATED, ("u",))


def test_a_hidden_common_cause_of_attribute_and_outcome_hides_every_term_but_tv() -> None:
    spec = graph(MEDIATION, confounded=[["a", "y"]])
    assert hidden(spec) == dict.fromkeys(ADJUSTED + MEDIATED, ("a <-> y",))
    assert hidden(spec, "m") == {}


def test_a_latent_behind_an_observed_confounder_hides_nothing() -> None:
    assert hidden(graph({"u": (), **MEDIATION, "z": ("u",), "a": ("z", "u")}, ["u"])) == {}


def test_a_confounder_that_is_a_collider_lets_two_latents_through() -> None:
    spec = graph({"u": (), "v": (), **MEDIATION, "z": ("u", "v"), "m": ("a", "z", "u"), "y": ("a", "m", "z", "v")}, ["u", "v"])
    assert set(hidden(spec)) == set(MEDIATED)
    assert hidden(spec)["nde"] == ("u", "v")


def test_a_latent_mediator_hides_the_mediated_terms() -> None:
    spec = graph({"a": (), "h": ("a",), "y": ("a", "h")}, ["h"])
    assert hidden(spec) == dict.fromkeys(MEDIATED, ("h",))


def test_of_what_does_not_descend_from_the_attribute_every_effect_is_known() -> None:
    assert hidden(graph({"u": (), "z": ("u",), "a": ("z", "u"), "y": ("a",)}, ["u"]), "z") == {}


def test_what_the_model_tells_is_told_apart_from_what_only_priors_tell() -> None:
    three = graph({"u": (), "a": (), "m": ("a", "u"), "x": ("u",), "y": ("a", "m", "u")}, ["u"])
    two = graph({"u": (), "a": (), "m": ("a", "u"), "y": ("a", "m", "u")}, ["u"])
    assert {each.means for each in not_identified(two, "a", "y")} == {"prior"}
    assert {each.means for each in not_identified(two, "a", "y", fixed=True)} == {"model"}
    assert {each.means for each in not_identified(three, "a", "y")} == {"prior"}  # of m and y one causes the other: no free triple


def test_an_attribute_that_is_latent_or_the_target_is_refused() -> None:
    spec = graph({"u": (), "a": (), "y": ("a", "u")}, ["u"])
    with pytest.raises(QueryError, match="latent"):
        roles_of(spec, "u", "y")
    with pytest.raises(QueryError, match="itself"):
        roles_of(spec, "y", "y")
