"""Exact moments of the latent, against a grid and against closed forms."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cfair.data import read_table
from cfair.errors import FitError, QueryError
from cfair.families import FAMILIES
from cfair.inference import expectation, learn, posterior, posterior_of_rows
from cfair.interfaces import Columns, Moments
from cfair.scm import SCM
from cfair.spec import find_model, load_spec

from oracles import columns_of, declare, factor, grid_posterior, people, random_spec


def assert_moments(found: Moments, latent: str, mean: Any, sd: Any, tolerance: float = 1e-7) -> None:
    """Mean and sd agree to so many posterior sds."""
    mean, sd = np.asarray(mean), np.asarray(sd)
    assert (np.abs(found.mean[latent].numpy() - mean) / sd).max() <= tolerance
    assert np.abs(found.sd[latent].numpy() / sd - 1).max() <= tolerance


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("everything", [False, True])
def test_moments_are_those_of_a_grid_on_random_models(seed: int, everything: bool) -> None:
    scm = SCM(random_spec(seed))
    columns, given = people(scm, 30, seed=seed), scm.spec.observed if everything else None
    grid = grid_posterior(scm, columns, given)
    assert_moments(posterior(scm, columns, given=given), "u", grid.mean, grid.sd, 1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_moments_are_those_of_a_grid_on_random_models_of_every_family(seed: int) -> None:
    scm = SCM(random_spec(seed, families=sorted(FAMILIES)))
    columns = people(scm, 30, seed=seed)
    grid = grid_posterior(scm, columns, scm.spec.observed)
    assert_moments(posterior(scm, columns, given=scm.spec.observed), "u", grid.mean, grid.sd, 1e-7)


def one_latent(children: dict[str, dict[str, Any]], **values: list[float]) -> tuple[SCM, Columns]:
    """A latent ``k`` with these children, and rows of them."""
    a: dict[str, Any] = {"mechanism": "bernoulli", "levels": ["n", "y"]}
    y: dict[str, Any] = {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 1.0}}
    scm = SCM(declare({"a": a, "k": {"mechanism": "gaussian", "latent": True}, **children, "y": y}))
    n = len(next(iter(values.values())))
    rest = {"a": torch.zeros(n), "y": torch.zeros(n)}
    return scm, columns_of({**rest, **{node: torch.tensor(column, dtype=torch.float64) for node, column in values.items()}})


def child(mechanism: str, intercept: float, loading: float, **more: Any) -> dict[str, Any]:
    levels = ["n", "y"] if mechanism == "bernoulli" else []
    known = {"intercept": intercept, "weights": {"k": loading}, **more}
    return {"mechanism": mechanism, "parents": ["k"], "levels": levels, "parameters": known}


@pytest.mark.parametrize("loading", [1.0, 10.0, 50.0])
def test_moments_are_those_of_a_grid_with_steep_binary_children(loading: float) -> None:
    children = {
        "x": child("bernoulli", 0.0, loading),
        "z": child("bernoulli", 2 * loading, loading),
        "w": child("bernoulli", loading, -loading),
    }
    patterns = torch.cartesian_prod(*[torch.arange(2.0)] * 3).T.tolist()
    scm, columns = one_latent(children, x=patterns[0], z=patterns[1], w=patterns[2])
    grid = grid_posterior(scm, columns, nodes=40_001 if loading > 10 else 2_001)
    assert_moments(posterior(scm, columns), "k", grid.mean, grid.sd, 1e-6)


@pytest.mark.parametrize(("intercept", "loading"), [(2.0, 1.0), (2.0, 10.0), (-3.0, 50.0), (12.0, 0.3), (-30.0, 2.0)])
def test_moments_are_those_of_a_grid_at_extreme_counts(intercept: float, loading: float) -> None:
    scm, columns = one_latent({"x": child("poisson", intercept, loading)}, x=[0.0, 1.0, 10.0, 1e3, 1e5, 1e6])
    grid = grid_posterior(scm, columns)
    assert_moments(posterior(scm, columns), "k", grid.mean, grid.sd, 1e-6)


def test_moments_are_those_of_a_grid_with_counts_that_pull_apart() -> None:
    children = {"x": child("poisson", -3.0, 50.0), "z": child("poisson", 1.0, -50.0)}
    scm, columns = one_latent(children, x=[0.0, 1e5, 0.0, 1e5, 3.0], z=[0.0, 0.0, 1e5, 1e5, 2.0])
    grid = grid_posterior(scm, columns)
    assert_moments(posterior(scm, columns), "k", grid.mean, grid.sd, 1e-6)


def test_moments_are_those_of_a_grid_with_a_steep_category() -> None:
    known = {level: {"intercept": j - 1.0, "weights": {"k": 20.0 * (j - 1.5)}} for j, level in enumerate("bcd")}
    category = {"mechanism": "categorical", "parents": ["k"], "levels": list("abcd"), "parameters": known}
    scm, columns = one_latent({"x": category}, x=[0.0, 1.0, 2.0, 3.0])
    grid = grid_posterior(scm, columns, nodes=40_001)
    assert_moments(posterior(scm, columns), "k", grid.mean, grid.sd, 1e-6)


@pytest.mark.parametrize("loading", [200.0, 1e4, 1e6])
def test_a_binary_child_that_is_a_threshold_truncates_the_prior(loading: float) -> None:
    scm, columns = one_latent({"x": child("bernoulli", 0.0, loading)}, x=[0.0, 1.0])
    half_normal = (2 / np.pi) ** 0.5
    assert_moments(posterior(scm, columns), "k", [-half_normal, half_normal], (1 - 2 / np.pi) ** 0.5, 3 / loading)


@pytest.mark.parametrize("scales", [(1.0, 0.5), (0.05, 3.0), (1e-3, 1.0), (1e-6, 1e-6)])
def test_one_gaussian_factor_has_its_closed_form(scales: tuple[float, float]) -> None:
    """Precision 1 + Σ λ²/σ², mean Σ λ·r/σ² over it."""
    loadings = (0.8, -1.3)
    scm = SCM(factor(loadings, scales))
    columns = people(scm, 200, seed=0)
    precision = 1 + sum(loading**2 / scale**2 for loading, scale in zip(loadings, scales, strict=True))
    residuals = [columns[f"x{j}"] - 0.5 * j - columns["a"] for j in range(2)]
    mean = sum(loading * r / scale**2 for loading, r, scale in zip(loadings, residuals, scales, strict=True)) / precision
    assert_moments(posterior(scm, columns), "k", mean, np.full(200, precision**-0.5), 1e-8 if min(scales) > 1e-5 else 1e-7)


def test_without_children_in_the_evidence_the_posterior_is_the_prior() -> None:
    spec = random_spec(3)
    columns = people(SCM(spec), 20, seed=3)
    scm, roots = SCM(spec), [node for node in ("a", "b") if not set(spec.nodes[node].parents) - {"a", "b"}]
    given = {*roots, *spec.nodes["u"].parents}
    distribution = scm.mechanisms["u"].distribution(scm.parents("u", columns.coded))
    assert_moments(posterior(scm, columns, given=given), "u", distribution.mean.expand(20), distribution.stddev.expand(20), 1e-12)


@pytest.mark.parametrize("name", ["law_school", "law_school_gaussian"])
def test_every_row_of_the_law_school_has_the_moments_of_a_grid(name: str) -> None:
    spec = load_spec(find_model(name))
    columns = read_table("law_school", spec)
    scm = learn(spec, columns.take(torch.arange(0, columns.n, 5)))
    rows = torch.stack([columns[node] for node in spec.evidence], 1)
    _, place = torch.unique(rows, dim=0, return_inverse=True)
    first = torch.full((int(place.max()) + 1,), columns.n).scatter_reduce(0, place, torch.arange(columns.n), "amin")
    found = posterior(scm, columns)
    for some in first.split(1_000):
        grid = grid_posterior(scm, columns.take(some))
        assert_moments(Moments({"k": found.mean["knowledge"][some]}, {"k": found.sd["knowledge"][some]}), "k", grid.mean, grid.sd, 1e-8)
    assert torch.equal(found.mean["knowledge"][first][place], found.mean["knowledge"])


@pytest.mark.parametrize("seed", range(8))
def test_more_nodes_change_nothing(seed: int) -> None:
    scm = SCM(random_spec(seed))
    columns = people(scm, 40, seed=seed)
    coarse, fine = (posterior(scm, columns, nodes=nodes) for nodes in (9, 18))
    assert_moments(coarse, "u", fine.mean["u"], fine.sd["u"], 1e-7)


@pytest.mark.parametrize("seed", range(8))
def test_order_and_number_of_rows_change_nothing(seed: int) -> None:
    scm = SCM(random_spec(seed))
    columns = people(scm, 60, seed=seed)
    whole = posterior(scm, columns)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    for people_ in (order, torch.arange(1), torch.arange(7, 30), torch.tensor([5, 5, 5])):
        part = posterior(scm, columns.take(people_))
        assert_moments(part, "u", whole.mean["u"][people_], whole.sd["u"][people_], 1e-12)


def test_the_outcome_and_its_descendants_are_no_evidence() -> None:
    scm, columns = one_latent({"x": child("gaussian", 0.0, 1.0, scale=1.0)}, x=[0.5, -1.0])
    moved = columns_of({**columns.coded, "y": columns["y"] + 100})
    assert torch.equal(posterior(scm, moved).mean["k"], posterior(scm, columns).mean["k"])
    assert not torch.equal(posterior(scm, moved, given=["x", "y"]).mean["k"], posterior(scm, columns, given=["x", "y"]).mean["k"])
    lacking = columns_of({node: column for node, column in columns.coded.items() if node != "y"})
    assert torch.equal(posterior(scm, lacking).mean["k"], posterior(scm, columns).mean["k"])


def test_rows_need_not_come_from_a_table() -> None:
    scm, columns = one_latent({"x": child("gaussian", 0.0, 1.0, scale=1.0)}, x=[0.5, -1.0])
    assert torch.equal(posterior_of_rows(scm, {"a": columns["a"], "x": columns["x"]}, 2).mean["k"], posterior(scm, columns).mean["k"])


@pytest.mark.parametrize("seed", range(5))
def test_expectations_are_those_of_a_grid(seed: int) -> None:
    scm = SCM(random_spec(seed))
    columns = people(scm, 30, seed=seed)

    def squashed(values: Any) -> Tensor:
        return torch.sigmoid(2 * values["u"] + values["a"])

    grid = grid_posterior(scm, columns)
    expected = (grid.weights / (1 + np.exp(-2 * grid.points - columns["a"].numpy()))).sum(0)
    np.testing.assert_allclose(expectation(scm, columns.coded, squashed, n=30).numpy(), expected, rtol=1e-7)
    mean = expectation(scm, columns.coded, lambda values: values["u"], n=30)
    torch.testing.assert_close(mean, posterior(scm, columns).mean["u"], rtol=1e-12, atol=1e-12)


def test_a_model_without_latent_has_no_moments_and_certain_expectations() -> None:
    scm = SCM(random_spec(0, latent=False))
    columns = people(scm, 5)
    assert posterior(scm, columns) is not None
    assert dict(posterior(scm, columns).mean) == {}
    assert torch.equal(expectation(scm, columns.coded, lambda values: 2 * values["a"], n=5), 2 * columns["a"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["x"], r"given: 'x' is in the evidence, and its parent 'a' is not. Add 'a', or drop 'x'"),
        (["k"], r"'k' is not an observed node. Use some of: a, b, x, y"),
        (["aa"], r"'aa' is not an observed node"),
        (["a"], r"'b', a parent of the latent 'k', is not in the evidence. Add 'b' to given"),
        (["a", "b", "y"], r"the table has no column 'y'. Read the table with 'y', or leave it out of given"),
    ],
)
def test_evidence_that_cannot_be_used_is_refused(given: list[str], message: str) -> None:
    nodes: dict[str, dict[str, Any]] = {
        "a": {"mechanism": "bernoulli", "levels": ["n", "y"]},
        "b": {"mechanism": "gaussian"},
        "k": {"mechanism": "gaussian", "latent": True, "parents": ["b"]},
        "x": {"mechanism": "gaussian", "parents": ["a", "k"]},
        "y": {"mechanism": "gaussian", "parents": ["b"]},
    }
    columns = columns_of({node: torch.zeros(3) for node in ("a", "b", "x")})
    with pytest.raises(QueryError, match=message):
        posterior(SCM(declare(nodes)), columns, given=given)


def test_a_row_that_is_no_number_does_not_pass_for_settled() -> None:
    scm, columns = one_latent({"x": child("gaussian", 0.0, 1.0, scale=1.0)}, x=[0.5, float("nan")])
    with pytest.raises(FitError, match=r"posterior of 'k': 1 row does not settle with .* the first has"):
        posterior(scm, columns)
