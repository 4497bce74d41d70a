"""Missing values integrated out: against the normal distribution's closed forms, and enumeration."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import torch
from holes import CHAIN, CHAIN_HOLES, CURVED, DISCRETE, DISCRETE_HOLES, Nodes, linear, normal, with_holes
from numpy.typing import NDArray

from cfair.errors import DataError, QueryError
from cfair.inference import abduct, posterior
from cfair.interfaces import Columns
from cfair.scm import SCM

from oracles import assert_mean, columns_of, declare, log_density, people

Floats = NDArray[np.float64]


def conditional(scm: SCM, columns: Columns, i: int, given: Sequence[str]) -> tuple[list[str], Floats, Floats]:
    """Mean and covariance of all real nodes that person i's known part of ``given`` leaves open."""
    names, mean, covariance = normal(scm, float(columns.coded["a"][i]))
    known = [n for n in names if n in given and not columns.coded[n][i].isnan()]
    open_ = [n for n in names if n not in known]
    k, o = [names.index(n) for n in known], [names.index(n) for n in open_]
    gain = covariance[np.ix_(o, k)] @ np.linalg.inv(covariance[np.ix_(k, k)]) if k else np.zeros((len(o), 0))
    seen = np.array([float(columns.coded[n][i]) for n in known])
    return open_, mean[o] + gain @ (seen - mean[k]), covariance[np.ix_(o, o)] - gain @ covariance[np.ix_(k, o)]


def test_latents_and_missing_non_descendants_have_the_moments_of_the_normal_distribution() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    for given in (None, scm.spec.observed):
        moments = posterior(scm, columns, given=given)
        for i in range(columns.n):
            names, mean, covariance = conditional(scm, columns, i, given or scm.spec.evidence)
            for node in {"k", "v"} & set(names):
                j = names.index(node)
                scale = {"k": 1.0, "v": 1.2e7}[node]
                assert float(moments.mean[node][i]) == pytest.approx(mean[j], abs=1e-8 * scale)
                assert float(moments.sd[node][i]) == pytest.approx(covariance[j, j] ** 0.5, abs=1e-8 * scale)
            if "v" not in names:
                assert float(moments.mean["v"][i]) == float(columns.coded["v"][i])
                assert float(moments.sd["v"][i]) == 0.0


def test_draws_of_missing_values_are_joint_draws_with_the_latents() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    world = abduct(scm, columns, draws=4_000, seed=3)
    for i in range(columns.n):
        names, mean, covariance = conditional(scm, columns, i, scm.spec.evidence)
        for (j, one), (m, other) in product(enumerate(names), repeat=2):
            first, second = world.values[one][:, i] - mean[j], world.values[other][:, i] - mean[m]
            assert_mean(first, 0.0)
            assert_mean(first * second, covariance[j, m])


def test_the_world_of_incomplete_people_is_consistent_and_keeps_what_they_have() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    world = abduct(scm, columns, draws=7)
    for node, mechanism in scm.mechanisms.items():
        again = mechanism.value(world.noise[node], scm.parents(node, world.values))
        torch.testing.assert_close(again.expand(world.shape), world.values[node].expand(world.shape), rtol=1e-10, atol=1e-10)
    for node in scm.spec.evidence:
        known = ~columns.coded[node].isnan()
        assert torch.equal(world.values[node][:, known], columns.coded[node][known].expand(7, -1))


def test_a_persons_draws_depend_on_what_that_person_has_only() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    together = abduct(scm, columns, draws=5, seed=2)
    for i in range(columns.n):
        alone = abduct(scm, columns.take(torch.tensor([i])), draws=5, seed=2)
        for node in scm.spec.nodes:
            torch.testing.assert_close(alone.values[node][:, 0], together.values[node][:, i], rtol=1e-12, atol=1e-12)


def enumerated(scm: SCM, columns: Columns, i: int, given: Sequence[str]) -> tuple[list[str], Floats, Floats]:
    """Every combination of the levels that person i's known evidence leaves open, (nodes, combinations), and its probability."""
    spec = scm.spec
    known = {n: float(columns.coded[n][i]) for n in given if not columns.coded[n][i].isnan()}
    open_ = [n for n in spec.order if n not in known and (n in given or n in spec.latents) and spec.nodes[n].discrete]
    grid = np.array(list(product(*(range(len(spec.nodes[n].levels)) for n in open_))), dtype=float).T.reshape(len(open_), -1)
    at = {**{n: np.full(grid.shape[1], value) for n, value in known.items()}, **dict(zip(open_, grid, strict=True))}
    log_joint = sum((log_density(scm, n, at) for n in at), np.zeros(grid.shape[1]))
    weights = np.exp(log_joint - log_joint.max())
    return open_, grid, weights / weights.sum()


def test_levels_are_summed_over_as_by_enumeration() -> None:
    scm = SCM(declare(DISCRETE))
    columns = with_holes(people(scm, 8, seed=5), DISCRETE_HOLES)
    moments = posterior(scm, columns)
    world = abduct(scm, columns, draws=4_000, seed=1)
    for i in range(columns.n):
        names, grid, weights = enumerated(scm, columns, i, scm.spec.evidence)
        for level in (0, 1):
            expected = weights[grid[names.index("k")] == level].sum()
            assert float(moments.probabilities["k"][i, level]) == pytest.approx(expected, abs=1e-12)
        for (j, one), (m, other) in product(enumerate(names), repeat=2):
            for first, second in product(range(2), repeat=2):
                both = ((world.values[one][:, i] == first) & (world.values[other][:, i] == second)).double()
                assert_mean(both, float(weights[(grid[j] == first) & (grid[m] == second)].sum()))


def test_who_lacks_everything_but_the_protected_attributes_is_drawn_from_the_model() -> None:
    scm = SCM(declare(CHAIN))
    whole = people(scm, 1, seed=1)
    columns = with_holes(whole, {node: [0] for node in scm.spec.observed if node != "a"})
    names, mean, covariance = normal(scm, float(whole["a"][0]))
    world = abduct(scm, columns, draws=4_000)
    for j, node in enumerate(names):
        assert_mean(world.values[node][:, 0], mean[j])
        assert_mean((world.values[node][:, 0] - mean[j]).square(), covariance[j, j])
    assert float(posterior(scm, columns).mean["k"]) == pytest.approx(0.0, abs=1e-12)


def test_a_column_with_holes_is_refused_by_whoever_reads_it_as_a_whole_one() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 4, seed=1), {"x": [1, 2]})
    for read in (lambda: columns["x"], lambda: dict(columns), lambda: scm.model(columns)):
        with pytest.raises(DataError, match=r"column 'x': 2 of 4 values are missing"):
            read()
    assert torch.equal(columns.take(torch.tensor([0, 3]))["x"], columns.coded["x"][[0, 3]])


@pytest.mark.parametrize(
    ("nodes", "holes", "message"),
    [
        (
            {"x": {"mechanism": "poisson"}, "z": {"mechanism": "gaussian", "parents": ["x"]}},
            ["x"],
            "missing values of 'x' have observed effects",
        ),
        (
            {name: {"mechanism": "gaussian"} for name in "stuv"} | {"z": {"mechanism": "poisson", "parents": list("stuv")}},
            list("stuv"),
            "4 real values hang together .* in rows where s, t, u, v are missing",
        ),
    ],
)
def test_what_cannot_be_integrated_out_is_refused_by_its_pattern(nodes: Nodes, holes: list[str], message: str) -> None:
    scm = SCM(declare({"a": {"mechanism": "bernoulli", "levels": ["n", "y"]}, **nodes, "y": {"mechanism": "gaussian", "parents": ["z"]}}))
    columns = columns_of({node: torch.ones(3) for node in scm.spec.observed})
    with pytest.raises(QueryError, match=message):
        abduct(scm, with_holes(columns, {node: [1] for node in holes}))


MIXED: Nodes = {  # levels of which some are impossible, and four numbers that hang together
    **{node: CHAIN[node] for node in ("a", "v", "k")},
    "t": {
        "mechanism": "table",
        "parents": ["a"],
        "levels": ["1", "2", "3"],
        "parameters": {"probabilities": [{"a": "no", "p": [0.4, 0.6, 0.0]}, {"a": "yes", "p": [0.0, 0.3, 0.7]}]},
    },
    "x": linear({"t=2": 1.0, "t=3": -2.0, "k": 0.9}, 0.3, 0.6),
    "z": linear({"x": 1.4, "k": 0.5}, -1.0, 0.8),
    "w": linear({"z": 0.7, "v": 1e-7}, 2.0, 0.5),
    "y": linear({"w": 0.6, "k": 1.1}, 0.0, 0.7),
}


def test_levels_and_many_numbers_are_integrated_out_together() -> None:
    """p(k | y, a) = Σ_t p(t | a)·p(y | t)·p(k | y, t) / p(y | a), each normal, with what cannot be left out."""
    scm = SCM(declare(MIXED))
    columns = with_holes(people(scm, 6, seed=1), {node: range(6) for node in "tvxzw"})
    moments = posterior(scm, columns, given=scm.spec.observed)
    world = abduct(scm, columns, given=scm.spec.observed, draws=2_000)
    slope, variance = 1.4 * 0.7 * 0.6, (0.9 * 1.4 + 0.5) * 0.7 * 0.6 + 1.1  # of x's noise, and of k, in y
    noise = (slope * 0.6) ** 2 + (0.7 * 0.6 * 0.8) ** 2 + (0.6 * 0.5) ** 2 + (0.6 * 1e-7 * 1.2e7) ** 2 + 0.7**2
    for i in range(columns.n):
        p = np.array([[0.4, 0.6, 0.0], [0.0, 0.3, 0.7]][int(columns["a"][i])])
        x = 0.3 + np.array([0.0, 1.0, -2.0])
        center = 0.6 * (2.0 + 1e-7 * 4e7 + 0.7 * (-1.0 + 1.4 * x))
        total = variance**2 + noise
        weights = p * np.exp(-0.5 * (float(columns["y"][i]) - center) ** 2 / total)
        weights /= weights.sum()
        mean = variance * (float(columns["y"][i]) - center) / total
        assert float(moments.mean["k"][i]) == pytest.approx(float(weights @ mean), abs=1e-8)
        for level, weight in enumerate(weights):
            assert_mean((world.values["t"][:, i] == level).double(), float(weight))
    assert all(value.isfinite().all() for value in world.values.values())


def test_a_number_with_levels_and_counts_for_children_is_integrated_out_as_by_a_fine_grid() -> None:
    scm = SCM(declare(CURVED))
    columns = with_holes(people(scm, 6, seed=2), {"x": range(6), "w": [4, 5]})
    moments = posterior(scm, columns)
    world = abduct(scm, columns, draws=4_000)
    x = np.linspace(40 - 90, 40 + 90, 40_001)
    for i in range(columns.n):
        values = {node: np.full_like(x, float(columns.coded[node][i])) for node in ("a", "z", "w")} | {"x": x}
        seen = ["x", "z", *(["w"] if i < 4 else [])]
        weights = np.exp(sum((log_density(scm, node, values) for node in seen), np.zeros_like(x)))
        weights /= weights.sum()
        mean = float(weights @ x)
        sd = float(weights @ (x - mean) ** 2) ** 0.5
        assert float(moments.mean["x"][i]) == pytest.approx(mean, abs=1e-6 * sd)
        assert float(moments.sd["x"][i]) == pytest.approx(sd, rel=1e-6)
        assert_mean(world.values["x"][:, i], mean)
        rate = np.exp(-1 + 0.04 * x)
        expected = float(weights @ rate) if i >= 4 else float(columns.coded["w"][i])
        spread = float(weights @ (rate + rate**2)) - expected**2 if i >= 4 else 0.0
        assert float(moments.mean["w"][i]) == pytest.approx(expected, rel=1e-6)
        assert float(moments.sd["w"][i]) == pytest.approx(spread**0.5, rel=1e-6)
        assert_mean(world.values["w"][:, i], expected)
