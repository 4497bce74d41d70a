"""Weighted draws of the parameters against posteriors that are known otherwise."""

import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from cfair.errors import FitError, QueryError
from cfair.inference import learn
from cfair.inference.conventions import is_oriented
from cfair.inference.laplace import draw_normal
from cfair.inference.log_posterior import log_posteriors
from cfair.inference.parameter_draws import images, resampled
from cfair.inference.pareto import tail_shape
from cfair.interfaces import Columns
from cfair.mechanisms.table import Table  # noqa: TC001
from cfair.scm import SCM
from cfair.uncertainty import Uncertainty

from oracles import columns_of, declare, factor, people

A = {"mechanism": "table", "levels": ["no", "yes"]}
KNOWN = {"intercept": 0.0, "scale": 1.0}
N = 40


def linear(*, scale: float | None) -> tuple[SCM, Columns]:
    """y = b + w·x + σ·u with priors b, w ~ Normal(0, 2), σ² ~ InverseGamma(3, 2), learned from 40 rows, with 512 draws."""
    prior = {"intercept": {"normal": 2.0}, "weights": {"normal": 2.0}, "variance": {"inverse_gamma": [3, 2]}}
    y = {"mechanism": "gaussian", "parents": ["x"], "prior": prior, "parameters": {} if scale is None else {"scale": scale}}
    spec = declare({"a": A, "x": {"mechanism": "gaussian", "parameters": KNOWN}, "y": y})
    source = torch.Generator().manual_seed(0)
    x, u = torch.randn(2, N, generator=source, dtype=torch.float64)
    columns = columns_of({"a": (x > 0).double(), "x": x, "y": 0.5 - x + u})
    return learn(spec, columns, units={}, uncertainty="laplace", parameter_draws=512), columns


def moments(uncertain: Uncertainty, *path: str) -> tuple[Tensor, Tensor]:
    """Weighted mean and covariance of some parameters of ``y``, flattened side by side."""
    values = torch.cat([uncertain.draws["y"][name].reshape(uncertain.count, -1) for name in path], 1)
    mean = uncertain.weights @ values
    centred = values - mean
    return mean, centred.T @ (uncertain.weights.unsqueeze(1) * centred)


def test_a_normal_posterior_is_drawn_with_its_mean_and_covariance() -> None:
    scm, columns = linear(scale=1.0)
    uncertain = scm.uncertainty
    assert uncertain is not None
    mean, covariance = moments(uncertain, "linear.intercept", "linear.weights")
    design = torch.stack([torch.ones(N, dtype=torch.float64), columns["x"]], 1)
    precision = design.T @ design + torch.eye(2, dtype=torch.float64) / 4
    exact = torch.linalg.inv(precision)
    torch.testing.assert_close(mean, exact @ design.T @ columns["y"], atol=0.01, rtol=0)
    torch.testing.assert_close(covariance, exact, atol=0.003, rtol=0.1)
    assert uncertain.k_hat["y"] < 0.3
    assert min(uncertain.ess.values()) > 0.9 * uncertain.count


def test_a_skew_posterior_is_mended_by_the_weights() -> None:
    scm, columns = linear(scale=None)
    uncertain = scm.uncertainty
    assert uncertain is not None
    draws, w = uncertain.draws["y"]["log_scale"], uncertain.weights
    sigma = torch.linspace(0.4, 2.2, 4_001, dtype=torch.float64)
    design = torch.stack([torch.ones(N, dtype=torch.float64), columns["x"]], 1)
    marginal = 4 * design @ design.T + sigma.square().reshape(-1, 1, 1) * torch.eye(N, dtype=torch.float64)  # b, w integrated out
    y = columns["y"]
    log_p = -(torch.logdet(marginal) + (torch.linalg.solve(marginal, y.expand(len(sigma), N)) @ y)) / 2
    log_p = log_p - 2 * 4 * sigma.log() - 2 / sigma.square() + sigma.log()  # InverseGamma(3, 2) of σ², on the scale of σ
    grid = log_p.softmax(0)
    exact_mean = float(grid @ sigma.log())
    exact_sd = float((grid @ (sigma.log() - exact_mean).square()).sqrt())
    mean = float(w @ draws)
    assert abs(mean - exact_mean) < 0.05 * exact_sd
    assert abs(float((w @ (draws - mean).square()).sqrt()) / exact_sd - 1) < 0.05
    assert abs(float(draws.mean()) - exact_mean) > 0.1 * exact_sd  # without weights it is not right


def test_tables_are_drawn_from_their_dirichlet_posterior() -> None:
    spec = declare({"a": {**A, "prior": 2.0}, "y": {"mechanism": "gaussian", "parents": ["a"], "parameters": KNOWN | {"weights": {}}}})
    a = torch.tensor([0.0] * 6 + [1.0] * 2)
    uncertain = learn(spec, columns_of({"a": a, "y": a}), uncertainty="laplace", parameter_draws=20_000).uncertainty
    assert uncertain is not None
    p = uncertain.draws["a"]["probabilities"][:, 0, 1]  # Beta(4, 8)
    error = math.sqrt(4 * 8 / (12**2 * 13))
    assert abs(float(p.mean()) - 4 / 12) < 5 * error / 20_000**0.5
    assert abs(float(p.std()) / error - 1) < 5 / (2 * 20_000) ** 0.5
    assert torch.equal(uncertain.log_weights, torch.full((20_000,), -math.log(20_000), dtype=torch.float64))


def test_a_level_without_rows_and_without_prior_keeps_probability_0() -> None:
    node = declare({"a": {**A, "levels": ["p", "q", "r"], "prior": 0}, "y": {"mechanism": "gaussian", "parents": ["a"]}})
    table = cast("Table", SCM(node).mechanisms["a"])
    draws = table.posterior_draws(torch.tensor([0.0, 1.0, 1.0]), {}, count=100, source=torch.Generator().manual_seed(0))
    assert bool((draws["probabilities"][:, 0, 2] == 0).all())
    torch.testing.assert_close(draws["probabilities"].sum(-1), torch.ones(100, 1, dtype=torch.float64))


@pytest.fixture(scope="module")
def weak() -> tuple[SCM, Columns]:
    """A latent whose loadings the data hardly tell from 0, learned with draws."""
    truth = factor([0.5, 0.4, 0.3], [1.0, 1.0, 1.0])
    columns = people(SCM(truth), 12, seed=4)
    prior = {"intercept": {"normal": 1.0}, "weights": {"normal": 1.0}, "variance": {"inverse_gamma": [4, 3]}}
    nodes = {name: {**node.model_dump(warnings=False), "parameters": None} for name, node in truth.nodes.items()}
    nodes |= {name: {**node, "prior": prior} for name, node in nodes.items() if name.startswith("x")}
    return learn(declare(nodes), columns, units={}, uncertainty="laplace"), columns


def test_no_draw_breaks_the_convention_on_a_latents_sign(weak: tuple[SCM, Columns]) -> None:
    scm, _ = weak
    assert scm.uncertainty is not None
    draws = [scm.drawn(s) for s in range(scm.uncertainty.count)]
    assert all(is_oriented(draw, ("k", "x0", "x1", "x2")) for draw in draws)
    density = log_posteriors(scm, weak[1])[-1]
    free = draw_normal(density, count=200, accept=lambda thetas: torch.ones(len(thetas), dtype=torch.bool), seed=0)
    kept = [is_oriented(scm.at(density.free.unpack(theta)), density.nodes) for theta in free.thetas.unbind(0)]
    assert not all(kept)  # without the convention some would


def test_images_of_a_turned_latent_keep_the_density_and_those_of_sorted_levels_the_likelihood(weak: tuple[SCM, Columns]) -> None:
    density = log_posteriors(*weak)[-1]
    same, turned = images(weak[0], density)
    torch.testing.assert_close(same, torch.eye(len(density.start), dtype=torch.float64))
    torch.testing.assert_close(turned @ turned, same)
    moved = density.start + 0.1
    assert density.value(turned @ moved) == pytest.approx(density.value(moved), abs=1e-8)
    assert not torch.equal(turned @ moved, moved)
    latent = {"mechanism": "categorical", "latent": True, "levels": ["r", "s", "t"]}
    g, y = ({"mechanism": "gaussian", "parents": parents} for parents in (["k"], ["a", "k"]))
    scm = SCM(declare({"a": A, "k": latent, "g": g, "y": y}))
    levels = log_posteriors(scm, people(scm, 20))[-1]
    theta = torch.linspace(-0.7, 0.9, len(levels.start), dtype=torch.float64)
    everyone = torch.arange(levels.log_likelihood.n)
    likelihoods = [levels.log_likelihood(levels.free.unpack(image @ theta), everyone).sum() for image in images(scm, levels)]
    assert len(likelihoods) == 6
    torch.testing.assert_close(torch.stack(likelihoods), likelihoods[0].expand(6))


def test_draws_depend_on_the_seed_alone_and_leave_the_callers_numbers(weak: tuple[SCM, Columns]) -> None:
    scm, columns = weak
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    again = learn(scm.spec, columns, units={}, uncertainty="laplace")
    other = learn(scm.spec, columns, units={}, uncertainty="laplace", seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert again.uncertainty is not None
    assert scm.uncertainty is not None
    assert other.uncertainty is not None
    name = "linear.weights"
    assert torch.equal(again.uncertainty.draws["x0"][name], scm.uncertainty.draws["x0"][name])
    assert not torch.equal(other.uncertainty.draws["x0"][name], scm.uncertainty.draws["x0"][name])


def test_a_density_that_does_not_fall_from_its_top_is_refused_with_its_directions(weak: tuple[SCM, Columns]) -> None:
    scm, columns = weak
    density = log_posteriors(scm, columns)[-1]
    saddle = density.start.clone()
    for place, name in enumerate(density.names):
        if "weights[1]" in name:
            saddle[place] = 0.0  # all loadings 0: the likelihood rises either way
    density.free.write(saddle)
    try:
        with pytest.raises(FitError, match=r"does not fall from its top along .*weights"):
            draw_normal(density, count=50, accept=lambda thetas: torch.ones(len(thetas), dtype=torch.bool), seed=0)
    finally:
        density.free.write(log_posteriors(scm, columns)[-1].start)


def test_an_scm_with_nothing_to_learn_has_draws_that_are_all_itself() -> None:
    scm = learn(factor([1.0], [1.0]), uncertainty="laplace")
    assert scm.uncertainty is not None
    assert scm.uncertainty.count == 64
    assert all(torch.equal(value, scm.drawn(3).state_dict()[name]) for name, value in SCM(scm.spec).state_dict().items())


@pytest.mark.parametrize(
    ("asked", "mend"),
    [
        ({"uncertainty": "laplce"}, "laplace"),
        ({"uncertainty": "laplace", "parameter_draws": 10}, "Use 50"),
        ({"uncertainty": "laplace", "engine": "nuts"}, "engine='auto'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(asked: Any, mend: str) -> None:
    with pytest.raises(QueryError, match=mend):
        learn(factor([1.0], [1.0]), **asked)


@pytest.mark.parametrize("k", [0.2, 0.5, 0.8])
def test_the_shape_of_pareto_weights_is_found(k: float) -> None:
    uniform = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    log_weights = torch.log1p(torch.expm1(-k * torch.log1p(-uniform)) / k)  # quantiles of 1 + a generalised Pareto of shape k
    found, _ = tail_shape(log_weights.unsqueeze(1))
    assert float(found) == pytest.approx(k, abs=0.06)


def test_draws_of_many_parts_weigh_the_same() -> None:
    """Each part is drawn anew by its own weights: a product of a dozen would leave hardly a draw."""
    nodes = {f"x{j}": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parents": ["a"]} for j in range(12)}
    spec = declare({"a": {"mechanism": "bernoulli", "levels": ["no", "yes"]}, **nodes, "y": {"mechanism": "gaussian", "parents": ["a"]}})
    source = torch.Generator().manual_seed(0)
    columns = columns_of({name: torch.randint(0, 2, (60,), generator=source).double() for name in spec.nodes})
    uncertain = learn(spec, columns, uncertainty="laplace", parameter_draws=200).uncertainty
    assert uncertain is not None
    assert torch.equal(uncertain.weights, torch.full((200,), 1 / 200, dtype=torch.float64))
    draws = uncertain.draws["x0"]["linear.intercept"]
    assert len(draws.unique()) > 100


def test_resampled_draws_have_the_weighted_mean() -> None:
    values = torch.randn(2_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_weights = (0.5 * values).log_softmax(0)
    chosen = values[resampled(log_weights, seed=0)]
    assert float(chosen.mean()) == pytest.approx(float(log_weights.exp() @ values), abs=0.03)
