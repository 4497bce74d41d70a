"""A model that is right passes, and at the rate that its p-values promise."""

from collections import defaultdict
from functools import cache

import pytest
import torch
from scipy.stats import kstest

from cfair.diagnosis import Diagnosis, diagnose
from cfair.inference import learn
from cfair.scm import SCM
from cfair.spec import ModelSpec

from oracles import columns_of, declare, people, random_spec
from school import school

TABLES = 40
WEAK = 1e-5  # p-value of the least uniform of some dozens of checks


def plain() -> ModelSpec:
    """A real attribute, a latent with two children, a count and an outcome, all known."""
    return declare(
        {
            "a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.3, "weights": {}}},
            "k": {"mechanism": "gaussian", "latent": True},
            "x": {
                "mechanism": "gaussian",
                "parents": ["a", "k"],
                "parameters": {"intercept": 0.0, "weights": {"a=yes": 1.0, "k": 0.8}, "scale": 0.6},
            },
            "m": {"mechanism": "poisson", "parents": ["a"], "parameters": {"intercept": 1.0, "weights": {"a=yes": 0.4}}},
            "y": {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 1.0}},
        }
    )


@cache
def diagnoses() -> tuple[Diagnosis, ...]:
    scm = SCM(plain())
    return tuple(diagnose(scm, people(scm, 250, seed=seed), draws=60, seed=seed) for seed in range(TABLES))


@pytest.mark.slow
def test_p_values_of_a_right_model_are_uniform() -> None:
    found = defaultdict(list)
    for diagnosis in diagnoses():
        for check in diagnosis.checks:
            if not check.statistic.startswith("share"):  # of few people: discrete, and conservative
                found[check.check, check.statistic, check.node, check.other, check.group].append(check.p)
    assert len(found) > 40
    for place, p in found.items():
        assert len(p) == TABLES
        assert kstest(p, "uniform").pvalue > WEAK, place


@pytest.mark.slow
def test_p_values_of_shares_are_below_a_level_no_more_often_than_it_says() -> None:
    p = torch.tensor([check.p for diagnosis in diagnoses() for check in diagnosis.checks if check.statistic.startswith("share")])
    assert len(p) > 10 * TABLES
    assert float((p < 0.05).double().mean()) < 0.05 + 5 * (0.05 * 0.95 / TABLES) ** 0.5  # those of one table depend on one another


def test_a_right_model_seldom_fails_at_all() -> None:
    wrong = [each for diagnosis in diagnoses() for each in diagnosis.nodes if each.verdict not in ("passes",)]
    assert len(wrong) <= 3  # at most 0.01 of 40 tables are expected to have any
    assert all(pair.verdict == "passes" for diagnosis in diagnoses() for pair in diagnosis.support)


def test_a_learned_model_of_nodes_of_every_kind_passes_on_other_rows() -> None:
    known = school()
    bare = {
        name: {"mechanism": node.mechanism, "parents": node.parents, "levels": node.levels, "latent": node.latent}
        for name, node in known.nodes.items()
    }
    table = people(SCM(known), 4_000, seed=3)
    training, tested = table.take(torch.arange(3_000)), table.take(torch.arange(3_000, 4_000))
    scm = learn(declare(bare, protected=known.protected), training)
    found = diagnose(scm, tested, training=training, draws=60)
    assert {each.node for each in found.nodes} == set(known.nodes)
    assert {each.verdict for each in found.nodes} == {"passes"}


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "categorical", "ordinal", "table", "poisson", "negative_binomial"])
def test_a_right_model_of_any_family_passes(family: str) -> None:
    scm = SCM(random_spec(5, families=[family]))
    found = diagnose(scm, people(scm, 300, seed=5), draws=20, seed=5)
    assert {each.node: each.verdict for each in found.nodes} == dict.fromkeys(scm.spec.nodes, "passes")


def several() -> ModelSpec:
    """Two real latents and one with levels, each with children, all known."""

    def child(intercept: float, scale: float, **weights: float) -> dict[str, object]:
        parents = list(dict.fromkeys("a" if name == "a" else name[0] for name in weights))
        named = {{"a": "a=yes", "c1": "c=on"}.get(name, name): weight for name, weight in weights.items()}
        return {"mechanism": "gaussian", "parents": parents, "parameters": {"intercept": intercept, "weights": named, "scale": scale}}

    return declare(
        {
            "a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.3, "weights": {}}},
            "k": {"mechanism": "gaussian", "latent": True},
            "l": {"mechanism": "gaussian", "latent": True},
            "c": {"mechanism": "categorical", "latent": True, "levels": ["off", "on"], "parameters": {"probabilities": [0.6, 0.4]}},
            "x": child(0.0, 0.5, a=1.0, k=0.8),
            "z": child(1.0, 0.7, k=0.5, l=-0.9),
            "w": child(0.0, 0.4, a=-0.5, c1=1.2, l=0.6),
            "y": child(0.0, 1.0, k=1.0, c1=-1.0),
        }
    )


def test_several_latents_and_latents_with_levels_are_checked_and_pass() -> None:
    scm = SCM(several())
    found = diagnose(scm, people(scm, 800, seed=2), draws=40)
    assert {each.node: each.verdict for each in found.nodes} == dict.fromkeys(scm.spec.nodes, "passes")
    assert {check.node for check in found.checks if check.check == "residue"} == set(scm.spec.nodes)
    doubled = [check for check in found.engine if check.check == "quadrature doubling"]
    assert {check.of for check in doubled} == {"k", "l", "c"}
    assert {check.verdict for check in doubled} == {"passes"}


def test_several_latents_of_another_model_fail() -> None:
    scm = SCM(several())
    table = people(scm, 3_000, seed=2)
    wrong = columns_of({**table.coded, "z": table["z"] + table["a"] * (table["w"] - table["w"].mean())})
    assert {each.node for each in diagnose(scm, wrong, draws=40).nodes if each.verdict == "fails"} >= {"z"}


@pytest.mark.slow
def test_p_values_of_nodes_of_every_kind_are_uniform() -> None:
    scm, found = SCM(school()), defaultdict(list)
    for seed in range(TABLES):
        for check in diagnose(scm, people(scm, 1_000, seed=seed), draws=100, seed=seed).checks:
            if check.p is not None and not check.statistic.startswith("share"):
                found[check.check, check.statistic, check.node, check.other, check.attribute, check.group].append(check.p)
    assert len(found) > 200
    for place, p in found.items():
        assert len(p) < TABLES or kstest(p, "uniform").pvalue > WEAK, place
