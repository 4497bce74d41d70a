"""Levels that observed parents tell apart without fail are found beside latent parents, too."""

import itertools

import pytest
import torch
from torch import Tensor

from cfair.diagnosis.degenerate import degenerate_columns
from cfair.diagnosis.separation import separating_columns, told_apart
from cfair.scm import SCM
from cfair.spec import ModelSpec

from oracles import columns_of, declare


def spec_of(family: str, levels: list[str], parents: tuple[str, ...] = ("a", "x", "u"), **options: object) -> ModelSpec:
    return declare(
        {
            "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
            "x": {"mechanism": "gaussian"},
            "z": {"mechanism": "gaussian"},
            "u": {"mechanism": "gaussian", "latent": True},
            "t": {"mechanism": {"family": family, **options}, "levels": levels, "parents": parents},
            "y": {"mechanism": "gaussian", "parents": ["u"]},
        }
    )


def table(n: int = 400) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(0)
    x, z, y = torch.randn(3, n, generator=source, dtype=torch.float64)
    return {"a": torch.randint(2, (n,), generator=source).double(), "x": x, "z": z, "y": y}


def said(spec: ModelSpec, values: dict[str, Tensor]) -> list[str]:
    """What is said of t's separation; nothing of its parameters needs to be learned for it."""
    return [str(check.why) for check in degenerate_columns(SCM(spec), [columns_of(values)]) if check.statistic == "separation"]


FINITE = "in every row; the prior alone keeps its weights finite"


def test_a_level_that_observed_numbers_tell_is_named_beside_a_latent_parent() -> None:
    values, spec = table(), spec_of("bernoulli", ["low", "high"])
    assert said(spec, {**values, "t": (values["x"] + 0.5 * values["a"] > 0.3).double()}) == [
        f"separated: a and x alone tell low from the rest {FINITE}"
    ]
    assert said(spec, {**values, "t": (values["x"] + 0.1 * values["y"] > 0).double()}) == []
    alone = spec_of("bernoulli", ["low", "high"], ("x", "u"))
    assert said(alone, {**values, "t": (values["x"] > 0.3).double()}) == [f"separated: x alone tells low from the rest {FINITE}"]


def test_of_several_levels_the_one_that_is_told_is_named() -> None:
    values, spec = table(), spec_of("categorical", ["low", "mid", "top"])
    t = torch.where(values["x"] > 0.8, 2.0, (values["y"] > 0).double())
    assert said(spec, {**values, "t": t}) == [f"separated: a and x alone tell top from the rest {FINITE}"]


def test_the_levels_of_an_ordered_node_are_told_apart_only_together() -> None:
    """One cut alone leaves the weights finite: where the others overlap, larger weights are paid for there."""
    values, spec = table(), spec_of("ordinal", ["low", "mid", "top"])
    assert said(spec, {**values, "t": (values["x"] > -0.5).double() + (values["x"] > 0.5)}) == [
        f"separated: a and x alone tell its levels apart {FINITE}"
    ]
    overlapping = torch.where(values["x"] > 0.8, 2.0, (values["y"] > 0).double())
    assert said(spec, {**values, "t": overlapping}) == []


def test_a_product_of_observed_parents_parts_where_the_model_has_it() -> None:
    values = table()
    crossed = {**values, "t": (values["x"] * values["z"] > 0).double()}
    assert said(spec_of("bernoulli", ["low", "high"], ("x", "z", "u")), crossed) == []
    product = spec_of("bernoulli", ["low", "high"], ("x", "z", "u"), interactions=[["x", "z"], ["x", "u"]])
    assert said(product, crossed) == [f"separated: x and z alone tell low from the rest {FINITE}"]


def test_few_people_with_a_level_and_weights_that_are_known_are_no_separation() -> None:
    values, spec = table(), spec_of("bernoulli", ["low", "high"])
    fourth = values["x"].sort(descending=True).values[3]
    assert said(spec, {**values, "t": (values["x"] >= fourth).double()}) == []
    graph = spec.to_graph()
    graph.nodes["t"]["parameters"] = {"intercept": 0.0, "weights": {"x": 1.0}}
    assert said(ModelSpec.from_graph(graph), {**values, "t": (values["x"] > 0.3).double()}) == []


@pytest.mark.parametrize("seed", range(8))
def test_what_is_told_apart_is_what_every_direction_tried_says(seed: int) -> None:
    """Of ten points in the plane, levels can be parted if and only if a line through two of them, moved a little, parts them."""
    source = torch.Generator().manual_seed(seed)
    points = torch.randn(10, 2, generator=source, dtype=torch.float64)
    direction = torch.randn(2, generator=source, dtype=torch.float64)
    level = (points @ direction + 0.3 * torch.randn(10, generator=source, dtype=torch.float64) > 0).long()
    level[0], level[1] = 0, 1
    turns = [points[i] - points[j] for i, j in itertools.combinations(range(10), 2)]
    normals = [torch.stack([-turn[1], turn[0]]) + shift * turn for turn in turns for shift in (-1e-6, 1e-6)]
    parted = any(
        float((sign * points @ normal)[level == 1].min()) > float((sign * points @ normal)[level == 0].max())
        for normal in normals
        for sign in (-1.0, 1.0)
    )
    assert told_apart(points, level) == parted


def test_rows_beyond_those_that_a_programme_begins_with_decide_it() -> None:
    x = torch.linspace(-1, 1, 20_000, dtype=torch.float64).unsqueeze(1)
    level = (x.squeeze(1) > 0).long()
    assert told_apart(x, level)
    level[3_000] = 1
    assert not told_apart(x, level)


def test_columns_are_those_of_the_predictor_without_a_latent() -> None:
    values = table()
    spec = spec_of("bernoulli", ["low", "high"], ("a", "x", "u"), interactions=[["a", "x"], ["a", "u"]])
    columns = separating_columns(spec, "t", {**values, "t": values["a"]})
    expected = torch.stack([values["a"], values["x"], values["a"] * values["x"]], 1)
    torch.testing.assert_close(columns, (expected - expected.mean(0)) / expected.std(0, correction=0))
