"""Real nodes whose scale depends on their parents, and real nodes with heavy tails."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.special import stdtr
from scipy.stats import t

from cfair import learn
from cfair.scm import SCM
from cfair.worlds import counterfactual, simulate

from oracles import declare, people

A: dict[str, Any] = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.2, "weights": {}}}
C: dict[str, Any] = {"mechanism": "categorical", "levels": ["S", "M", "L"], "parameters": {"probabilities": [0.3, 0.3, 0.4]}}
R: dict[str, Any] = {"mechanism": "gaussian", "parameters": {"intercept": 40.0, "scale": 9.0, "weights": {}}}
SCALE_WEIGHTS = {"a=yes": 0.7, "c=M": -0.5, "c=L": 0.4, "r": 0.02}
KNOWN = {"intercept": 1.0, "weights": {"a=yes": 0.5, "r": 0.03}, "scale": 0.6, "scale_weights": SCALE_WEIGHTS}


def spread_spec(family: str, parameters: dict[str, Any] | None) -> Any:
    mechanism = {"family": family, "heteroscedastic": True}
    return declare({"a": A, "c": C, "r": R, "y": {"mechanism": mechanism, "parents": ["a", "c", "r"], "parameters": parameters}})


@pytest.mark.parametrize("family", ["gaussian", "student_t"])
def test_variances_by_group_are_recovered(family: str) -> None:
    known = {**KNOWN, "degrees": 5.0} if family == "student_t" else KNOWN
    columns = people(SCM(spread_spec(family, known)), 20_000)
    raw = cast("Any", learn(spread_spec(family, None), columns).parameters_in_units()["y"])
    error = {"a=yes": 0.012, "c=M": 0.016, "c=L": 0.015, "r": 0.0007}  # about 1/√(2n·share); a t's are larger by a third at most
    for name, truth in SCALE_WEIGHTS.items():
        assert abs(raw["scale_weights"][name] - truth) < 5 * error[name], name
    at_forty = raw["scale"] * np.exp(40 * raw["scale_weights"]["r"])
    assert at_forty == pytest.approx(0.6 * np.exp(0.8), rel=5 * 0.017)
    if family == "student_t":
        assert raw["degrees"] == pytest.approx(5.0, rel=5 * 0.05)


def test_groups_of_equal_variance_are_found_to_have_one() -> None:
    known = {**KNOWN, "scale_weights": {}}
    raw = cast("Any", learn(spread_spec("gaussian", None), people(SCM(spread_spec("gaussian", known)), 20_000)).parameters_in_units()["y"])
    assert abs(raw["scale_weights"]["a=yes"]) < 5 * 0.012


def test_a_person_of_another_group_keeps_their_place_in_a_wider_distribution() -> None:
    scm = SCM(spread_spec("gaussian", KNOWN))
    factual = simulate(scm, 200)
    moved = counterfactual(scm, factual, {"a": "yes"})
    r, u = factual.values["r"], factual.noise["y"]
    of_level = torch.tensor([0.0, -0.5, 0.4], dtype=torch.float64)[factual.values["c"].long()]
    log_scale = np.log(0.6) + 0.7 + 0.02 * r + of_level
    expected = 1.0 + 0.5 + 0.03 * r + log_scale.exp() * u
    torch.testing.assert_close(moved.values["y"], expected, rtol=1e-12, atol=1e-12)


def test_latents_move_the_location_and_not_the_scale() -> None:
    latent = {"mechanism": "gaussian", "latent": True}
    y = {"mechanism": {"family": "gaussian", "heteroscedastic": True}, "parents": ["u", "a"]}
    scm = SCM(declare({"a": A, "u": latent, "y": y}))
    mechanism = cast("Any", scm.mechanisms["y"])
    mechanism.linear.weights.data.fill_(0.7)
    mechanism.spread.weights.data.fill_(0.3)
    eta = mechanism.index({"u": torch.linspace(-3, 3, 9).double(), "a": torch.ones(9).double()})
    assert eta.shape == (9, 2)
    assert eta[:, 0].diff().min() > 0
    assert (eta[:, 1] == eta[0, 1]).all()
    assert list(mechanism.raw()["scale_weights"]) == ["a=yes"]


@pytest.mark.parametrize("degrees", [0.3, 1.0, 2.0, 2.5, 4.0, 10.0, 300.0])
def test_the_noise_of_a_uniform_number_is_its_t_quantile_in_both_tails(degrees: float) -> None:
    parameters = {"intercept": 0.0, "scale": 1.0, "weights": {}, "degrees": degrees}
    mechanism = SCM(declare({"a": A, "y": {"mechanism": "student_t", "parameters": parameters}})).mechanisms["y"]
    tail = torch.cat([torch.logspace(-16, -2, 60), torch.linspace(0.02, 0.5, 200)]).double().clamp(max=0.5)
    low, high = mechanism.noise(tail), mechanism.noise(1 - tail)
    spread = torch.from_numpy(t.pdf(low.numpy(), degrees)) * low.abs().clamp(min=1)
    assert ((torch.from_numpy(stdtr(degrees, low.numpy())) - tail).abs() <= 1e-12 * spread).all()  # an error below 1e-12 of the quantile
    exact = 1 - (1 - tail) == tail
    torch.testing.assert_close(high[exact], -low[exact], rtol=1e-12, atol=1e-12)


def test_one_wild_value_hardly_moves_a_heavy_tailed_regression() -> None:
    scm = SCM(spread_spec("gaussian", KNOWN))
    columns = people(scm, 2_000)
    columns.coded["y"][0] = 1e4

    def slope(family: str) -> float:
        spec = declare({"a": A, "c": C, "r": R, "y": {"mechanism": family, "parents": ["a", "c", "r"]}})
        return float(cast("Any", learn(spec, columns).parameters_in_units()["y"])["weights"]["a=yes"])

    assert slope("student_t") == pytest.approx(0.5, abs=0.3)
    assert abs(slope("gaussian") - 0.5) > 3
