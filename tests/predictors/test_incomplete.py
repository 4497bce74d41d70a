"""Predictions of rows that lack values: the expectation of the prediction given what the row has of what the predictor needs."""

from functools import cache

import numpy as np
import pytest
import torch
from holes import CHAIN, CHAIN_HOLES, CURVED, linear, normal, with_holes
from torch import Tensor

from cfair.inference import abduct, posterior
from cfair.interfaces import Predictor
from cfair.predictors import PREDICTORS
from cfair.predictors.incomplete import DRAWS, deploy
from cfair.scm import SCM

from oracles import declare, people

ROW = ("constant", "full", "unaware", "nondescendants", "residual")
LATENT = ("latent", "latent_posterior_mean", "latent_draws")


@cache
def fitted() -> tuple[SCM, dict[str, Predictor]]:
    scm = SCM(declare(CHAIN))
    train = people(scm, 600, seed=9)
    world = abduct(scm, train, draws=10)
    return scm, {name: PREDICTORS[name](scm).fit(world, train["y"]) for name in (*ROW, *LATENT)}


def expected(scm: SCM, predictor: Predictor, row: dict[str, float]) -> float:
    """A head that is linear in all columns but ``a``: its value at their means given what the row has, over both values of ``a``."""
    total, mass = 0.0, 0.0
    for a in [row["a"]] if "a" in row else [0.0, 1.0]:
        names, mean, covariance = normal(scm, a)
        known = [names.index(n) for n in row if n != "a"]
        seen = np.array([row[names[j]] for j in known])
        sd = np.diag(covariance)[known] ** 0.5
        inner = covariance[np.ix_(known, known)] / np.outer(sd, sd)
        apart = (seen - mean[known]) / sd
        gain = covariance[:, known] / sd @ np.linalg.inv(inner) if known else np.zeros((len(names), 0))
        density = np.exp(-0.5 * apart @ np.linalg.inv(inner) @ apart) / np.linalg.det(inner) ** 0.5 if known else 1.0
        prior = 1 / (1 + np.exp(-0.2 if a else 0.2))
        at = dict(zip(names, mean + gain @ apart, strict=True)) | row | {"a": a}
        whole = {node: torch.tensor([at[node]], dtype=torch.float64) for node in predictor.needs}
        total, mass = total + prior * density * float(predictor.deploy(whole, 1)), mass + prior * density
    return total / mass


@pytest.mark.parametrize("name", ROW)
def test_a_function_of_the_row_is_averaged_over_what_the_row_lacks(name: str) -> None:
    scm, predictors = fitted()
    predictor = predictors[name]
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    found = deploy(scm, predictor, columns)
    for i in range(columns.n):
        row = {n: float(columns.coded[n][i]) for n in predictor.needs if not columns.coded[n][i].isnan()}
        tolerance = 1e-9 if len(row) == len(predictor.needs) else 5 * 3.0 / DRAWS**0.5 / 10  # strata: far below independent draws' error
        assert float(found[i]) == pytest.approx(expected(scm, predictor, row), abs=tolerance)


def test_the_plug_in_reads_the_posterior_mean_given_what_the_row_has() -> None:
    scm, predictors = fitted()
    predictor = predictors["latent_posterior_mean"]
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    moments = posterior(scm, columns)
    seen = torch.stack([moments.mean["v"], moments.mean["k"]], -1)  # level 1's column, and the latent
    assert predictor.sees == ("v", "k")
    head: Tensor = predictor.fitted.predict(seen)  # type: ignore[operator]
    torch.testing.assert_close(deploy(scm, predictor, columns), head, rtol=1e-12, atol=1e-12)
    factual = abduct(scm, columns, draws=3)
    torch.testing.assert_close(predictor.predict(factual)[0], head, rtol=1e-9, atol=1e-9)


def test_on_draws_the_expectation_is_exact() -> None:
    """With a linear head E[g(v, k) | what the row has] is g at their means."""
    scm, predictors = fitted()
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    moments = posterior(scm, columns)
    head: Tensor = predictors["latent_draws"].fitted.predict(torch.stack([moments.mean["v"], moments.mean["k"]], -1))  # type: ignore[operator]
    torch.testing.assert_close(deploy(scm, predictors["latent_draws"], columns), head, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", [*ROW, *LATENT])
def test_a_row_is_predicted_alike_alone_and_with_others(name: str) -> None:
    scm, predictors = fitted()
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    together = deploy(scm, predictors[name], columns)
    alone = torch.cat([deploy(scm, predictors[name], columns.take(torch.tensor([i]))) for i in range(columns.n)])
    torch.testing.assert_close(alone, together, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [*ROW, *LATENT])
def test_whole_rows_are_predicted_bit_for_bit_as_before(name: str) -> None:
    scm, predictors = fitted()
    columns = people(scm, 50, seed=2)
    assert torch.equal(deploy(scm, predictors[name], columns), predictors[name].deploy(columns, columns.n))


@pytest.mark.parametrize("name", [*ROW, *LATENT])
def test_what_a_predictor_must_not_read_does_not_help_to_guess_what_it_lacks(name: str) -> None:
    scm, predictors = fitted()
    predictor = predictors[name]
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    other = with_holes(people(scm, 8, seed=77), CHAIN_HOLES)
    mixed = {node: (columns if node in predictor.needs else other).coded[node] for node in columns}
    masks = {node: (columns if node in predictor.needs else other).missing[node] for node in columns.missing}
    changed = type(columns)(mixed, columns.rows, columns.facts, None, masks)
    assert torch.equal(deploy(scm, predictor, columns), deploy(scm, predictor, changed))


def test_a_count_of_level_1_that_a_row_lacks_is_expected_from_its_parents() -> None:
    """The heads are linear: both variants predict what they predict at the count's mean, one of them by draws."""
    scm = SCM(declare({**CURVED, "y": linear({"x": 0.1, "w": 0.5}, 0.0, 1.0)}))
    train = people(scm, 500, seed=1)
    world = abduct(scm, train, draws=5)
    columns = with_holes(people(scm, 30, seed=2), {"w": range(20), "x": range(10)})
    moments = posterior(scm, columns)
    seen = torch.stack([moments.mean["x"], moments.mean["w"]], -1)
    for name in ("latent_posterior_mean", "latent_draws"):
        predictor = PREDICTORS[name](scm).fit(world, train["y"])
        assert predictor.sees == ("x", "w")
        head: Tensor = predictor.fitted.predict(seen)  # type: ignore[operator]
        tolerance = 1e-9 if name == "latent_posterior_mean" else 0.05
        torch.testing.assert_close(deploy(scm, predictor, columns), head, rtol=0, atol=tolerance)
