"""What may be given as evidence, and the sign of what is inferred from it."""

import pytest
import torch

from cfair.errors import QueryError
from cfair.inference import abduct, learn, posterior
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import simulate

from school import columns_of, people, school


def test_one_name_is_not_a_collection_of_them() -> None:
    scm, columns = people(school(), 20)
    for ask in (abduct, posterior):
        with pytest.raises(QueryError, match=r"Write given=\['grade'\]"):
            ask(scm, columns, given="grade")


def factor(children: dict[str, dict[str, object]], latent: dict[str, object]) -> ModelSpec:
    """One latent with three gaussian children without intercepts, beside a protected attribute that nothing depends on."""
    nodes: dict[str, dict[str, object]] = {
        "a": {"mechanism": "bernoulli", "levels": ["0", "1"], "parameters": {"intercept": 0, "weights": {}}},
        "k": {"mechanism": "gaussian", "latent": True, **latent},
    }
    nodes |= {child: {"mechanism": "gaussian", "parents": ["k"], **said} for child, said in children.items()}
    return ModelSpec.model_validate({"protected": ["a"], "outcome": "y", "nodes": nodes})


def drawn(loadings: dict[str, float], latent: dict[str, object]) -> dict[str, torch.Tensor]:
    children = {child: {"parameters": {"intercept": 0, "weights": {"k": w}, "scale": 0.5}} for child, w in loadings.items()}
    world = simulate(SCM(factor(children, latent)), 4_000)
    return {node: world.values[node][0] for node in ("a", *loadings)}


def learned(spec: ModelSpec, columns: dict[str, torch.Tensor]) -> list[float]:
    found = learn(spec, columns_of(columns)).parameters_in_units()
    return [float(found[child]["weights"]["k"]) for child in ("x", "z", "y")]  # type: ignore[index]


LOADINGS = {"x": -1.0, "z": -0.8, "y": -0.9}
ERROR = 5 * 0.02  # five standard errors of a loading, with 4,000 rows


def test_a_latent_with_a_mean_of_its_own_keeps_its_sign() -> None:
    latent: dict[str, object] = {"parameters": {"intercept": 2.0}}
    free = {child: {"parameters": {"intercept": 0.0}} for child in LOADINGS}
    assert learned(factor(free, latent), drawn(LOADINGS, latent)) == pytest.approx(list(LOADINGS.values()), abs=ERROR)


def test_a_prior_that_knows_a_loadings_sign_keeps_it() -> None:
    signed = {child: {"parameters": {"intercept": 0.0}, "prior": {"weights": {"normal": [w, 0.3]}}} for child, w in LOADINGS.items()}
    assert learned(factor(signed, {}), drawn(LOADINGS, {})) == pytest.approx(list(LOADINGS.values()), abs=ERROR)


def test_otherwise_the_outcomes_loading_is_positive() -> None:
    free: dict[str, dict[str, object]] = {child: {} for child in LOADINGS}
    assert learned(factor(free, {}), drawn(LOADINGS, {})) == pytest.approx([1.0, 0.8, 0.9], abs=ERROR)
