"""Columns that an attribute does not cause, held against the graph."""

import torch

from cfair.auditing.nondescendants import held_against, measured_non_descendants
from cfair.spec import ModelSpec

from school import columns_of, people, school

N = 2_000


def texts(spec: ModelSpec, columns: dict[str, torch.Tensor]) -> list[str]:
    return [each.text for each in held_against(spec, measured_non_descendants(spec, columns_of(columns), seed=0))]


def test_columns_of_a_true_graph_contradict_nothing_and_are_named() -> None:
    spec = school()
    columns = dict(people(spec, N)[1])
    found = texts(spec, columns)
    of_race, of_sex = "'race' from 'sex' or 'age'", "'sex' from 'race', 'age' or 'visits'"
    assert found == [f"By the graph nothing can be told of {each}." for each in (of_race, of_sex)]


def test_a_column_that_hangs_together_with_an_attribute_against_the_graph_is_flagged() -> None:
    spec = school()
    columns = dict(people(spec, N)[1])
    columns["age"] = columns["age"] + 4 * columns["sex"]
    (flagged,) = [text for text in texts(spec, columns) if "CONTRADICTED" in text]
    assert "no open path between 'age' and 'sex'" in flagged


def test_descendants_latents_and_the_outcome_are_not_asked() -> None:
    spec = school()
    found = measured_non_descendants(spec, people(spec, N)[1], seed=0)
    assert set(found) == {("race", "sex"), ("race", "age"), ("sex", "race"), ("sex", "age"), ("sex", "visits")}


def test_a_cause_of_an_attribute_carries_it_and_contradicts_nothing() -> None:
    graph = school().to_graph()
    graph.add_edge("age", "sex")
    graph.nodes["sex"]["parameters"] = {"intercept": -4.0, "weights": {"age": 0.1}}
    spec = ModelSpec.from_graph(graph)
    columns = dict(people(spec, N)[1])
    found = texts(spec, columns)
    assert not any("CONTRADICTED" in text for text in found)
    assert any(text.startswith("'age' does not descend from 'sex', yet hangs together with it (age -> sex)") for text in found)
