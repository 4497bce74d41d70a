"""What a diagnosis holds: tidy, in JSON, the same for the same seed, and honest about what it did not compute."""

import json
import math
from collections.abc import Mapping
from functools import cache

import pytest
import torch

import cfair
from cfair.diagnosis import Diagnosis, diagnose
from cfair.diagnosis.engine import engine_checks
from cfair.inference import learn
from cfair.scm import SCM
from cfair.uncertainty import Uncertainty

from oracles import LINEAR, people
from school import people as pupils
from school import school

WORDS = {"fails", "detected, small", "untestable", "not checked", "passes"}


@cache
def found() -> Diagnosis:
    scm, table = pupils(school(), 500)
    return diagnose(scm, table, draws=20)


def test_the_front_door_leads_to_it() -> None:
    assert cfair.diagnose is diagnose
    assert cfair.Diagnosis is Diagnosis


def test_json_has_its_keys_and_every_number_is_finite_or_null_with_a_reason() -> None:
    document = json.loads(json.dumps(found().to_json(), allow_nan=False))
    lists = {"nodes", "checks", "latents", "flat", "reaches", "support", "untestable", "engine", "notes"}
    assert set(document) == lists | {"schema", "model", "rows", "training_rows", "seed", "draws"}
    check = {"check", "statistic", "node", "other", "attribute", "group", "n", "value", "expected", "low", "high", "p", "p_holm"}
    assert {key for each in document["checks"] for key in each} == check | {"effect", "tolerance", "verdict", "why"}
    for each in document["checks"] + document["support"] + document["engine"]:
        assert each["verdict"] in WORDS
        assert each["verdict"] != "not checked" or each["why"]
    for each in document["checks"]:
        assert (each["p"] is None) == (each["verdict"] in ("not checked", "untestable"))
        assert each["p"] is None or each["low"] <= each["high"]
    assert {each["node"] for each in document["nodes"]} == set(school().nodes)


def test_the_frame_has_a_line_per_check_the_worst_first() -> None:
    frame = found().to_frame()
    assert len(frame) == len(found().checks)
    assert frame["p_holm"].dropna().is_monotonic_increasing


def test_the_same_seed_gives_the_same_and_another_seed_does_not() -> None:
    scm, table = pupils(school(), 500)
    assert diagnose(scm, table, draws=20) == found()
    assert diagnose(scm, table, draws=20, seed=1) != found()


def test_untestable_assumptions_are_those_that_coefficients_absorb_and_the_couplings() -> None:
    free = learn(
        LINEAR.model_copy(update={"nodes": {**LINEAR.nodes, "m": LINEAR.nodes["m"].model_copy(update={"parameters": None})}}),
        people(SCM(LINEAR), 300),
    )
    stated = {(each.node, each.attribute) for each in diagnose(free, people(SCM(LINEAR), 100), draws=20).untestable}
    assert stated == {("m", "a")}  # of y every coefficient is fixed, so that a shift of its noise shows
    assert {(each.node, each.what) for each in found().untestable} == {
        ("visits", "its monotone coupling between worlds"),
        ("track", "its gumbel coupling between worlds"),
    }


def sampled(k_hat: Mapping[str, float], r_hat: Mapping[str, float], ess: Mapping[str, float]) -> Uncertainty:
    even = torch.full((1_000,), -math.log(1_000), dtype=torch.float64)
    return Uncertainty("nuts", {}, even, k_hat=k_hat, r_hat=r_hat, ess=ess)


def test_figures_of_sampling_are_read_where_they_are_and_named_by_their_worst() -> None:
    scm, table = SCM(LINEAR), people(SCM(LINEAR), 50)
    assert {each.check: each.verdict for each in engine_checks(scm, table, seed=0)}["R-hat"] == "not checked"
    scm.uncertainty = sampled({"x": 0.2, "y": 0.9}, {"x.scale": 1.001, "y.scale": 1.003}, {"x.scale": 120.0, "y.scale": 900.0})
    figures = {each.check: each for each in engine_checks(scm, table, seed=0)}
    assert (figures["k-hat"].of, figures["k-hat"].verdict) == ("y", "fails")
    assert (figures["R-hat"].of, figures["R-hat"].verdict) == ("y.scale", "passes")
    assert (figures["ESS"].of, figures["ESS"].value, figures["ESS"].verdict) == ("x.scale", 120.0, "fails")
    assert figures["divergences"].verdict == "passes"
    scm.uncertainty = sampled({"x": float("inf")}, {}, {})
    figures = {each.check: each for each in engine_checks(scm, table, seed=0)}
    assert (figures["k-hat"].value, figures["k-hat"].verdict, figures["k-hat"].why) == (None, "fails", "it is not a finite number")
    assert figures["divergences"].verdict == "not checked"


@pytest.mark.parametrize("latent", [True, False])
def test_quadrature_is_doubled_where_there_is_a_latent(latent: bool) -> None:
    scm, table = pupils(school(), 50) if latent else (SCM(LINEAR), people(SCM(LINEAR), 50))
    doubled = engine_checks(scm, table, seed=0)[0]
    assert (doubled.check, doubled.verdict) == ("quadrature doubling", "passes" if latent else "not checked")
    assert (doubled.value is not None) == latent
