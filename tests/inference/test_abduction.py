"""Joint draws of latents and noise."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import gumbel_r, kstest, logistic, norm
from torch import Tensor

from cfair.errors import QueryError
from cfair.inference import abduct, posterior
from cfair.inference.uniforms import PersonalUniforms, fingerprint
from cfair.interfaces import World
from cfair.scm import SCM

from oracles import LINEAR, assert_distribution, columns_of, declare, grid_posterior, people, random_spec

SEEDS = range(8)
PRIOR_CDF = {"real": norm.cdf, "binary": logistic.cdf, "count": logistic.cdf, "category": gumbel_r.cdf}


def child(mechanism: str, intercept: float, loading: float, **more: Any) -> dict[str, Any]:
    levels = ["n", "y"] if mechanism == "bernoulli" else []
    known = {"intercept": intercept, "weights": {"k": loading}, **more}
    return {"mechanism": mechanism, "parents": ["k"], "levels": levels, "parameters": known}


def one_latent(children: Mapping[str, dict[str, Any]]) -> SCM:
    a: dict[str, Any] = {"mechanism": "bernoulli", "levels": ["n", "y"], "parameters": {"intercept": 0.0, "weights": {}}}
    y: dict[str, Any] = {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 1.0}}
    return SCM(declare({"a": a, "k": {"mechanism": "gaussian", "latent": True}, **children, "y": y}))


SHAPES = {
    "gaussian": {"x": child("gaussian", 0.0, 1.0, scale=0.05)},
    "cliff": {"x": child("bernoulli", 0.0, 50.0), "z": child("bernoulli", 60.0, 50.0)},
    "gentle": {"x": child("bernoulli", 0.5, 1.5), "z": child("poisson", 1.0, 0.7)},
    "counts": {"x": child("poisson", 3.0, 5.0), "z": child("poisson", -2.0, -3.0)},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_latent_draws_follow_the_distribution_function_of_a_grid(shape: str) -> None:
    scm = one_latent(SHAPES[shape])
    columns = people(scm, 12, seed=0)
    draws = abduct(scm, columns, draws=1_000, seed=1).values["k"]
    share = np.sort(grid_posterior(scm, columns, nodes=20_001).cdf(draws.numpy()), 0)
    strata = np.arange(1_000)[:, None] / 1_000  # a person's draws fall one into each of as many equal strata
    assert (share >= strata - 1e-5).all()
    assert (share <= strata + 1e-3 + 1e-5).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_one_draw_of_each_of_many_people_is_uniform_in_the_posterior(shape: str) -> None:
    """Draw 0 of people with different evidence: no two share a uniform number."""
    scm = one_latent(SHAPES[shape])
    columns = people(scm, 2_000, seed=0)
    columns = columns_of({**columns.coded, "a": columns["a"]})
    draws = abduct(scm, columns, draws=2, seed=1).values["k"]
    rows = torch.unique(fingerprint({node: columns[node] for node in scm.spec.evidence}), return_inverse=True)[1]
    first = torch.full((int(rows.max()) + 1,), 2_000).scatter_reduce(0, rows, torch.arange(2_000), "amin")[:400]
    share = grid_posterior(scm, columns.take(first)).cdf(draws[:, first].numpy())
    assert all(kstest(each, "uniform").pvalue > 1e-6 for each in share)


@pytest.mark.parametrize("seed", SEEDS)
def test_latent_draws_have_the_exact_moments(seed: int) -> None:
    scm = SCM(random_spec(seed))
    columns = people(scm, 50, seed=seed)
    world, moments = abduct(scm, columns, draws=500, seed=seed), posterior(scm, columns)
    assert world.moments is not None
    torch.testing.assert_close(world.moments.mean["u"], moments.mean["u"])
    z = (world.values["u"] - moments.mean["u"]) / moments.sd["u"]
    assert (z.mean(0).abs() <= 5 / 500**0.5).all()
    assert (z.mean(0).abs() <= 0.01).double().mean() > 0.9  # stratified: far closer than independent draws
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(50).double(), rtol=0.05, atol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_over_people_has_its_prior_when_the_evidence_is_from_the_model(seed: int) -> None:
    """Averaged over the evidence the posterior is the prior: the first draw of everyone's noise, of latent and nodes alike."""
    scm = SCM(random_spec(seed))
    columns = people(scm, 3_000, seed=seed)
    world = abduct(scm, columns, given=scm.spec.observed, draws=1, seed=seed)
    rows = fingerprint(columns.coded).unique(return_inverse=True)[1]
    first = torch.full((int(rows.max()) + 1,), 3_000).scatter_reduce(0, rows, torch.arange(3_000), "amin")
    if len(first) < 2_900:
        return  # equal rows have equal draws: they are not independent
    for node in scm.spec.order:
        for column in world.noise[node][0].reshape(3_000, -1).T:
            assert_distribution(column, PRIOR_CDF[scm.spec.nodes[node].kind])


def test_latent_and_noise_are_drawn_jointly() -> None:
    """x = k + u with both standard normal: given x the two are k and x − k, so that they correlate perfectly."""
    scm = one_latent({"x": child("gaussian", 0.0, 1.0, scale=1.0)})
    columns = columns_of({"a": torch.zeros(3), "x": torch.tensor([0.0, 1.0, -2.0]), "y": torch.zeros(3)})
    world = abduct(scm, columns, draws=100)
    torch.testing.assert_close(world.values["k"] + world.noise["x"], columns["x"].expand(100, 3))
    torch.testing.assert_close(world.values["y"], world.values["k"] + world.noise["y"])


def test_the_outcome_is_drawn_and_not_read() -> None:
    scm = SCM(LINEAR)
    columns = people(scm, 2_000, seed=0)
    world = abduct(scm, columns, draws=1)
    assert world.given == ("a", "m")
    assert not torch.equal(world.values["y"][0], columns["y"])
    assert_distribution(world.noise["y"], "norm")
    mean = scm.mechanisms["y"].distribution(scm.parents("y", columns.coded)).mean
    assert_distribution(world.values["y"][0] - mean, "norm")


@pytest.mark.parametrize("seed", SEEDS)
def test_draws_depend_on_a_persons_evidence_and_the_seed_only(seed: int) -> None:
    scm = SCM(random_spec(seed))
    columns = people(scm, 60, seed=seed)
    whole = abduct(scm, columns, draws=9, seed=3)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    for some in (order, torch.tensor([11]), torch.arange(20, 37), torch.tensor([4, 4])):
        assert_same(scm, abduct(scm, columns.take(some), draws=9, seed=3), whole, some)
    moved = columns_of({**columns.coded, "y": torch.zeros(60)})
    assert_same(scm, abduct(scm, moved, draws=9, seed=3), whole, torch.arange(60))


def assert_same(scm: SCM, part: World, whole: World, some: Tensor) -> None:
    for node in scm.spec.order:
        found, expected = part.values[node], whole.values[node][:, some]
        if scm.spec.nodes[node].kind == "real":
            torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
        else:
            assert torch.equal(found, expected), node
        torch.testing.assert_close(part.noise[node], whole.noise[node][:, some], rtol=1e-8, atol=1e-8)


def test_more_people_than_a_block_change_no_draw() -> None:
    scm = one_latent(SHAPES["gentle"])
    columns = people(scm, 5_000, seed=0)
    spread = columns_of({**columns.coded, "z": columns["z"] + torch.arange(5_000) % 50})
    whole = abduct(scm, spread, draws=4).values["k"]
    for some in (torch.arange(10), torch.arange(2_040, 2_060), torch.arange(4_990, 5_000)):
        torch.testing.assert_close(abduct(scm, spread.take(some), draws=4).values["k"], whole[:, some], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_seeds_differ_and_repeat(seed: int) -> None:
    scm = SCM(random_spec(seed))
    columns = people(scm, 30, seed=seed)
    one, again, other = (abduct(scm, columns, draws=5, seed=each) for each in (1, 1, 2))
    for node in scm.spec.order:
        assert torch.equal(one.noise[node], again.noise[node])
        if scm.spec.nodes[node].kind != "real" or node in ("u", "y"):
            assert not torch.equal(one.noise[node], other.noise[node])


def test_a_world_says_what_it_was_abducted_from() -> None:
    scm = SCM(random_spec(0))
    columns = people(scm, 6)
    world = abduct(scm, columns, draws=3)
    assert (world.label, world.shape, set(world.given)) == ("factual", (3, 6), set(scm.spec.evidence))
    assert set(abduct(scm, columns, given=list(scm.spec.observed)).given) == set(scm.spec.observed)
    for node in scm.spec.order:
        size = scm.mechanisms[node].noise_size
        assert world.values[node].shape == (3, 6)
        assert world.noise[node].shape == ((3, 6) if size == 1 else (3, 6, size))
        assert world.values[node].dtype == torch.float64
        assert not world.values[node].requires_grad


def test_evidence_without_the_latents_children_leaves_its_prior() -> None:
    scm = one_latent(SHAPES["gentle"])
    columns = columns_of({"a": torch.arange(400) % 2})
    world = abduct(scm, columns, given=["a"], draws=1_000)
    z = world.values["k"][:, :2]
    torch.testing.assert_close(z.mean(0), torch.zeros(2).double(), rtol=0, atol=5e-3)
    torch.testing.assert_close(z.std(0), torch.ones(2).double(), rtol=5e-3, atol=0)
    assert torch.equal(world.values["x"], scm.mechanisms["x"].value(world.noise["x"], {"k": world.values["k"]}))


@pytest.mark.parametrize(
    ("given", "draws", "message"),
    [
        (["a", "ugpa"], 5, r"given: 'ugpa' is not an observed node"),
        (["a", "k"], 5, r"'k' is not an observed node"),
        (None, 0, r"draws: 0 draws cannot be made. Ask for at least 1"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(given: list[str] | None, draws: int, message: str) -> None:
    scm = one_latent(SHAPES["gentle"])
    with pytest.raises(QueryError, match=message):
        abduct(scm, people(scm, 4), given=given, draws=draws)


def test_a_model_without_latent_needs_no_inference() -> None:
    spec = random_spec(2, latent=False)
    scm = SCM(spec)
    world = abduct(scm, people(scm, 50), draws=3)
    assert world.moments is not None
    assert dict(world.moments.mean) == {}
    assert all(world.noise[node].isfinite().all() for node in spec.order)


@pytest.mark.parametrize("draws", [1, 2, 7, 200])
def test_personal_uniforms_are_one_in_each_stratum_and_uniform_over_people(draws: int) -> None:
    scm = SCM(random_spec(0))
    evidence = {"a": torch.arange(3_000.0, dtype=torch.float64)}
    uniforms = PersonalUniforms(scm, evidence, n=3_000, draws=draws, seed=0)
    for node in scm.spec.order:
        for column in uniforms(node).reshape(draws, 3_000, -1).unbind(-1):
            assert ((column > 0) & (column < 1)).all()
            assert_distribution(column[0], "uniform")
            gaps = (column.sort(0).values * draws).floor()
            assert ((gaps - gaps[0]).remainder(draws) == torch.arange(draws).unsqueeze(-1)).double().mean() > 0.999


def test_personal_uniforms_of_nodes_seeds_and_people_are_unrelated() -> None:
    scm = SCM(random_spec(0))
    evidence = {"a": torch.arange(4_000.0, dtype=torch.float64)}
    columns = [PersonalUniforms(scm, evidence, n=4_000, draws=1, seed=seed)(node)[0] for seed in (0, 1) for node in ("u", "y", "b")]
    columns = [column.reshape(4_000, -1)[:, 0] for column in columns]
    correlations = torch.corrcoef(torch.stack([*columns, columns[0].roll(1)]))
    assert (correlations - torch.eye(7)).abs().max() < 5 / 4_000**0.5


def test_a_fingerprint_knows_rows_by_their_values() -> None:
    one = {"a": torch.tensor([0.0, -0.0, 1.0, 0.0]).double(), "b": torch.tensor([1.0, 1.0, 0.0, 1.0 + 2**-52], dtype=torch.float64)}
    marks = fingerprint(one)
    assert marks[0] == marks[1]  # both zeros are one value
    assert len(marks.unique()) == 3
    assert torch.equal(fingerprint(dict(reversed(one.items()))), marks)
    swapped = fingerprint({"a": one["b"], "b": one["a"]})
    assert swapped[0] != marks[0]
