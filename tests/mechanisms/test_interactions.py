"""Products of parents in a linear predictor."""

from typing import Any, cast

import pytest
import torch

from cfair import learn
from cfair.mechanisms import Unit
from cfair.mechanisms.terms import Parent, Term, folding
from cfair.scm import SCM
from cfair.worlds import counterfactual, simulate

from oracles import declare, people

A: dict[str, Any] = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}}
B: dict[str, Any] = {"mechanism": "categorical", "levels": ["S", "M", "L"], "parameters": {"probabilities": [0.3, 0.3, 0.4]}}
R: dict[str, Any] = {"mechanism": "gaussian", "parameters": {"intercept": 40.0, "scale": 9.0, "weights": {}}}
S: dict[str, Any] = {"mechanism": "gaussian", "parameters": {"intercept": -3.0, "scale": 0.5, "weights": {}}}
WEIGHTS = {"a=yes": 0.5, "r": 0.03, "s": -0.4, "a=yes:r": -0.05, "r:s": 0.02, "a=yes:b=L": 0.6}
GROUPS = [["a", "r"], ["r", "s"], ["a", "b"]]


def spec_of(parameters: dict[str, Any] | None, groups: list[list[str]] = GROUPS) -> Any:
    y = {"mechanism": {"family": "gaussian", "interactions": groups}, "parents": ["a", "b", "r", "s"], "parameters": parameters}
    return declare({"a": A, "b": B, "r": R, "s": S, "y": y})


def test_weights_of_products_are_recovered_in_the_columns_own_units() -> None:
    truth = {"intercept": 1.0, "weights": WEIGHTS, "scale": 0.5}
    columns = people(SCM(spec_of(truth)), 20_000)
    raw = cast("Any", learn(spec_of(None), columns).parameters_in_units()["y"])
    error = {"a=yes:r": 0.0008, "r:s": 0.0008, "a=yes:b=L": 0.018}  # about 2σ/(√n·sd), of an indicator's product 2.5 times as much
    for name, each in error.items():
        assert abs(raw["weights"][name] - WEIGHTS[name]) < 5 * each, name


def test_the_effect_of_an_attribute_differs_by_what_it_interacts_with() -> None:
    scm = SCM(spec_of({"intercept": 1.0, "weights": WEIGHTS, "scale": 0.5}))
    factual = simulate(scm, 300)
    no, yes = (counterfactual(scm, factual, {"a": level}).values for level in ("no", "yes"))
    expected = 0.5 - 0.05 * factual.values["r"] + 0.6 * (factual.values["b"] == 2).double()
    torch.testing.assert_close(yes["y"] - no["y"], expected, rtol=1e-12, atol=1e-12)


def test_a_product_is_centred_only_where_the_terms_that_take_it_up_are_declared() -> None:
    a, r, s = Parent("a", ("no", "yes")), Parent("r", (), Unit(2.0, 4.0)), Parent("s", (), Unit(-1.0, 0.5))
    mains = [Term([a]), Term([r]), Term([s])]
    full, scale = folding([*mains, Term([r, s])], centered=True, products=True)
    assert scale.tolist() == [1.0, 4.0, 0.5, 2.0]
    # (r − 2)(s + 1)/2 = 1/2·r·s + 1/2·r − s − 1
    assert full[4].tolist() == [-1.0, 0.0, 0.5, -1.0, 0.5]
    lone, _ = folding([*mains, Term([a, r, s])], centered=True, products=True)  # a·r and a·s are not declared
    assert lone[4].tolist() == [0.0, 0.0, 0.0, 0.0, 0.5]


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_a_latents_effect_may_differ_by_group(family: str) -> None:
    u = {"mechanism": "gaussian", "latent": True}
    y = {
        "mechanism": {"family": family, "interactions": [["a", "u"]]},
        "parents": ["a", "u"],
        "levels": ["0", "1"] if family == "bernoulli" else [],
        "parameters": {"intercept": 0.1, "weights": {"u": 0.5, "a=yes:u": 0.4}},
    }
    mechanism = SCM(declare({"a": A, "u": u, "y": y})).mechanisms["y"]
    latent = torch.linspace(-2, 2, 5).double()
    eta = cast("Any", mechanism).index({"a": torch.ones(5).double(), "u": latent}).squeeze(-1)
    torch.testing.assert_close(eta, 0.1 + 0.9 * latent)


@pytest.mark.parametrize("shapes", [[(60,)] * 4, [(3, 60)] * 4, [(3, 60), (1, 60), (3, 1), (1, 1)]])
def test_sums_made_in_place_of_plain_numbers_are_those_that_gradients_pass_through(shapes: list[tuple[int, ...]]) -> None:
    source = torch.Generator().manual_seed(0)
    linear = cast("Any", SCM(spec_of(None), {"r": Unit(40.0, 9.0), "s": Unit(-3.0, 0.5)}).mechanisms["y"]).linear
    linear.weights.data = torch.randn(linear.weights.shape, generator=source, dtype=torch.float64)
    linear.intercept.data = torch.randn(1, generator=source, dtype=torch.float64)
    levels = {"a": 2, "b": 3, "r": 5, "s": 7}
    values = {
        name: torch.randint(count, shape, generator=source).double() for (name, count), shape in zip(levels.items(), shapes, strict=True)
    }
    kept = {name: value.clone() for name, value in values.items()}
    (eta,) = linear.outputs(values)
    (located,) = linear.located(values, 2.0, -3.0)
    torch.testing.assert_close(located, 2.0 - 3.0 * eta, rtol=1e-12, atol=1e-12)
    assert located.shape == torch.broadcast_shapes(*shapes)
    assert all(torch.equal(values[name], value) for name, value in kept.items())
