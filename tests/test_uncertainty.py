"""Draws of the parameters travel with their SCM, and each draw is an SCM."""

import math

import pytest
import torch
from safetensors.torch import load, save

from cfair.errors import QueryError
from cfair.scm import SCM
from cfair.uncertainty import Uncertainty, trusted_k
from cfair.worlds import simulate

from oracles import declare

NODES = {
    "a": {"mechanism": "table", "levels": ["no", "yes"]},
    "x": {"mechanism": "gaussian", "parents": ["a"]},
    "y": {"mechanism": "gaussian", "parents": ["a", "x"], "parameters": {"intercept": 0.0, "scale": 1.0}},
}
S = 3


def uncertain() -> SCM:
    """An SCM with three draws of two of its nodes' parameters."""
    scm = SCM(declare(NODES))
    source = torch.Generator().manual_seed(0)
    draws = {
        "a": {"probabilities": torch.tensor([[[0.1, 0.9]], [[0.5, 0.5]], [[0.8, 0.2]]], dtype=torch.float64)},
        "x": {
            "linear.intercept": torch.randn(S, 1, generator=source, dtype=torch.float64),
            "linear.weights": torch.randn(S, 1, 1, generator=source, dtype=torch.float64),
            "log_scale": torch.randn(S, generator=source, dtype=torch.float64),
        },
    }
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    scm.uncertainty = Uncertainty("laplace", draws, weights.log(), k_hat={"x": 0.3, "k, y": math.inf}, ess={"x.log_scale[0]": 2.5})
    return scm


def test_a_draw_is_an_scm_at_those_parameters_and_leaves_the_first_as_it_was() -> None:
    scm = uncertain()
    before = {name: value.clone() for name, value in scm.state_dict().items()}
    draw = scm.drawn(2)
    assert scm.uncertainty is not None
    own = draw.state_dict()
    for path, name in (("0.probabilities", "probabilities"), ("1.linear.weights", "linear.weights"), ("1.log_scale", "log_scale")):
        node = "ax"[int(path[0])]
        torch.testing.assert_close(own[f"_modules_in_order.{path}"], scm.uncertainty.draws[node][name][2], rtol=0, atol=0)
    assert draw.spec is scm.spec
    assert draw.mechanisms["y"] is scm.mechanisms["y"]
    assert draw.uncertainty is None
    draw.get_parameter("_modules_in_order.1.linear.weights").data.mul_(5.0)
    assert all(torch.equal(value, before[name]) for name, value in scm.state_dict().items())


def test_worlds_of_a_draw_follow_its_parameters() -> None:
    scm = uncertain()
    world = simulate(scm.drawn(0), 20_000, seed=1)
    assert abs(float(world.values["a"].mean()) - 0.9) < 5 * 0.3 / 20_000**0.5


def test_draws_travel_with_the_state_dict_as_tensors() -> None:
    scm = uncertain()
    file = save({name: value.contiguous() for name, value in scm.state_dict().items()})
    other = SCM(scm.spec)
    other.load_state_dict(load(file))
    kept, found = scm.uncertainty, other.uncertainty
    assert kept is not None
    assert found is not None
    assert (found.method, found.k_hat, found.r_hat, found.ess) == (kept.method, kept.k_hat, kept.r_hat, kept.ess)
    assert (found.divergences, found.uncovered) == (kept.divergences, kept.uncovered)
    assert torch.equal(found.log_weights, kept.log_weights)
    assert {node: sorted(own) for node, own in found.draws.items()} == {node: sorted(own) for node, own in kept.draws.items()}
    assert all(torch.equal(found.draws[node][name], value) for node, own in kept.draws.items() for name, value in own.items())


def test_an_scm_without_draws_keeps_its_state_dict_and_forgets_draws_that_it_had() -> None:
    scm = uncertain()
    plain = SCM(scm.spec).state_dict()
    assert not [name for name in plain if "uncertainty" in name]
    scm.load_state_dict(plain)
    assert scm.uncertainty is None


def test_a_damaged_header_is_no_silent_loss() -> None:
    scm = uncertain()
    state = dict(scm.state_dict())
    state["uncertainty.header"] = state["uncertainty.header"][:-5]
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        SCM(scm.spec).load_state_dict(state)


@pytest.mark.parametrize("s", [-1, 3])
def test_a_draw_that_is_not_there_is_refused_with_the_range(s: int) -> None:
    with pytest.raises(QueryError, match="from 0 to 2"):
        uncertain().drawn(s)


def test_an_scm_without_draws_says_how_to_get_them() -> None:
    with pytest.raises(QueryError, match="uncertainty='laplace'"):
        SCM(declare(NODES)).drawn(0)


def test_few_draws_are_trusted_up_to_a_smaller_k_hat() -> None:
    assert trusted_k(100) == pytest.approx(0.5)
    assert trusted_k(10**6) == 0.7
