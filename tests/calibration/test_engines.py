"""Which engine is calibrated on which kind of model: the table in ``engines.py``, computed."""

import os
from typing import Any

import pytest
import torch

from cfair import calibrate
from cfair.calibration.calibrating import DRAWS
from cfair.calibration.places import Learner, places_of
from cfair.calibration.records import ranked
from cfair.inference import learn
from cfair.inference.engines import CALIBRATED, kind_of
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec

from oracles import declare

pytestmark = pytest.mark.slow

SIMULATIONS = int(os.environ.get("CFAIR_SIMULATIONS", "400"))
CHAINS = int(os.environ.get("CFAIR_NUTS_SIMULATIONS", "0"))  # chains take seconds per table: by hand only
ROWS = 100
A = {"mechanism": "table", "levels": ["no", "yes"], "prior": 5.0}
WEAK: dict[str, Any] = {"intercept": {"normal": 1.0}, "weights": {"normal": 1.0}}
APART: dict[str, Any] = {"intercept": {"normal": 1.0}, "weights": {"normal": [2.0, 0.5]}}  # levels of a latent that data tell apart
SCALE: dict[str, Any] = {"variance": {"inverse_gamma": [4, 3]}}
LATENT = {"mechanism": "gaussian", "latent": True}


def real(parents: list[str], prior: dict[str, Any] = WEAK) -> dict[str, Any]:
    return {"mechanism": "gaussian", "parents": parents, "prior": prior | SCALE}


MODELS = {
    "no latent": declare({"a": A, "y": real(["a"])}),
    "one latent": declare({"a": A, "k": LATENT, "g": real(["a", "k"]), "h": real(["k"]), "y": real(["a", "k"])}),
    "several latents": declare(
        {
            "a": A,
            "k": LATENT,
            "m": LATENT,
            **{name: real([latent]) for name, latent in (("g", "k"), ("h", "k"), ("b", "m"), ("d", "m"))},
            "y": real(["a", "k", "m"]),
        }
    ),
    "latent with levels": declare(
        {
            "a": A,
            "k": {"mechanism": "categorical", "latent": True, "levels": ["r", "s"], "prior": WEAK},
            "g": real(["k"], APART),
            "h": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parents": ["k"], "prior": APART},
            "y": real(["a", "k"], APART),
        }
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_quadrature_with_laplace_draws_is_calibrated_where_the_table_says_so(kind: str) -> None:
    spec = MODELS[kind]
    assert kind_of(spec) == kind
    found = calibrate(spec, simulations=SIMULATIONS, n=ROWS)
    assert found.calibrated == (kind in CALIBRATED["quadrature"]), found.to_json()


@pytest.mark.skipif(not CHAINS, reason="chains take seconds per table: CFAIR_NUTS_SIMULATIONS=400 runs them")
@pytest.mark.parametrize("kind", MODELS)
def test_chains_are_calibrated_where_the_table_says_so(kind: str) -> None:
    found = calibrate(MODELS[kind], simulations=CHAINS, n=ROWS, engine="nuts")
    assert found.calibrated == (kind in CALIBRATED["nuts"]), found.to_json()


def narrowed(spec: ModelSpec, share: float) -> Learner:
    """Laplace draws whose distance from the most probable parameters is cut to a share."""

    def learner(columns: Columns, seed: int) -> SCM:
        scm = learn(spec, columns, units={}, uncertainty="laplace", parameter_draws=DRAWS["laplace"], seed=seed)
        uncertain = scm.uncertainty
        assert uncertain is not None
        for own in uncertain.draws.values():
            for draws in own.values():
                mean = draws.mean(0)
                draws.copy_(mean + share * (draws - mean))
        return scm

    return learner


def test_draws_of_a_latents_children_that_are_too_narrow_are_found() -> None:
    spec, found = MODELS["one latent"], dict[str, list[float]]()
    for k in range(200):
        for name, place in places_of(spec, narrowed(spec, 0.7), ROWS, {}, seed=1_000 * k)[0].items():
            found.setdefault(name, []).append(place)
    worst = min(ranked(name, torch.tensor(places)).p for name, places in found.items())
    assert worst * len(found) < 1e-3
