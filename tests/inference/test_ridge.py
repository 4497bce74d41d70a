"""Draws along a ridge against a long ensemble of chains, closed forms, and what must be refused."""

import math

import numpy as np
import pytest
import torch

from cfair.errors import FitError
from cfair.inference import learn
from cfair.inference.atlas import survey
from cfair.inference.chains import r_hat
from cfair.inference.conventions import is_oriented
from cfair.inference.log_posterior import log_posteriors
from cfair.inference.straight import loadings_of, straight
from cfair.inference.tops import Place, climbed, top_given
from cfair.interfaces import Columns
from cfair.pipeline import Options, fit
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.uncertainty import Uncertainty

from chains import chains_of_a_confounded_pair
from oracles import columns_of, declare

LATENT = "x <-> y"
SPEC = ModelSpec.model_validate(
    {
        "protected": ["a"],
        "outcome": "y",
        "confounded": [["x", "y"]],
        "nodes": {
            "a": {"mechanism": "table", "levels": ["no", "yes"]},
            "x": {"mechanism": "gaussian", "parents": ["a"]},
            "y": {"mechanism": "gaussian", "parents": ["a", "x"]},
        },
    }
)

TIGHT = ModelSpec.model_validate(  # its intercepts are known, and its priors narrow
    {
        "protected": ["a"],
        "outcome": "y",
        "confounded": [["x", "y"]],
        "nodes": {
            "a": {"mechanism": "table", "levels": ["no", "yes"]},
            "x": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0}, "prior": {"weights": {"normal": 1.0}}},
            "y": {"mechanism": "gaussian", "parents": ["a", "x"], "parameters": {"intercept": 0.0}, "prior": {"weights": {"normal": 1.0}}},
        },
    }
)


def confounded(n: int, *, seed: int) -> Columns:
    """People of a model in which x moves y by 0.5, and a hidden cause moves both by 0.8."""
    source = torch.Generator().manual_seed(seed)
    u, own, other = torch.randn(3, n, generator=source, dtype=torch.float64)
    a = (torch.rand(n, generator=source) < 0.5).double()
    x = a + 0.8 * u + own
    return columns_of({"a": a, "x": x, "y": 0.5 * a + 0.5 * x + 0.8 * u + other})


@pytest.fixture(scope="module")
def small() -> tuple[SCM, Columns]:
    columns = confounded(30, seed=2)
    return learn(SPEC, columns), columns


def test_derivatives_in_straight_coordinates_are_those_of_differences(small: tuple[SCM, Columns]) -> None:
    (density,) = log_posteriors(*small)
    loadings = loadings_of(small[0], density, [LATENT])
    assert [(density.names[place], node) for place, node in loadings.items()] == [
        ("x.linear.weights[1]", "x"),
        ("y.linear.weights[2]", "y"),
    ]
    bent = straight(density, loadings)
    phi = bent.to_phi(density.start) + 0.05
    torch.testing.assert_close(bent.to_phi(bent.to_theta(phi)), phi)
    _, slope = bent.value_and_slope(phi)
    steps = 1e-5 * torch.eye(len(phi), dtype=torch.float64)
    slopes = torch.tensor(
        [(bent.value_and_slope(phi + step)[0] - bent.value_and_slope(phi - step)[0]) / 2e-5 for step in steps], dtype=torch.float64
    )
    torch.testing.assert_close(slopes, slope, atol=1e-5, rtol=1e-5)
    bends = torch.stack([(bent.value_and_slope(phi + step)[1] - bent.value_and_slope(phi - step)[1]) / 2e-5 for step in steps])
    torch.testing.assert_close(bends, bent.hessian(phi, slope), atol=1e-4, rtol=1e-5)


class Banana:
    """log p = −(x/3)²/2 − ((y − x²)/0.01)²/2 of φ = (x, y)."""

    def value_and_slope(self, phi: torch.Tensor) -> tuple[float, torch.Tensor]:
        x, miss = phi[0], (phi[1] - phi[0] ** 2) / 1e-4
        return float(-(x**2) / 18 - miss**2 * 1e-4 / 2), torch.stack([-x / 9 + 2 * x * miss, -miss])

    def hessian(self, phi: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        x = phi[0]
        own = -1 / 9 + 2 * (phi[1] - 3 * x**2) / 1e-4
        return torch.stack([torch.stack([own, 2 * x / 1e-4]), torch.stack([2 * x / 1e-4, torch.tensor(-1e4, dtype=torch.float64)])])


def test_a_survey_follows_a_ridge_of_known_course() -> None:
    """Given x the top is at x², with sd 0.01, however far from the straight line on which it began."""
    held, zero = torch.tensor([True, False]), torch.zeros(2, dtype=torch.float64)
    atlas = survey(Banana(), zero, held, accept=lambda phi: True, signs=torch.ones(1, 2, dtype=torch.float64))
    x = torch.linspace(-9, 9, 31, dtype=torch.float64)
    at = torch.linalg.solve(atlas.stretch, (x - atlas.center).unsqueeze(0)).T
    assert float(at.min()) > float(atlas.places.min())
    assert float(at.max()) < float(atlas.places.max())
    phi, volume = atlas.carried(at, torch.ones(31, 1, dtype=torch.float64))
    torch.testing.assert_close(phi[:, 0], x)
    torch.testing.assert_close(phi[:, 1], x**2 + 0.01, atol=1e-3, rtol=0)
    torch.testing.assert_close(volume, torch.full((31,), math.log(0.01 * abs(float(atlas.stretch))), dtype=torch.float64))


class Level:
    """log p = −|φ|²/2: a ridge of sd 1 in as many dimensions as are held."""

    def __init__(self) -> None:
        self.asked = 0

    def value_and_slope(self, phi: torch.Tensor) -> tuple[float, torch.Tensor]:
        return -float(phi @ phi) / 2, -phi

    def hessian(self, phi: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        return -torch.eye(len(phi), dtype=torch.float64)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_a_ridge_that_some_places_hold_is_explored(dimensions: int) -> None:
    """Steps of 0.6: of the lattice π·18/0.36 = 157 places in the plane lie down to 9 nats."""
    held, zero = torch.arange(dimensions + 1) < dimensions, torch.zeros(dimensions + 1, dtype=torch.float64)
    signs = torch.ones(1, dimensions + 1, dtype=torch.float64)
    atlas = survey(Level(), zero, held, accept=lambda phi: True, signs=signs)
    expected = {1: 2 * 18**0.5 / 0.6, 2: math.pi * 18 / 0.36}[dimensions]
    assert len(atlas.places) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("dimensions", [4, 5])
def test_a_ridge_of_too_many_dimensions_is_left_early(dimensions: int) -> None:
    """In five, 12,000 places of the lattice lie down to 4 nats: 20 of them tell so."""
    density, held = Level(), torch.arange(dimensions + 1) < dimensions
    zero, signs = torch.zeros(dimensions + 1, dtype=torch.float64), torch.ones(1, dimensions + 1, dtype=torch.float64)
    with pytest.raises(FitError, match=rf"after \d\d places in {dimensions} dimensions .* nats below the top. Give priors"):
        survey(density, zero, held, accept=lambda phi: True, signs=signs)
    assert density.asked < 200


def test_a_place_without_a_top_is_refused() -> None:
    class Slope:
        def value_and_slope(self, phi: torch.Tensor) -> tuple[float, torch.Tensor]:
            return float(phi.sum()), torch.ones_like(phi)

        def hessian(self, phi: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
            return torch.zeros(2, 2, dtype=torch.float64)

    with pytest.raises(FitError, match="no top of the other parameters"):
        top_given(Slope(), torch.zeros(2, dtype=torch.float64), torch.tensor([True, False]))


@pytest.mark.parametrize("height", [math.inf, -math.inf, math.nan])
def test_a_place_where_the_density_is_no_number_is_no_top_and_its_curvature_is_not_asked_for(height: float) -> None:
    """So narrow a density has matrices without an inverse there: to ask for their derivatives would end the whole diagnosis."""

    class Spike:
        def value_and_slope(self, phi: torch.Tensor) -> tuple[float, torch.Tensor]:
            return height, torch.zeros_like(phi)

        def hessian(self, phi: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
            raise torch.linalg.LinAlgError("singular")  # type: ignore[attr-defined]

    start, held = torch.zeros(2, dtype=torch.float64), torch.tensor([True, False])
    one = torch.ones(1, 1, dtype=torch.float64)
    with pytest.raises(FitError, match="no top of the other parameters"):
        top_given(Spike(), start, held)
    assert climbed(Spike(), start, held, Place(start, one, one, one, 0.0)) is None


def test_draws_around_the_top_of_a_ridge_have_a_k_hat_that_is_not_to_be_trusted() -> None:
    """By the weights alone it was 0.45 at 1,000 rows and this seed: of 400 draws none reached the other two thirds of the ridge."""
    uncertain = learn(SPEC, confounded(100, seed=0), uncertainty="laplace").uncertainty
    assert uncertain is not None
    assert max(uncertain.k_hat.values()) >= 1 > uncertain.largest_k


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_interval_of_a_confounded_effect_is_that_of_long_chains(seed: int) -> None:
    """Quantiles, mean and sd within five Monte Carlo standard errors; the normal approximation's sd is a third of the truth."""
    columns = confounded(1_000, seed=seed)
    scm = learn(SPEC, columns, uncertainty="ridge", parameter_draws=2_000, seed=seed)
    assert scm.uncertainty is not None
    (k_hat,) = scm.uncertainty.k_hat.values()
    assert k_hat < 0.5
    a, x, y = (columns[node].numpy() for node in ("a", "x", "y"))
    chains = chains_of_a_confounded_pair(a, x, y, steps=16_000, seed=seed)
    drawn = [scm.uncertainty.draws[node]["linear.weights"][:, 0, place] for node, place in (("y", 1), ("x", 1), ("y", 2))]
    worth = min(scm.uncertainty.ess.values())
    assert worth > 800
    for own, draws in zip(np.moveaxis(chains, 2, 0), drawn, strict=True):
        assert r_hat(torch.from_numpy(own.T.copy())) < 1.01
        error = own.std() / worth**0.5
        assert abs(float(draws.mean()) - own.mean()) < 5 * error
        assert float(draws.std()) == pytest.approx(own.std(), rel=5 / (2 * worth) ** 0.5)
        for p in (0.025, 0.25, 0.5, 0.75, 0.975):
            below = float((draws <= np.quantile(own, p)).double().mean())
            assert abs(below - p) < 5 * (p * (1 - p) / worth) ** 0.5
    near = learn(SPEC, columns, uncertainty="laplace", parameter_draws=400, seed=seed).uncertainty
    assert near is not None
    w = near.draws["y"]["linear.weights"][:, 0, 1]
    assert float((near.weights @ (w - near.weights @ w).square()).sqrt()) < chains[:, :, 0].std() / 2
    assert max(near.k_hat.values()) > near.largest_k


def test_a_loading_that_shares_a_variance_is_drawn_as_a_grid_says() -> None:
    """x = λ·k + σ·e with nothing else to be learned of it: only λ² + σ² is known, and the priors part it."""
    prior = {"weights": {"normal": 1.0}, "variance": {"inverse_gamma": [2, 0.3]}}
    x = {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0}, "prior": prior}
    y = {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "scale": 1.0, "weights": {}}}
    a = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}}
    spec = declare({"a": a, "k": {"mechanism": "gaussian", "latent": True}, "x": x, "y": y})
    seen = torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scm = learn(spec, columns_of({"a": torch.arange(200) % 2, "x": seen, "y": seen}), units={}, uncertainty="ridge", parameter_draws=500)
    uncertain = scm.uncertainty
    assert uncertain is not None
    loading, scale = torch.linspace(-1.6, 1.6, 1_601, dtype=torch.float64), torch.linspace(-3, 0.5, 1_751, dtype=torch.float64).exp()
    variance = loading.unsqueeze(1).square() + scale.square()
    log_p = -100 * variance.log() - seen.square().sum() / 2 / variance - loading.unsqueeze(1).square() / 2
    log_p = log_p - 4 * scale.log() - 0.3 / scale.square()  # InverseGamma(2, 0.3) of σ² on the scale of log σ
    grid = log_p.flatten().softmax(0).reshape(log_p.shape)
    draws, (k_hat,) = uncertain.draws["x"]["linear.weights"].flatten(), uncertain.k_hat.values()
    worth = min(uncertain.ess.values())
    assert k_hat < 0.5
    assert worth > 200
    assert bool((draws >= 0).all())
    for power in (1, 2):
        exact, square = (float(grid.sum(1) @ loading.abs() ** (power * k)) for k in (1, 2))
        assert float((draws**power).mean()) == pytest.approx(exact, abs=5 * ((square - exact**2) / worth) ** 0.5)
    for p in (0.05, 0.25, 0.5, 0.75, 0.95):
        quantile = float(loading[800:][(2 * grid.sum(1)[800:]).cumsum(0) >= p][0])
        assert float((draws <= quantile).double().mean()) == pytest.approx(p, abs=5 * (p * (1 - p) / worth) ** 0.5)


@pytest.mark.slow
def test_auto_draws_along_the_ridge_where_a_latent_has_too_few_children() -> None:
    """At 40 rows: what is drawn, what it says of itself, and that a folder keeps it."""
    columns = confounded(40, seed=2)
    run = fit(TIGHT, columns, Options(predictors=("constant",), draws=1))
    uncertain = run.scm.uncertainty
    assert uncertain is not None
    assert (uncertain.method, uncertain.weighed, uncertain.count) == ("ridge", 2_000, 64)
    assert torch.equal(uncertain.weights, torch.full((64,), 1 / 64, dtype=torch.float64))
    assert all(is_oriented(run.scm.drawn(s), ("x", "y", LATENT)) for s in range(10))
    again = Uncertainty.from_tensors(uncertain.to_tensors())
    assert (again.weighed, again.largest_k) == (2_000, uncertain.largest_k)
    said = {each.name: each for each in run.report.assumptions}["point_estimates"]
    assert "importance sampling along the ridge" in said.text
    assert "drawn anew from 2,000 weighted points" in str(said.tested)


def test_a_ridge_that_cannot_be_drawn_from_is_refused_and_auto_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.inference.atlas.MOST", 2)
    columns = confounded(40, seed=2)
    with pytest.raises(FitError, match=r"uncertainty of x <-> y, x, y: after 2 places .* Give priors, or fix a loading"):
        learn(TIGHT, columns, uncertainty="ridge")
    run = fit(TIGHT, columns, Options(predictors=("constant",), draws=1))
    assert run.scm.uncertainty is None
    said = {each.name: each.text for each in run.report.assumptions}
    assert "none were drawn, as after 2 places" in said["engine"]
