"""What a report says that its figures rest on is what was declared and learned."""

import math

import pytest
import torch

from cfair.auditing.assumptions import assumptions
from cfair.auditing.estimates import doubt
from cfair.interfaces import Facts
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.uncertainty import Uncertainty

from oracles import declare

SEX = {"mechanism": "bernoulli", "levels": ["male", "female"]}


def told(scm: SCM) -> dict[str, str]:
    return {each.name: f"{each.text} {each.tested or ''}" for each in assumptions(scm, {}, Facts("table", 10, "0" * 64), ())}


def spec_of(**options: object) -> ModelSpec:
    return declare(
        {
            "sex": SEX,
            "age": {"mechanism": "gaussian"},
            "ability": {"mechanism": {"family": "gaussian", "heteroscedastic": True}, "latent": True, "parents": ["sex", "age"]},
            "grade": {"mechanism": {"family": "gaussian", **options}, "parents": ["sex", "age", "ability"]},
            "rank": {"mechanism": {"family": "ordinal", "link": "probit"}, "levels": ["c", "b", "a"], "parents": ["grade"]},
        },
        protected=["sex"],
        outcome="rank",
    )


def test_the_options_of_each_node_are_named() -> None:
    said = told(SCM(spec_of(interactions=[["sex", "age"], ["age", "ability"]], heteroscedastic=True)))
    assert "with a predictor linear in its parents and the products that are named: " in said["mechanisms"]
    assert "grade gaussian (with sex x age and age x ability; its scale changes with sex and age)" in said["mechanisms"]
    assert "rank ordinal (probit link)" in said["mechanisms"]
    plain = told(SCM(spec_of()))["mechanisms"]
    assert "products" not in plain
    assert "sex bernoulli, age gaussian, ability gaussian (its scale changes with sex and age), grade gaussian, rank" in plain


def test_the_coupling_of_a_node_is_named() -> None:
    nodes = {
        "a": SEX,
        "b": {"mechanism": "categorical", "levels": ["l", "m", "h"], "parents": ["a"], "coupling": "independent"},
        "y": {"mechanism": "gaussian", "parents": ["b"]},
    }
    assert "Counterfactuals of 'b' follow the independent coupling" in told(SCM(declare(nodes)))["coupling"]


def test_the_scale_of_a_latent_is_said_of_whom_it_holds() -> None:
    assert (
        "'ability' has standard deviation 1 given its parents where sex is male and age is 0, and another where not;"
        in told(SCM(spec_of()))["latent_scale"]
    )
    fixed = {"mechanism": "gaussian", "latent": True, "parameters": {"scale": 2.5}}
    spec = declare({"a": SEX, "u": fixed, "y": {"mechanism": "gaussian", "parents": ["a", "u"]}})
    assert "'u' has standard deviation 2.5 given its parents; scale" in told(SCM(spec))["latent_scale"]


def drawn(k_hat: float, *, ess: float) -> Uncertainty:
    """64 draws of two parts, each drawn anew by its own weights: all weigh the same."""
    even = torch.full((64,), -math.log(64), dtype=torch.float64)
    draws = {"grade": {"linear.intercept": torch.zeros(64, 1, dtype=torch.float64)}}
    return Uncertainty("laplace", draws, even, k_hat={"sex": 0.1, "grade": k_hat}, ess={"sex.intercept[0]": 60.0, "grade.x": ess})


@pytest.mark.parametrize(
    ("k_hat", "ess", "words", "why"),
    [
        (0.2, 41.3, "no more than the 0.45 up to which they can be trusted; by these weights, 64 draws are worth 41 at least", None),
        (0.2, 3.4, "64 draws are worth 3 at least, TOO FEW", "some of the 64 parameter draws are worth 3, too few for an interval"),
        (0.9, 41.3, "is 0.90, of grade: MORE than the 0.45", "the weights of the parameter draws of grade have a k-hat of 0.90, above the"),
    ],
)
def test_what_draws_are_worth_is_said_by_the_weights_that_they_were_drawn_by(k_hat: float, ess: float, words: str, why: str | None) -> None:
    scm = SCM(spec_of())
    scm.uncertainty = drawn(k_hat, ess=ess)
    assert words in told(scm)["point_estimates"]
    said = doubt(scm.uncertainty)
    assert said is None if why is None else said is not None and said.startswith(why)


def test_draws_by_chains_and_none_at_all_have_no_weights_to_doubt() -> None:
    even = torch.full((64,), -math.log(64), dtype=torch.float64)
    assert doubt(Uncertainty("nuts", {}, even, r_hat={"x": 1.0}, ess={"x": 9.0})) is None
    assert doubt(None) is None
