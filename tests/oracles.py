"""Small SCMs with known answers, and second computations that share no code with the library."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln, log_expit, log_ndtr, logsumexp
from scipy.stats import kstest, t
from torch import Tensor

from cfair.families import FAMILIES
from cfair.interfaces import Columns, Facts
from cfair.scm import SCM
from cfair.spec import ModelSpec, weight_names
from cfair.worlds import simulate

from networks import NETWORKS, network_log_density

__all__ = [
    "BASIC",
    "LINEAR",
    "assert_distribution",
    "assert_mean",
    "columns_of",
    "declare",
    "factor",
    "grid_posterior",
    "log_density",
    "people",
    "random_spec",
    "rows_of",
]

Floats = NDArray[np.float64]
Nodes = Mapping[str, Mapping[str, Any]]

WEAK = 1e-6  # p-value below which a test at a fixed seed fails: as rare as five standard errors


def assert_mean(draws: Tensor, expected: float, standard_errors: float = 5.0) -> None:
    """The sample mean of independent draws lies within so many standard errors of ``expected``."""
    error = float(draws.std()) / draws.numel() ** 0.5
    found = float(draws.mean())
    assert abs(found - expected) <= standard_errors * error + 1e-12, f"{found:.6f} is not {expected} ± {error:.6f}"


def assert_distribution(draws: Tensor, cdf: Any) -> None:
    """Independent draws follow a continuous distribution (Kolmogorov & Smirnov)."""
    p = kstest(draws.flatten().numpy(), cdf).pvalue
    assert p > WEAK, f"p = {p:.2g}"


def declare(nodes: Nodes, *, protected: Sequence[str] = ("a",), outcome: str = "y") -> ModelSpec:
    """A model of these nodes."""
    return ModelSpec.model_validate({"protected": list(protected), "outcome": outcome, "nodes": nodes})


def columns_of(values: Mapping[str, Tensor]) -> Columns:
    """Coded values as a table."""
    n = len(next(iter(values.values())))
    return Columns({node: column.to(torch.float64) for node, column in values.items()}, torch.arange(n), Facts("simulated", n, "0" * 64))


def people(scm: SCM, n: int, *, seed: int = 0) -> Columns:
    """A table of people drawn from the model, its latents left out."""
    world = simulate(scm, n, seed=seed)
    return columns_of({node: world.values[node][0] for node in scm.spec.observed})


LINEAR = declare(  # y = 0.5 + 2a − m + u_y, m = 1 + 3a + 2u_m: a's effect on y is 2 directly and −3 through m
    {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.3, "weights": {}}},
        "m": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 1.0, "weights": {"a=yes": 3.0}, "scale": 2.0}},
        "y": {
            "mechanism": "gaussian",
            "parents": ["a", "m"],
            "parameters": {"intercept": 0.5, "weights": {"a=yes": 2.0, "m": -1.0}, "scale": 1.0},
        },
    }
)


def factor(loadings: Sequence[float], scales: Sequence[float]) -> ModelSpec:
    """One latent with gaussian children x0, x1, ... and an outcome that the latent does not touch."""
    children = {
        f"x{j}": {
            "mechanism": "gaussian",
            "parents": ["a", "k"],
            "parameters": {"intercept": 0.5 * j, "weights": {"a=yes": 1.0, "k": loading}, "scale": scale},
        }
        for j, (loading, scale) in enumerate(zip(loadings, scales, strict=True))
    }
    a = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}}
    y = {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {}, "scale": 1.0}}
    return declare({"a": a, "k": {"mechanism": "gaussian", "latent": True}, **children, "y": y})


BASIC = ("bernoulli", "categorical", "gaussian", "poisson")


def random_spec(seed: int, *, latent: bool = True, free: bool = False, families: Sequence[str] = BASIC) -> ModelSpec:
    """A random model of these families, parameters moderate and fixed, or ``free``; the latent ``u`` sometimes has a parent."""
    dice = Random(seed)
    order = ["a", "b", "u", "c", "d", "e", "y", "z"]
    nodes: dict[str, dict[str, Any]] = {}
    for name in order if latent else [name for name in order if name != "u"]:
        mechanism = {"a": dice.choice(["bernoulli", "categorical"]), "u": "gaussian"}.get(name) or dice.choice(families)
        before = [parent for parent in nodes if parent != "u"]
        parents = dice.sample(before, min(len(before), dice.randint(0, 2)))
        if mechanism == "table":
            parents = [parent for parent in parents if nodes[parent]["levels"]]
        elif latent and name in "cdey" and "u" in nodes and FAMILIES[mechanism].latent_parents:
            parents.insert(dice.randint(0, len(parents)), "u")
        levels = {"bernoulli": 2} | dict.fromkeys(["categorical", "ordinal", "table"], dice.randint(2, 4))
        nodes[name] = {
            "mechanism": {"family": mechanism, "hidden": [4], "epochs": 5} if mechanism in NETWORKS else mechanism,
            "parents": parents,
            "latent": name == "u",
            "levels": [f"L{j}" for j in range(levels.get(mechanism, 0))],
        }
    bare = declare(nodes)
    if free:
        return bare
    return declare({name: {**node, "parameters": _parameters(dice, bare, name)} for name, node in nodes.items()})


def _parameters(dice: Random, spec: ModelSpec, name: str) -> dict[str, Any]:
    node = spec.nodes[name]

    def linear(size: float) -> dict[str, Any]:
        weights = {
            weight: dice.uniform(-size, size) / (3 if spec.nodes[weight.split("=")[0]].kind == "count" else 1)
            for weight in weight_names(spec, name)
        }
        return {"intercept": dice.uniform(-1, 1), "weights": weights}

    if node.mechanism == "categorical":
        return {level: linear(1.0) for level in node.levels[1:]}
    if node.mechanism == "table":
        return {"probabilities": rows_of(spec, name, lambda: dice.uniform(0.1, 1.0))}
    if node.mechanism in NETWORKS:
        return {}
    if node.mechanism == "ordinal":
        cutpoints = np.cumsum([dice.uniform(-1, 0), *(dice.uniform(0.3, 1.5) for _ in node.levels[2:])])
        return {"cutpoints": cutpoints.tolist(), "weights": linear(1.0)["weights"]}
    if node.latent:
        return {"weights": linear(0.5)["weights"]}
    if node.mechanism == "negative_binomial":
        return {**linear(0.3), "concentration": dice.uniform(0.5, 5.0)}
    scale = {"scale": dice.uniform(0.4, 1.5)} if node.kind == "real" else {}
    scale |= {"degrees": dice.uniform(2.5, 9.0)} if node.mechanism == "student_t" else {}
    return {**linear(0.3 if node.mechanism == "poisson" else 1.0), **scale}


def rows_of(spec: ModelSpec, name: str, weight: Callable[[], float]) -> list[dict[str, Any]]:
    """Rows of a table, each level's probability in proportion to a fresh ``weight()``."""
    node, rows = spec.nodes[name], list[dict[str, Any]]()
    for levels in product(*(spec.nodes[parent].levels for parent in node.parents)):
        weights = np.array([weight() for _ in node.levels])
        rows.append({**dict(zip(node.parents, levels, strict=True)), "p": (weights / weights.sum()).tolist()})
    return rows


def log_density(scm: SCM, node: str, values: Mapping[str, Floats]) -> Floats:
    """log p(node | parents) from the raw parameters and the textbook formula of the family."""
    spec, x, raw = scm.spec, values[node], scm.parameters_in_units()[node]
    if spec.nodes[node].mechanism == "categorical":
        scores = [_score(scm.spec, node, raw[level], values) for level in spec.nodes[node].levels[1:]]
        stacked = np.stack(np.broadcast_arrays(np.zeros(()), *scores, x * 0.0)[:-1])
        return np.take_along_axis(stacked, np.broadcast_to(x, stacked.shape[1:]).astype(int)[None], 0)[0] - logsumexp(stacked, axis=0)
    if spec.nodes[node].mechanism == "table":
        return _table(spec, node, raw, values)
    if spec.nodes[node].mechanism in NETWORKS:
        return network_log_density(scm, node, values)
    score = _score(scm.spec, node, raw, values)
    link = dict(spec.nodes[node].options).get("link", "logit")
    if spec.nodes[node].mechanism == "bernoulli" and link == "probit":
        return log_ndtr(np.where(x > 0, score, -score))
    if spec.nodes[node].mechanism == "bernoulli" and link == "cloglog":
        return np.where(x > 0, np.log(-np.expm1(-np.exp(score))), -np.exp(score))
    if spec.nodes[node].mechanism == "bernoulli":
        return -np.logaddexp(0, np.where(x > 0, -score, score))
    if spec.nodes[node].mechanism == "poisson":
        with np.errstate(over="ignore"):  # far from the posterior's mass a rate may be infinite
            return x * score - np.exp(score) - gammaln(x + 1)
    if spec.nodes[node].mechanism == "negative_binomial":
        r, total = raw["concentration"], np.logaddexp(score, np.log(raw["concentration"]))
        return gammaln(x + r) - gammaln(r) - gammaln(x + 1) + r * (np.log(r) - total) + x * (score - total)
    if spec.nodes[node].mechanism == "ordinal":
        ends = np.concatenate([[-np.inf], raw["cutpoints"], [np.inf]])
        low, high = ends[x.astype(int)] - score, ends[x.astype(int) + 1] - score
        flip = low + high > 0  # from the nearer tail
        low, high = np.where(flip, -high, low), np.where(flip, -low, high)
        log_cdf = log_ndtr if link == "probit" else log_expit
        with np.errstate(over="ignore"):
            return log_cdf(high) + np.log1p(-np.exp(log_cdf(low) - log_cdf(high)))
    scale = raw["scale"] * np.exp(_weighted(spec, raw.get("scale_weights", {}), values))
    if spec.nodes[node].mechanism == "student_t":
        return t.logpdf(x, raw["degrees"], score, scale)
    return -0.5 * ((x - score) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def _score(spec: ModelSpec, node: str, raw: Any, values: Mapping[str, Floats]) -> Floats:
    return np.asarray(raw.get("intercept", 0.0), dtype=float) + _weighted(spec, raw["weights"], values)


def _weighted(spec: ModelSpec, weights: Mapping[str, float], values: Mapping[str, Floats]) -> Floats:
    """Each weight times the product of the columns that its name joins by colons."""
    total = np.zeros(())
    for name, weight in weights.items():
        total = total + weight * np.prod(np.broadcast_arrays(*(_column(spec, part, values) for part in name.split(":"))), axis=0)
    return total


def _column(spec: ModelSpec, name: str, values: Mapping[str, Floats]) -> Floats:
    """A real parent's values, or the indicator of a level, ``parent=level``."""
    parent, _, level = name.partition("=")
    return (values[parent] == spec.nodes[parent].levels.index(level)).astype(float) if level else values[parent]


def _table(spec: ModelSpec, node: str, raw: Any, values: Mapping[str, Floats]) -> Floats:
    """The log of the probability in the one row that speaks of each person."""
    total = np.zeros_like(values[node])
    for row in raw["probabilities"]:
        for j, p in enumerate(row["p"]):
            mine = values[node] == j
            for parent in spec.nodes[node].parents:
                mine = mine & (values[parent] == spec.nodes[parent].levels.index(row[parent]))
            total[mine] = np.log(p)
    return total


class GridPosterior:
    """A latent's posterior on 2,001 equal steps over all of its mass, row by row; attributes of shape (n,)."""

    def __init__(self, points: Floats, log_joint: Floats) -> None:
        self.points = points
        self.weights = weights = np.exp(log_joint - logsumexp(log_joint, axis=0))
        self.mean = (weights * points).sum(0)
        self.sd = np.sqrt((weights * (points - self.mean) ** 2).sum(0))
        self._cumulative = np.concatenate([np.zeros_like(weights[:1]), ((weights[1:] + weights[:-1]) / 2).cumsum(0)])

    def cdf(self, draws: Floats) -> Floats:
        """P(U ≤ draws), draws of shape (draws, n)."""
        columns = [np.interp(draws[:, i], self.points[:, i], self._cumulative[:, i]) for i in range(draws.shape[1])]
        return np.stack(columns, 1)


def grid_posterior(scm: SCM, columns: Columns, given: Collection[str] | None = None, *, nodes: int = 2001) -> GridPosterior:
    """The latent's posterior by brute force: a grid over 120 prior sds, zoomed in on what lies within 45 nats of the top."""
    (latent,) = scm.spec.latents
    evidence = scm.spec.evidence if given is None else given
    values = {node: columns[node].numpy() for node in evidence}
    touched = [latent, *(node for node in evidence if latent in scm.spec.nodes[node].parents)]
    raw = scm.parameters_in_units()[latent]
    center = np.broadcast_to(_score(scm.spec, latent, raw, values), (columns.n,))
    low, high = center - 60 * raw["scale"], center + 60 * raw["scale"]
    for _ in range(12):
        points = low + (high - low) * np.linspace(0, 1, nodes)[:, None]
        log_joint = sum((log_density(scm, node, {**values, latent: points}) for node in touched), np.zeros_like(points))
        near = log_joint > log_joint.max(0) - 45
        first, last = near.argmax(0), nodes - 1 - near[::-1].argmax(0)
        row = np.arange(columns.n)
        if (last - first > nodes / 2).all():
            break
        low, high = points[np.maximum(first - 1, 0), row], points[np.minimum(last + 1, nodes - 1), row]
    return GridPosterior(points, log_joint)
