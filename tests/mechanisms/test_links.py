"""Links from a linear predictor to a probability, in both tails."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.special import log_ndtr
from scipy.stats import norm

from cfair import learn
from cfair.mechanisms.cumulative import CumulativeProbit
from cfair.mechanisms.links import LINKS
from cfair.scm import SCM

from oracles import declare, people

R: dict[str, Any] = {"mechanism": "gaussian", "parameters": {"intercept": 0.0, "scale": 1.0, "weights": {}}}
A: dict[str, Any] = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}}


def test_each_link_gives_the_probability_of_the_textbook_and_back() -> None:
    eta = torch.linspace(-4, 3, 50, dtype=torch.float64)
    x = eta.numpy()
    textbook = {"logit": 1 / (1 + np.exp(-x)), "probit": norm.cdf(x), "cloglog": 1 - np.exp(-np.exp(x))}
    assert LINKS.keys() == textbook.keys()
    for name, link in LINKS.items():
        p = torch.sigmoid(link.log_odds(eta))
        np.testing.assert_allclose(p, textbook[name], rtol=1e-12)
        torch.testing.assert_close(link.predictor(p), eta, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", LINKS)
def test_log_odds_rise_and_stay_finite_and_smooth_however_far_out(name: str) -> None:
    far = [-1e200, -1e5, -800.0, -300.0, -40.0, -30.1, -29.9, -5.0, 0.0, 5.0, 36.0, 40.0, 300.0, 699.0, 1e5, 1e200]
    eta = torch.tensor(far, dtype=torch.float64, requires_grad=True)
    odds = LINKS[name].log_odds(eta)
    (slope,) = torch.autograd.grad(odds.sum(), eta)
    assert odds.isfinite().all()
    assert (odds.diff() >= 0).all()
    assert slope.isfinite().all()
    assert (slope >= 0).all()


def test_far_tails_are_those_of_their_asymptotes() -> None:
    eta = torch.tensor([-500.0, -100.0, -35.0], dtype=torch.float64)
    torch.testing.assert_close(LINKS["cloglog"].log_odds(eta), eta, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(LINKS["probit"].log_odds(eta), log_ndtr(eta.numpy()), rtol=1e-12)
    torch.testing.assert_close(LINKS["cloglog"].log_odds(-eta[1:2]), (-eta[1:2]).exp(), rtol=1e-14, atol=0)


@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_a_binary_node_is_learned_under_its_own_link(link: str) -> None:
    def spec(parameters: dict[str, Any] | None) -> Any:
        y = {"mechanism": {"family": "bernoulli", "link": link}, "levels": ["0", "1"], "parents": ["a", "r"], "parameters": parameters}
        return declare({"a": A, "r": R, "y": y})

    columns = people(SCM(spec({"intercept": -0.3, "weights": {"a=yes": 0.6, "r": 0.8}})), 20_000)
    raw = cast("Any", learn(spec(None), columns).parameters_in_units()["y"])
    for name, truth in {"a=yes": 0.6, "r": 0.8}.items():
        assert abs(raw["weights"][name] - truth) < 5 * 0.022, name
    assert abs(raw["intercept"] + 0.3) < 5 * 0.016


def test_an_ordered_node_is_learned_under_a_probit() -> None:
    def spec(parameters: dict[str, Any] | None) -> Any:
        y = {"mechanism": {"family": "ordinal", "link": "probit"}, "levels": ["l", "m", "h"], "parents": ["r"], "parameters": parameters}
        return declare({"a": A, "r": R, "y": y})

    columns = people(SCM(spec({"cutpoints": [-0.5, 0.9], "weights": {"r": 0.7}})), 20_000)
    raw = cast("Any", learn(spec(None), columns).parameters_in_units()["y"])
    assert abs(raw["weights"]["r"] - 0.7) < 5 * 0.011
    assert raw["cutpoints"] == pytest.approx([-0.5, 0.9], abs=5 * 0.012)


def test_probit_steps_keep_their_probability_far_out_and_when_thin() -> None:
    location = torch.tensor([-30.0, -5.0, 0.0, 5.0, 30.0], dtype=torch.float64, requires_grad=True)
    for log_step in (-40.0, -20.0, -15.0, -3.0, 1.0):
        step = float(np.exp(log_step))
        found = CumulativeProbit(location, torch.tensor([log_step], dtype=torch.float64)).log_prob(torch.ones(5, dtype=torch.float64))
        middle = step / 2 - location.detach().numpy()
        if log_step < -10:  # step times density
            np.testing.assert_allclose(found.detach(), log_step + norm.logpdf(middle), rtol=1e-6, atol=1e-6)
        (slope,) = torch.autograd.grad(found.sum(), location)
        assert slope.isfinite().all()
    three = CumulativeProbit(location.detach(), torch.tensor([0.3], dtype=torch.float64))
    total = sum(three.log_prob(torch.full((5,), float(level), dtype=torch.float64)).exp() for level in range(3))
    torch.testing.assert_close(total, torch.ones(5, dtype=torch.float64))
