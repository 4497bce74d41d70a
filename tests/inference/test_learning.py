"""Parameters from tables."""

from collections.abc import Mapping
from random import Random
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, gammaln, log_expit, logsumexp
from scipy.stats import norm
from torch import Tensor, nn

from cfair.errors import DataError, FitError, QueryError
from cfair.inference import learn
from cfair.inference.factors import log_prob
from cfair.inference.free import FreeParameters
from cfair.interfaces import Columns
from cfair.mechanisms import log_prior
from cfair.scm import SCM
from cfair.spec import ModelSpec

from oracles import columns_of, declare, people, random_spec

A = {"mechanism": "bernoulli", "levels": ["no", "yes"]}
WEIGHTS = {"a=yes": 0.6, "r": -0.25, "c": 0.1}
KNOWN_LEVELS = {"y": {"intercept": 0.4, "weights": WEIGHTS}, "z": {"intercept": -0.5, "weights": {"a=yes": -0.3, "r": 0.4, "c": 0.0}}}


def regression(family: str, n: int = 5_000, seed: int = 0, **node: Any) -> tuple[ModelSpec, Columns]:
    """A node ``v`` of the family with a binary, a real and a count parent, and a table drawn with known parameters."""
    levels = {"bernoulli": ["no", "yes"], "categorical": ["x", "y", "z"]}.get(family, [])
    known: dict[str, Any] = KNOWN_LEVELS if family == "categorical" else {"intercept": 0.4, "weights": WEIGHTS}
    if family == "gaussian":
        known["scale"] = 1.7
    parents: dict[str, Any] = {"a": A, "r": {"mechanism": "gaussian"}, "c": {"mechanism": "poisson"}}
    fixed = {
        "a": {**A, "parameters": {"intercept": 0.3, "weights": {}}},
        "r": {"mechanism": "gaussian", "parameters": {"intercept": 5.0, "weights": {}, "scale": 2.0}},
        "c": {"mechanism": "poisson", "parameters": {"intercept": 1.0, "weights": {}}},
    }
    v = {"mechanism": family, "parents": ["a", "r", "c"], "levels": levels}
    columns = people(SCM(declare({**fixed, "v": {**v, "parameters": known}}, outcome="v")), n, seed=seed)
    return declare({**parents, "v": {**v, **node}}, outcome="v"), columns


def flat(raw: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of nested parameters by their path."""
    found: dict[str, float] = {}
    for name, value in raw.items():
        found |= {f"{name} {rest}": number for rest, number in flat(value).items()} if isinstance(value, Mapping) else {name: float(value)}
    return found


def standard_errors(scm: SCM, node: str, values: Mapping[str, Tensor]) -> Tensor:
    """Of the free parameters of a node without latent, on the scale on which they are learned, by the curvature."""
    free = FreeParameters(scm, [node])
    hessian = torch.autograd.functional.hessian(lambda theta: log_prob(scm, node, values, free.unpack(theta)).sum(), free.start)
    return torch.linalg.inv(-hessian).diagonal().sqrt()


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "categorical", "poisson"])
def test_known_parameters_are_recovered_within_five_standard_errors(family: str) -> None:
    spec, columns = regression(family)
    assert max(abs(z) for z in scores(learn(spec, columns), columns).values()) < 5


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "categorical", "poisson"])
def test_estimates_over_many_tables_scatter_as_their_standard_errors_say(family: str) -> None:
    z = []
    for seed in range(16):
        spec, columns = regression(family, n=400, seed=seed)
        z += scores(learn(spec, columns), columns).values()
    found = torch.tensor(z)
    assert found.abs().max() < 5
    assert found.mean().abs() < 5 / len(z) ** 0.5
    assert found.std() == pytest.approx(1.0, abs=5 / len(z) ** 0.5)


def scores(scm: SCM, columns: Columns) -> dict[str, float]:
    """How many standard errors the weights of ``v`` lie from the truth, by name."""
    found = flat(scm.parameters_in_units()["v"])
    errors = dict(zip(_names(scm, "v"), standard_errors(scm, "v", dict(columns.coded)).tolist(), strict=True))
    unit = float(cast("Any", scm.mechanisms["v"]).unit) if "scale" in found else 1.0
    sds = {name: float(columns[name].std(correction=0)) if name in columns else 1.0 for name in WEIGHTS}
    truth = flat(KNOWN_LEVELS if "y weights r" in found else {"weights": WEIGHTS})
    paths = [path for path in truth if path.split()[-1] in WEIGHTS]
    return {path: (found[path] - truth[path]) * sds[path.split()[-1]] / (unit * errors[path]) for path in paths}


def _names(scm: SCM, node: str) -> list[str]:
    """Paths of the learned entries, in the order of the vector: intercepts, then weights, then the scale."""
    own = list(cast("Any", scm.mechanisms[node]).linear.names)
    levels = [f"{level} " for level in scm.spec.nodes[node].levels[1:]] if scm.spec.nodes[node].kind == "category" else [""]
    paths = [f"{level}intercept" for level in levels] + [f"{level}weights {name}" for level in levels for name in own]
    return paths + ["scale"] * (scm.spec.nodes[node].mechanism == "gaussian")


def test_gaussian_regression_is_the_ridge_solution_with_its_stated_prior() -> None:
    """Standardised: w and b of Normal(0, 10), σ² of InverseGamma(1, 0.1) on the scale of log σ."""
    spec, columns = regression("gaussian", n=300)
    found = learn(spec, columns).parameters_in_units()["v"]
    x = {node: columns[node].numpy() for node in columns}
    z = {node: (x[node] - x[node].mean()) / x[node].std() for node in ("r", "c", "v")}
    design = np.stack([np.ones(300), x["a"], z["r"], z["c"]], 1)
    variance = 1.0
    for _ in range(200):  # coordinate ascent in (w, σ²)
        w = np.linalg.solve(design.T @ design / variance + np.eye(4) / 100, design.T @ z["v"] / variance)
        variance = (0.1 + ((z["v"] - design @ w) ** 2).sum() / 2) / (1 + 300 / 2)
    slopes = {"a=yes": w[1], "r": w[2] / x["r"].std(), "c": w[3] / x["c"].std()}
    intercept = x["v"].mean() + x["v"].std() * (w[0] - slopes["r"] * x["r"].mean() - slopes["c"] * x["c"].mean())
    expected = {"intercept": intercept, "weights": {k: x["v"].std() * s for k, s in slopes.items()}, "scale": x["v"].std() * variance**0.5}
    assert flat(found) == pytest.approx(flat(expected), rel=1e-5)


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "categorical"])
def test_regressions_with_a_link_are_the_optimum_of_the_textbook_posterior(family: str) -> None:
    spec, columns = regression(family, n=300)
    found = flat(learn(spec, columns).parameters_in_units()["v"])
    x = {node: columns[node].numpy() for node in columns}
    z = {node: (x[node] - x[node].mean()) / x[node].std() for node in ("r", "c")}
    design = np.stack([np.ones(300), x["a"], z["r"], z["c"]], 1)
    outputs = 2 if family == "categorical" else 1

    def loss(theta: np.ndarray) -> float:
        b = theta.reshape(outputs, 4)
        eta = design @ b.T
        if family == "bernoulli":
            fit = log_expit(np.where(x["v"] > 0, 1, -1) * eta[:, 0]).sum()
        elif family == "poisson":
            fit = (x["v"] * eta[:, 0] - np.exp(eta[:, 0]) - gammaln(x["v"] + 1)).sum()
        else:
            scores = np.concatenate([np.zeros((300, 1)), eta], 1)
            fit = (scores[np.arange(300), x["v"].astype(int)] - logsumexp(scores, axis=1)).sum()
        return -fit - norm.logpdf(b[:, 0], 0, 10).sum() - norm.logpdf(b[:, 1:], 0, 2.5).sum()

    best = minimize(loss, np.zeros(4 * outputs), method="BFGS", options={"gtol": 1e-7}).x.reshape(outputs, 4)
    expected: dict[str, Any] = {}
    for level, b in zip(["y", "z"], best, strict=False):
        slopes = {"a=yes": b[1], "r": b[2] / x["r"].std(), "c": b[3] / x["c"].std()}
        part = {"intercept": b[0] - slopes["r"] * x["r"].mean() - slopes["c"] * x["c"].mean(), "weights": slopes}
        expected |= {level: part} if family == "categorical" else part
    assert found == pytest.approx(flat(expected), rel=1e-4, abs=1e-4)


FACTOR = declare(
    {
        "a": {**A, "parameters": {"intercept": 0.0, "weights": {}}},
        "k": {"mechanism": "gaussian", "latent": True},
        "x": {"mechanism": "gaussian", "parents": ["k"]},
        "z": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parents": ["k"]},
        "y": {"mechanism": "poisson", "parents": ["k"]},
    }
)


def fixed(spec: ModelSpec, known: Mapping[str, Any]) -> ModelSpec:
    """The same model with the parameters of some nodes known."""
    nodes = {name: node.model_dump(warnings=False) for name, node in spec.nodes.items()}
    return declare({name: {**node, "parameters": known.get(name, spec.nodes[name].parameters)} for name, node in nodes.items()})


def test_marginal_likelihood_is_maximal_where_a_dense_grid_says() -> None:
    known = {"x": {"intercept": 0.5, "weights": {"k": 0.9}, "scale": 0.8}, "z": {"intercept": 0.2, "weights": {"k": 1.5}}}
    known["y"] = {"intercept": 1.0, "weights": {"k": 0.5}}
    true = declare(
        {name: {**node.model_dump(warnings=False), "parameters": known.get(name, node.parameters)} for name, node in FACTOR.nodes.items()}
    )
    columns = people(SCM(true), 150, seed=0)
    scm = learn(FACTOR, columns)
    x = {node: columns[node].numpy() for node in "xzy"}
    mean, sd = x["x"].mean(), x["x"].std()
    k = np.linspace(-8, 8, 401)[:, None]

    def loss(theta: np.ndarray) -> float:
        bx, lx, sx, bz, lz, by, ly = theta
        log_joint = norm.logpdf(k) + norm.logpdf((x["x"] - mean) / sd, bx + lx * k, np.exp(sx))
        log_joint = log_joint + log_expit(np.where(x["z"] > 0, 1, -1) * (bz + lz * k))
        log_joint = log_joint + x["y"] * (by + ly * k) - np.exp(by + ly * k) - gammaln(x["y"] + 1)
        prior = norm.logpdf([bx, lx], 0, 10).sum() + norm.logpdf([bz, by], 0, 10).sum() + norm.logpdf([lz, ly], 0, 2.5).sum()
        precision = np.exp(-2 * sx)
        prior += np.log(precision) - 0.1 * precision  # InverseGamma(1, 0.1) of σ², on the scale of log σ
        return float(-logsumexp(log_joint, axis=0).sum() - prior)

    raw = scm.parameters_in_units()
    found = [_raw(raw, "x", "intercept"), _raw(raw, "x", "k"), _raw(raw, "x", "scale")]
    start = [(found[0] - mean) / sd, found[1] / sd, np.log(found[2] / sd)]
    start += [_raw(raw, "z", "intercept"), _raw(raw, "z", "k"), _raw(raw, "y", "intercept"), _raw(raw, "y", "k")]
    best = minimize(loss, np.zeros(7) + 0.3, method="BFGS", options={"gtol": 1e-6})
    assert loss(np.array(start)) <= best.fun + 1e-6
    np.testing.assert_allclose(start, best.x, rtol=0, atol=1e-3)


def _raw(raw: Mapping[str, Any], node: str, name: str) -> float:
    return float(raw[node]["weights"][name] if name == "k" else raw[node][name])


def steepest(scm: SCM, columns: Columns, nodes: list[str]) -> float:
    """Largest slope of the log posterior of nodes without latent, per posterior sd."""
    free, values = FreeParameters(scm, nodes), dict(columns.coded)

    def log_posterior(theta: Tensor) -> Tensor:
        parameters = free.unpack(theta)
        return sum((log_prob(scm, node, values, parameters).sum() for node in nodes), free.log_prior(parameters))

    slope = torch.autograd.functional.jacobian(log_posterior, free.start)
    spread, vectors = torch.linalg.eigh(torch.autograd.functional.hessian(log_posterior, free.start))
    return float((vectors.T @ slope / spread.abs().sqrt()).abs().max())


@pytest.mark.parametrize("seed", range(10))
def test_the_slope_at_what_is_learned_is_nought(seed: int) -> None:
    columns = people(SCM(random_spec(seed, latent=False)), 300, seed=seed)
    scm = learn(random_spec(seed, latent=False, free=True), columns)
    assert steepest(scm, columns, list(scm.spec.order)) < 1e-4


@pytest.mark.parametrize("seed", [1, 4])
def test_learning_twice_gives_the_same_numbers_and_order_of_rows_none_to_speak_of(seed: int) -> None:
    spec, columns = random_spec(seed, free=True), people(SCM(random_spec(seed)), 40, seed=seed)
    one, again = learn(spec, columns), learn(spec, columns)
    assert one.parameters_in_units() == again.parameters_in_units()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    shuffled, other_seed = learn(spec, columns.take(order)), learn(spec, columns, seed=1)
    for other in (shuffled, other_seed):
        for found, expected in zip(_parameters(other), _parameters(one), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def _parameters(scm: SCM) -> list[Tensor]:
    return [parameter.detach() for parameter in scm.parameters()]


def loading(scm: SCM, node: str) -> float:
    return cast("Any", scm.parameters_in_units()[node])["weights"]["k"]


@pytest.mark.parametrize("seed", range(6))
def test_the_outcomes_loading_is_positive(seed: int) -> None:
    dice = Random(seed)
    known = {child: {"intercept": 0.0, "weights": {"k": dice.choice([-1, 1]) * dice.uniform(0.5, 1.2)}} for child in "xzy"}
    known["x"]["scale"] = 0.7
    true = declare(
        {name: {**node.model_dump(warnings=False), "parameters": known.get(name, node.parameters)} for name, node in FACTOR.nodes.items()}
    )
    scm = learn(FACTOR, people(SCM(true), 400, seed=seed))
    assert loading(scm, "y") > 0
    for child in "xz":
        agrees = np.sign(cast("Any", known[child]["weights"])["k"] * cast("Any", known["y"]["weights"])["k"])
        assert np.sign(loading(scm, child)) == agrees


def test_a_fixed_loading_keeps_its_sign_and_turns_the_others() -> None:
    spec = fixed(FACTOR, {"x": {"weights": {"k": -1.0}}})
    known = {"x": {"intercept": 0.0, "weights": {"k": -1.0}, "scale": 0.7}, "z": {"intercept": 0.0, "weights": {"k": 1.0}}}
    known["y"] = {"intercept": 1.0, "weights": {"k": -0.8}}
    scm = learn(spec, people(SCM(fixed(spec, known)), 500, seed=0))
    assert loading(scm, "x") == -1.0
    assert loading(scm, "y") < 0 < loading(scm, "z")


def test_fixed_parameters_stay_and_the_rest_is_learned_around_them() -> None:
    spec, columns = regression("gaussian", parameters={"intercept": 1.0, "scale": 2.0})
    found = learn(spec, columns).parameters_in_units()["v"]
    assert found["intercept"] == pytest.approx(1.0, rel=1e-12)
    assert found["scale"] == pytest.approx(2.0, rel=1e-12)
    x = {node: columns[node].numpy() for node in columns}
    design = np.stack([x["a"], x["r"], x["c"]], 1)
    w = np.linalg.lstsq(design, x["v"] - 1.0, rcond=None)[0]
    assert list(cast("Any", found)["weights"].values()) == pytest.approx(list(w), rel=1e-3, abs=1e-4)


def test_fixed_weights_leave_the_intercept_to_be_learned() -> None:
    spec, columns = regression("poisson", parameters={"weights": {"r": -0.25}})
    found = cast("Any", learn(spec, columns).parameters_in_units()["v"])
    assert found["weights"] == pytest.approx({"a=yes": 0.0, "r": -0.25, "c": 0.0})
    rate = np.exp(-0.25 * columns["r"].numpy())
    assert found["intercept"] == pytest.approx(np.log(columns["v"].numpy().sum() / rate.sum()), rel=1e-4)


def test_a_model_with_everything_fixed_needs_no_table() -> None:
    spec = random_spec(0)
    assert learn(spec).parameters_in_units() == SCM(spec).parameters_in_units()
    units_aside = learn(spec, people(SCM(spec), 50)).parameters_in_units()
    assert flat(units_aside) == pytest.approx(flat(SCM(spec).parameters_in_units()), rel=1e-12)


@pytest.mark.parametrize(
    ("columns", "engine", "message"),
    [
        (None, "auto", r"columns: 'a' has parameters to learn. Give a table, or fix them all"),
        (columns_of({"a": torch.zeros(3), "m": torch.zeros(3)}), "auto", r"columns: the table has no column 'y'"),
        (None, "qadrature", r"engine: 'qadrature' is not an engine. Did you mean 'quadrature'\?"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(columns: Columns | None, engine: Any, message: str) -> None:
    spec = declare({"a": A, "m": {"mechanism": "gaussian", "parents": ["a"]}, "y": {"mechanism": "gaussian", "parents": ["m"]}})
    with pytest.raises(QueryError, match=message):
        learn(spec, columns, engine=engine)


def assert_finite(scm: SCM) -> None:
    assert all(torch.isfinite(parameter).all() for parameter in cast("nn.Module", scm).parameters())
    assert all(np.isfinite(number) for node in scm.spec.order for number in flat(scm.parameters_in_units()[node]).values())


LATENT = declare(
    {
        "a": A,
        "k": {"mechanism": "gaussian", "latent": True},
        "g": {"mechanism": "gaussian", "parents": ["a", "k"]},
        "c": {"mechanism": "poisson", "parents": ["a", "k", "g"]},
        "b": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parents": ["k", "c"]},
        "d": {"mechanism": "categorical", "levels": ["p", "q", "r"], "parents": ["g", "k"]},
        "y": {"mechanism": "gaussian", "parents": ["a", "k", "d"]},
    }
)


def rows(n: int, seed: int = 0, **columns: Tensor) -> Columns:
    source = torch.Generator().manual_seed(seed)
    g, y = torch.randn(2, n, generator=source, dtype=torch.float64)
    drawn = {"a": torch.arange(n) % 2, "g": g, "c": torch.randint(9, (n,), generator=source), "b": torch.randint(2, (n,), generator=source)}
    return columns_of({**drawn, "d": torch.randint(3, (n,), generator=source), "y": y, **columns})


HARD: dict[str, Columns] = {
    "two rows": rows(2),
    "three rows": rows(3),
    "constant real": rows(40, g=torch.full((40,), 0.1, dtype=torch.float64)),
    "constant outcome": rows(40, y=torch.zeros(40)),
    "constant count": rows(40, c=torch.full((40,), 4.0)),
    "no counts": rows(40, c=torch.zeros(40)),
    "one event only": rows(40, b=torch.ones(40)),
    "levels never seen": rows(40, d=torch.zeros(40)),
    "everybody alike": rows(
        40, a=torch.zeros(40), g=torch.ones(40), c=torch.ones(40), b=torch.ones(40), d=torch.ones(40), y=torch.ones(40)
    ),
    "separable": rows(40, b=(rows(40)["c"] > 4)),
    "deterministic": rows(40, y=2 * rows(40)["a"] + 1),
    "identical columns": rows(40, y=rows(40)["g"]),
    "large mean, small sd": rows(40, g=1e6 + 1e-3 * rows(40)["g"], y=1e6 + 1e-3 * rows(40)["y"]),
    "tiny units": rows(40, g=1e-9 * rows(40)["g"], y=1e-9 * rows(40)["y"]),
    "large counts": rows(40, c=1e5 + 300 * rows(40)["c"]),
    "one large count": rows(40, c=torch.cat([torch.zeros(39), torch.tensor([1e6])])),
    "one outlier": rows(40, g=torch.cat([rows(39)["g"], torch.tensor([1e4]).double()])),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name == "one large count" else name for name in HARD])
def test_hard_tables_give_finite_parameters(name: str) -> None:
    assert_finite(learn(LATENT, HARD[name]))


@pytest.mark.parametrize("name", HARD)
def test_hard_tables_are_no_harder_without_a_latent(name: str) -> None:
    nodes = {name: node.model_dump(warnings=False) for name, node in LATENT.nodes.items() if name != "k"}
    spec = declare({name: {**node, "parents": [parent for parent in node["parents"] if parent != "k"]} for name, node in nodes.items()})
    scm = learn(spec, HARD[name])
    assert_finite(scm)
    assert steepest(scm, HARD[name], list(spec.order)) < 1e-3


def test_separable_rows_under_a_prior_that_says_nothing_are_refused_with_the_cause() -> None:
    prior = {"intercept": {"normal": 1e150}, "weights": {"normal": 1e150}}
    nodes = {"a": A, "y": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parents": ["a"], "prior": prior}}
    columns = columns_of({"a": torch.arange(40) % 2, "y": torch.arange(40) % 2})
    try:
        assert_finite(learn(declare(nodes), columns))
    except FitError as error:
        assert "do not determine" in error.mend  # noqa: PT017 (either answer will do)


def test_units_of_the_table_change_raw_parameters_by_those_units_only() -> None:
    spec, columns = regression("gaussian", n=500)
    plain = cast("Any", learn(spec, columns).parameters_in_units()["v"])
    scaled = cast(
        "Any",
        learn(spec, columns_of({**columns.coded, "r": 1e3 * columns["r"] - 7e4, "v": 1e-2 * columns["v"] + 3})).parameters_in_units()["v"],
    )
    assert scaled["scale"] == pytest.approx(1e-2 * plain["scale"], rel=1e-4)
    assert scaled["weights"]["r"] == pytest.approx(1e-5 * plain["weights"]["r"], rel=1e-3)
    assert scaled["weights"]["a=yes"] == pytest.approx(1e-2 * plain["weights"]["a=yes"], rel=1e-3)
    assert scaled["intercept"] == pytest.approx(3 + 1e-2 * plain["intercept"] + 70 * scaled["weights"]["r"] * 1e3, rel=1e-3)


def test_a_latent_with_a_parent_learns_how_it_depends_on_it() -> None:
    nodes = {name: node.model_dump(warnings=False, exclude_defaults=True) for name, node in FACTOR.nodes.items()}
    nodes["k"]["parents"] = ["a"]
    known = {"k": {"weights": {"a=yes": 1.0}}, "x": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 0.5}}
    known |= {"z": {"intercept": 0.0, "weights": {"k": 1.0}}, "y": {"intercept": 1.0, "weights": {"k": 0.5}}}
    spec = declare(nodes)
    found = cast("Any", learn(spec, people(SCM(fixed(spec, known)), 3_000, seed=0)).parameters_in_units())
    assert found["k"]["weights"]["a=yes"] == pytest.approx(1.0, abs=0.2)
    assert found["k"]["intercept"] == 0.0
    assert found["k"]["scale"] == 1.0
    assert found["x"]["weights"]["k"] == pytest.approx(1.0, abs=0.2)


def test_priors_pull_as_strongly_as_they_say() -> None:
    tight = {"weights": {"normal": [0.5, 1e-6]}, "intercept": {"normal": [-1.0, 1e-6]}}
    spec, columns = regression("bernoulli", prior=tight)
    found = cast("Any", learn(spec, columns).parameters_in_units()["v"])
    assert found["intercept"] == pytest.approx(-1.0, abs=1e-4)
    assert list(found["weights"].values()) == pytest.approx([0.5] * 3, abs=1e-4)


def test_posterior_of_a_rate_has_its_gamma_like_mode() -> None:
    """Of an intercept alone: Σ y = n·exp(b) + b/100."""
    columns = columns_of({"a": torch.arange(4) % 2, "y": torch.tensor([0.0, 3.0, 1.0, 2.0])})
    found = cast("Any", learn(declare({"a": A, "y": {"mechanism": "poisson"}}), columns).parameters_in_units()["y"])
    b = found["intercept"]
    assert 6 - 4 * np.exp(b) - b / 100 == pytest.approx(0, abs=1e-4)
    share = cast("Any", learn(declare({"a": A, "y": {"mechanism": "poisson"}}), columns).parameters_in_units()["a"])["intercept"]
    assert expit(share) == pytest.approx(0.5)


def test_log_prior_counts_what_is_learned_only() -> None:
    spec, _ = regression("gaussian", n=3, parameters={"intercept": 1.0})
    mechanism = SCM(spec).mechanisms["v"]
    module = cast("nn.Module", mechanism)
    free = {name.removesuffix("_free"): mask for name, mask in module.named_buffers() if name.endswith("_free")}
    parameters = dict(module.named_parameters())
    moved = {**parameters, "linear.intercept": parameters["linear.intercept"] + 100}
    assert torch.equal(log_prior(mechanism.priors(), moved, free), log_prior(mechanism.priors(), parameters, free))


@pytest.mark.parametrize("unit", [1e160, 1e-160, 1e-170])
def test_a_column_whose_spread_cannot_be_squared_is_refused(unit: float) -> None:
    spec = declare({"a": {"mechanism": "bernoulli", "levels": ["n", "y"]}, "y": {"mechanism": "gaussian", "parents": ["a"]}})
    columns = columns_of({"a": torch.tensor([0.0, 1.0] * 20), "y": unit * torch.arange(40.0, dtype=torch.float64)})
    with pytest.raises(DataError, match=r"column 'y': its spread of .* is no number that can be squared. State it in another unit"):
        learn(spec, columns)
