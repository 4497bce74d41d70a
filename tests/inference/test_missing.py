"""Missing values integrated out: against the normal distribution's closed forms, and enumeration."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cfair.errors import DataError, QueryError
from cfair.inference import abduct, posterior
from cfair.interfaces import Columns
from cfair.scm import SCM

from oracles import assert_mean, columns_of, declare, log_density, people

Floats = NDArray[np.float64]
Nodes = dict[str, dict[str, Any]]

A: Nodes = {"a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.2, "weights": {}}}}


def linear(parents: Mapping[str, float], intercept: float, scale: float) -> dict[str, Any]:
    names = [name.split("=")[0] for name in parents]
    return {"mechanism": "gaussian", "parents": names, "parameters": {"intercept": intercept, "weights": dict(parents), "scale": scale}}


CHAIN: Nodes = {  # k -> x -> z -> w, and a, k -> z; v descends from nothing and is a parent of w; y is the outcome
    **A,
    "v": linear({}, 4e7, 1.2e7),
    "k": {"mechanism": "gaussian", "latent": True},
    "x": linear({"a=yes": 1.0, "k": 0.9}, 0.3, 0.6),
    "z": linear({"a=yes": -0.5, "x": 1.4, "k": 0.5}, -1.0, 0.8),
    "w": linear({"z": 0.7, "v": 1e-7}, 2.0, 0.5),
    "y": linear({"a=yes": 0.4, "w": 0.6, "k": 1.1, "v": 2e-8}, 0.0, 0.7),
}


def with_holes(columns: Columns, holes: Mapping[str, Sequence[int]]) -> Columns:
    """The table without these entries: node -> rows."""
    coded, missing = dict(columns.coded), {}
    for node, rows in holes.items():
        mask = torch.zeros(columns.n, dtype=torch.bool)
        mask[list(rows)] = True
        coded[node], missing[node] = torch.where(mask, torch.nan, coded[node]), mask
    return Columns(coded, columns.rows, columns.facts, columns.weights, missing)


def normal(scm: SCM, a: float) -> tuple[list[str], Floats, Floats]:
    """Names, mean and covariance of the real nodes given a, by x = b + Wx + Σu."""
    names = [node for node in scm.spec.order if node != "a"]
    raw = scm.parameters_in_units()
    b = np.array([raw[n]["intercept"] + raw[n]["weights"].get("a=yes", 0.0) * a for n in names])
    w = np.array([[raw[n]["weights"].get(m, 0.0) for m in names] for n in names])
    s = np.diag([raw[n]["scale"] ** 2 for n in names])
    inverse = np.linalg.inv(np.eye(len(names)) - w)
    return names, inverse @ b, inverse @ s @ inverse.T


def conditional(scm: SCM, columns: Columns, i: int, given: Sequence[str]) -> tuple[list[str], Floats, Floats]:
    """Mean and covariance of all real nodes that person i's known part of ``given`` leaves open."""
    names, mean, covariance = normal(scm, float(columns.coded["a"][i]))
    known = [n for n in names if n in given and not columns.coded[n][i].isnan()]
    open_ = [n for n in names if n not in known]
    k, o = [names.index(n) for n in known], [names.index(n) for n in open_]
    gain = covariance[np.ix_(o, k)] @ np.linalg.inv(covariance[np.ix_(k, k)]) if k else np.zeros((len(o), 0))
    seen = np.array([float(columns.coded[n][i]) for n in known])
    return open_, mean[o] + gain @ (seen - mean[k]), covariance[np.ix_(o, o)] - gain @ covariance[np.ix_(k, o)]


HOLES = {"x": [1, 4, 6, 7], "z": [2, 4, 7], "w": [3, 5, 6, 7], "v": [5, 6, 7], "y": [0, 1, 7]}


def test_latents_and_missing_non_descendants_have_the_moments_of_the_normal_distribution() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 8, seed=1), HOLES)
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
    columns = with_holes(people(scm, 8, seed=1), HOLES)
    world = abduct(scm, columns, draws=4_000, seed=3)
    for i in range(columns.n):
        names, mean, covariance = conditional(scm, columns, i, scm.spec.evidence)
        for (j, one), (m, other) in product(enumerate(names), repeat=2):
            first, second = world.values[one][:, i] - mean[j], world.values[other][:, i] - mean[m]
            assert_mean(first, 0.0)
            assert_mean(first * second, covariance[j, m])


def test_the_world_of_incomplete_people_is_consistent_and_keeps_what_they_have() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 8, seed=1), HOLES)
    world = abduct(scm, columns, draws=7)
    for node, mechanism in scm.mechanisms.items():
        again = mechanism.value(world.noise[node], scm.parents(node, world.values))
        torch.testing.assert_close(again.expand(world.shape), world.values[node].expand(world.shape), rtol=1e-10, atol=1e-10)
    for node in scm.spec.evidence:
        known = ~columns.coded[node].isnan()
        assert torch.equal(world.values[node][:, known], columns.coded[node][known].expand(7, -1))


def test_a_persons_draws_depend_on_what_that_person_has_only() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 8, seed=1), HOLES)
    together = abduct(scm, columns, draws=5, seed=2)
    for i in range(columns.n):
        alone = abduct(scm, columns.take(torch.tensor([i])), draws=5, seed=2)
        for node in scm.spec.nodes:
            torch.testing.assert_close(alone.values[node][:, 0], together.values[node][:, i], rtol=1e-12, atol=1e-12)


DISCRETE: Nodes = {
    **A,
    "k": {"mechanism": "bernoulli", "latent": True, "levels": ["n", "y"], "parameters": {"intercept": -0.3, "weights": {}}},
    "t": {
        "mechanism": "table",
        "parents": ["a"],
        "levels": ["1", "2", "3"],
        "parameters": {"probabilities": [{"a": "no", "p": [0.5, 0.3, 0.2]}, {"a": "yes", "p": [0.1, 0.3, 0.6]}]},
    },
    "x": {
        "mechanism": "categorical",
        "parents": ["t", "k"],
        "levels": ["l", "m", "h"],
        "parameters": {
            "m": {"intercept": 0.1, "weights": {"t=2": 1.0, "t=3": -0.5, "k=y": 0.7}},
            "h": {"intercept": -0.4, "weights": {"t=2": 0.3, "t=3": 1.5, "k=y": -1.0}},
        },
    },
    "z": {
        "mechanism": "bernoulli",
        "parents": ["x", "k"],
        "levels": ["n", "y"],
        "parameters": {"intercept": 0.2, "weights": {"x=m": 1.0, "x=h": -1.0, "k=y": 1.3}},
    },
    "w": {
        "mechanism": "poisson",
        "parents": ["z", "t"],
        "parameters": {"intercept": 0.5, "weights": {"z=y": 0.8, "t=2": -0.2, "t=3": 0.4}},
    },
    "y": {
        "mechanism": "bernoulli",
        "parents": ["w", "x"],
        "levels": ["n", "y"],
        "parameters": {"intercept": -0.5, "weights": {"w": 0.3, "x=m": 0.2, "x=h": 0.9}},
    },
}
DISCRETE_HOLES = {"t": [1, 4, 5, 7], "x": [2, 4, 6, 7], "z": [3, 5, 6, 7], "w": [6, 7]}


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
