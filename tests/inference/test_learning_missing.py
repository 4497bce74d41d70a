"""Learning from rows with missing values: the likelihood against closed forms, estimates against the truth and those of whole rows."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from holes import CHAIN, CHAIN_HOLES, CURVED, DISCRETE, DISCRETE_HOLES, A, Nodes, normal, with_holes
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor

from cfair.errors import QueryError
from cfair.inference import learn
from cfair.inference.parts import parts_of
from cfair.interfaces import Columns
from cfair.scm import SCM

from oracles import assert_mean, columns_of, declare, log_density, people

Floats = NDArray[np.float64]


def log_likelihood(scm: SCM, columns: Columns) -> float:
    """Of the SCM's own parameters."""
    each = [part.density(scm, 0) for part in parts_of(scm, columns)]
    return sum(float(part.weights @ part.log_likelihood({}, torch.arange(part.log_likelihood.n))) for part in each)


def test_the_likelihood_is_that_of_the_normal_margins() -> None:
    scm = SCM(declare(CHAIN))
    columns = with_holes(people(scm, 8, seed=1), CHAIN_HOLES)
    expected = 0.0
    for i in range(columns.n):
        names, mean, covariance = normal(scm, float(columns["a"][i]))
        at = [j for j, name in enumerate(names) if name in columns and not columns.coded[name][i].isnan()]
        if at:
            sd = np.diag(covariance)[at] ** 0.5  # in whose unit no entry is so small as to be lost
            apart = (np.array([float(columns.coded[names[j]][i]) for j in at]) - mean[at]) / sd
            expected += multivariate_normal.logpdf(apart, cov=covariance[np.ix_(at, at)] / np.outer(sd, sd)) - np.log(sd).sum()
        expected += float(log_density(scm, "a", {"a": columns["a"][i : i + 1].numpy()})[0])
    assert log_likelihood(scm, columns) == pytest.approx(expected, abs=1e-8)


def test_the_likelihood_of_levels_is_that_of_enumeration() -> None:
    scm = SCM(declare(DISCRETE))
    columns = with_holes(people(scm, 8, seed=5), DISCRETE_HOLES)
    expected = 0.0
    for i in range(columns.n):
        known = {n: float(columns.coded[n][i]) for n in scm.spec.observed if not columns.coded[n][i].isnan()}
        if "w" not in known:  # a count without a known effect sums to 1; its missing parents' own sums are its own, too
            known.pop("y", None)
        open_ = [n for n in scm.spec.order if n not in known and scm.spec.nodes[n].discrete and (n != "y")]
        grid = np.array(list(product(*(range(len(scm.spec.nodes[n].levels)) for n in open_))), dtype=float).T.reshape(len(open_), -1)
        at = {**{n: np.full(grid.shape[1], v) for n, v in known.items()}, **dict(zip(open_, grid, strict=True))}
        expected += float(logsumexp(sum((log_density(scm, n, at) for n in at), np.zeros(grid.shape[1]))))
    holed = with_holes(columns, {"y": [6, 7]})
    assert log_likelihood(scm, holed) == pytest.approx(expected, rel=1e-12)


MODEL: Nodes = {
    **A,
    "x": {"mechanism": "gaussian", "parents": ["a"]},
    "z": {"mechanism": "gaussian", "parents": ["a", "x"]},
    "y": {"mechanism": "gaussian", "parents": ["z", "x"]},
}
TRUE: Nodes = {
    **A,
    "x": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 10.0, "weights": {"a=yes": 4.0}, "scale": 3.0}},
    "z": {
        "mechanism": "gaussian",
        "parents": ["a", "x"],
        "parameters": {"intercept": 1.0, "weights": {"a=yes": -2.0, "x": 0.5}, "scale": 1.0},
    },
    "y": {"mechanism": "gaussian", "parents": ["z", "x"], "parameters": {"intercept": 0.0, "weights": {"z": 1.0, "x": -0.3}, "scale": 0.7}},
}


def figures(scm: SCM) -> dict[str, float]:
    """Every learned number by its name."""
    raw = {node: parameters for node, parameters in scm.parameters_in_units().items() if node != "a"}
    found: dict[str, float] = {}
    for node, parameters in raw.items():
        for name, value in parameters.items():
            own: dict[str, Any] = value if isinstance(value, dict) else {"": value}
            found |= {f"{node}.{name}.{key}": number for key, number in own.items()}
    return found


def replicated(missing: Callable[[Columns, Tensor], dict[str, Tensor]], count: int = 6, n: int = 400) -> tuple[Tensor, Tensor]:
    """Errors of what is learned from rows with holes, and from whole rows only, each of shape (count, figures)."""
    truth = torch.tensor(list(figures(SCM(declare(TRUE))).values()))
    errors: tuple[list[Tensor], list[Tensor]] = ([], [])
    for seed in range(count):
        whole = people(SCM(declare(TRUE)), n, seed=seed)
        uniform = torch.rand(n, generator=torch.Generator().manual_seed(1_000 + seed), dtype=torch.float64)
        holes = missing(whole, uniform)
        holed = with_holes(whole, {node: mask.nonzero().squeeze(-1).tolist() for node, mask in holes.items()})
        dropped = whole.take((~torch.stack(list(holes.values())).any(0)).nonzero().squeeze(-1))
        for found, table in zip(errors, (holed, dropped), strict=True):
            found.append(torch.tensor(list(figures(learn(declare(MODEL), table)).values())) - truth)
    latent, drop = (torch.stack(found) for found in errors)
    return latent, drop


@pytest.mark.slow
def test_missing_completely_at_random_estimates_are_right_and_better_than_those_of_whole_rows() -> None:
    latent, drop = replicated(
        lambda whole, uniform: {"x": uniform < 0.3, "z": (uniform > 0.3) & (uniform < 0.5), "y": uniform > 0.7}, 25, 1_000
    )
    for error in latent.unbind(1):
        assert_mean(error, 0.0)
    assert float((latent.square().mean(0) / drop.square().mean(0)).log().mean()) < -0.3


def test_missing_at_random_whole_rows_mislead_and_integrating_out_does_not() -> None:
    """Who lacks x depends on the protected attribute and on z, which everyone has."""
    latent, drop = replicated(lambda whole, uniform: {"x": uniform < torch.sigmoid(1.5 * (whole["z"] - 6.0) + whole["a"])})
    for error in latent.unbind(1):
        assert_mean(error, 0.0)
    misled = drop.mean(0).abs() / (drop.std(0) / len(drop) ** 0.5)
    assert float(misled.max()) > 10


def test_who_lacks_a_value_may_depend_on_the_protected_attribute() -> None:
    """Left out, these people are missing from the estimate of the attribute's own distribution."""
    scm = SCM(declare(TRUE))
    whole = people(scm, 4_000, seed=1)
    uniform = torch.rand(whole.n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gone = uniform < 0.1 + 0.6 * whole["a"]
    free = declare({**MODEL, "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]}})
    latent = learn(free, with_holes(whole, {"x": gone.nonzero().squeeze(-1).tolist()})).parameters_in_units()["a"]["intercept"]
    drop = learn(free, whole.take((~gone).nonzero().squeeze(-1))).parameters_in_units()["a"]["intercept"]
    error = (1 / (whole.n * 0.25)) ** 0.5
    assert abs(float(latent) - 0.2) < 5 * error
    assert abs(float(drop) - 0.2) > 5 * error


TABLES: Nodes = {
    "a": {"mechanism": "table", "levels": ["0", "1"]},
    "b": {"mechanism": "table", "levels": ["0", "1", "2"], "parents": ["a"], "prior": 0.0},
    "c": {"mechanism": "table", "levels": ["0", "1"], "parents": ["a", "b"]},
    "y": {"mechanism": "table", "levels": ["0", "1"], "parents": ["b", "c"]},
}


def test_tables_are_those_of_an_independent_expectation_and_maximisation() -> None:
    spec = declare(TABLES)
    generator = torch.Generator().manual_seed(3)
    n = 300
    a, noise = torch.randint(0, 2, (n,), generator=generator), torch.rand(3, n, generator=generator)
    b = (noise[0] * 3 * (0.6 + 0.4 * a)).long().clamp(max=2)
    c = (noise[1] < 0.2 + 0.3 * b - 0.1 * a).long()
    y = (noise[2] < 0.1 + 0.25 * b + 0.2 * c).long()
    columns = columns_of({"a": a, "b": b, "c": c, "y": y})
    holes = {"b": range(90), "c": range(60, 150), "y": range(140, 180)}
    scm = learn(spec, with_holes(columns, {node: list(rows) for node, rows in holes.items()}))
    expected = _tables_by_numpy(columns, {node: set(rows) for node, rows in holes.items()})
    for node, table in expected.items():
        rows = scm.parameters_in_units()[node]["probabilities"]
        found = np.array([row["p"] for row in rows]).reshape(table.shape)  # type: ignore[attr-defined]
        np.testing.assert_allclose(found, table, atol=1e-7)


def _tables_by_numpy(columns: Columns, holes: dict[str, set[int]]) -> dict[str, Floats]:
    sizes, cells = (2, 3, 2, 2), {"a": 0.5, "b": 0.0, "c": 0.5, "y": 0.5}
    p: dict[str, Floats] = {"a": np.full(2, 0.5), "b": np.full((2, 3), 1 / 3), "c": np.full((2, 3, 2), 0.5), "y": np.full((3, 2, 2), 0.5)}
    data = np.stack([columns[node].numpy().astype(int) for node in "abcy"], 1)
    for _ in range(4_000):
        joint = np.einsum("a,ab,abc,bcy->abcy", p["a"], p["b"], p["c"], p["y"])
        counts = np.zeros(sizes)
        for i, row in enumerate(data):
            at = tuple(slice(None) if i in holes.get(node, ()) else row[j] for j, node in enumerate("abcy"))
            counts[at] += joint[at] / joint[at].sum()
        sums = {"a": counts.sum((1, 2, 3)), "b": counts.sum((2, 3)), "c": counts.sum(3), "y": counts.sum(0)}
        new = {node: (s + cells[node]) / (s + cells[node]).sum(-1, keepdims=True) for node, s in sums.items()}
        moved = max(np.abs(new[node] - p[node]).max() for node in p)
        p = new
        if moved < 1e-11:
            break
    return p


def test_tables_and_other_parameters_with_a_missing_value_in_common_are_learned_in_turn() -> None:
    """A mixture whose component is known of some: the estimates make the likelihood at least as high as the truth does."""
    nodes: Nodes = {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
        "t": {"mechanism": "table", "levels": ["0", "1"], "parents": ["a"]},
        "x": {"mechanism": "gaussian", "parents": ["t"]},
        "y": {"mechanism": "gaussian", "parents": ["x"]},
    }
    known: Nodes = {
        "a": {**nodes["a"], "parameters": {"intercept": 0.0, "weights": {}}},
        "t": {**nodes["t"], "parameters": {"probabilities": [{"a": "no", "p": [0.7, 0.3]}, {"a": "yes", "p": [0.2, 0.8]}]}},
        "x": {**nodes["x"], "parameters": {"intercept": 0.0, "weights": {"t=1": 2.0}, "scale": 1.0}},
        "y": {**nodes["y"], "parameters": {"intercept": 0.0, "weights": {"x": 1.0}, "scale": 1.0}},
    }
    truth = SCM(declare(known))
    columns = with_holes(people(truth, 1_500, seed=4), {"t": list(range(900))})
    found = learn(declare(nodes), columns)
    rows = found.parameters_in_units()["t"]["probabilities"]
    assert [row["p"][1] for row in rows] == pytest.approx([0.3, 0.8], abs=5 * 0.024)  # type: ignore[attr-defined]
    assert found.parameters_in_units()["x"]["weights"]["t=1"] == pytest.approx(2.0, abs=5 * 0.08)  # type: ignore[index]
    assert log_likelihood(found, columns) > log_likelihood(truth, columns)


def test_a_latents_children_may_be_missing() -> None:
    nodes: Nodes = {
        **A,
        "k": {"mechanism": "gaussian", "latent": True},
        **{f"x{j}": {"mechanism": "gaussian", "parents": ["a", "k"]} for j in range(4)},
        "y": {"mechanism": "gaussian", "parents": ["k"]},
    }
    loadings = [0.9, 1.2, 0.7, 1.0]
    known: Nodes = {
        **nodes,
        **{
            f"x{j}": {
                "mechanism": "gaussian",
                "parents": ["a", "k"],
                "parameters": {"intercept": 1.0, "weights": {"a=yes": 0.5, "k": loading}, "scale": 0.8},
            }
            for j, loading in enumerate(loadings)
        },
        "y": {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 1.0}},
    }
    whole = people(SCM(declare(known)), 2_000, seed=1)
    columns = with_holes(whole, {f"x{j}": list(range(j, 2_000, 4)) for j in range(4)})  # nobody has everything
    found = learn(declare(nodes), columns).parameters_in_units()
    for j, loading in enumerate(loadings):
        assert found[f"x{j}"]["weights"]["k"] == pytest.approx(loading, abs=5 * 0.035)  # type: ignore[index]


def test_a_column_without_any_entry_is_refused() -> None:
    whole = people(SCM(declare(TRUE)), 5, seed=1)
    with pytest.raises(QueryError, match="nobody has an entry in the column 'x'"):
        learn(declare(MODEL), with_holes(whole, {"x": range(5)}))


def test_levels_and_counts_are_learned_from_rows_that_lack_their_parent() -> None:
    """Who lacks x is told by z and w, so that whole rows mislead."""
    scm = SCM(declare(CURVED))
    whole = people(scm, 3_000, seed=6)
    uniform = torch.rand(whole.n, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    gone = uniform < 0.1 + 0.5 * whole["z"] + 0.1 * (whole["w"] > 2)
    free = {node: {key: value for key, value in said.items() if key != "parameters"} for node, said in CURVED.items()}
    truth = scm.parameters_in_units()
    found = learn(declare({**free, "a": CURVED["a"]}), with_holes(whole, {"x": gone.nonzero().squeeze(-1).tolist()})).parameters_in_units()
    dropped = learn(declare({**free, "a": CURVED["a"]}), whole.take((~gone).nonzero().squeeze(-1))).parameters_in_units()
    for node, name, error in (("x", "intercept", 0.25), ("x", "scale", 0.2), ("w", "intercept", 0.08), ("z", "intercept", 0.5)):
        assert found[node][name] == pytest.approx(truth[node][name], abs=5 * error)
    assert found["z"]["weights"]["x"] == pytest.approx(0.2, abs=5 * 0.012)  # type: ignore[index]
    assert abs(float(str(dropped["x"]["intercept"])) - 40.0) > 5 * 0.25
