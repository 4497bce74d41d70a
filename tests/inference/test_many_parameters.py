"""Short cuts to the log posterior of parameters, against the long way."""

from typing import Any

import pytest
import torch
from torch import Tensor

from cfair.inference.designs import design, predictors_at
from cfair.inference.factors import designs
from cfair.inference.free import FreeParameters
from cfair.inference.landscape import landscape
from cfair.inference.likelihood import FIRST, Marginal
from cfair.inference.log_posterior import LogPosterior, log_posteriors, marginal
from cfair.inference.neighbourhood import neighbourhoods
from cfair.mechanisms import Indexed, bound
from cfair.scm import SCM

from oracles import declare, people

A = {"mechanism": "bernoulli", "levels": ["no", "yes"]}
U = {"mechanism": "gaussian", "latent": True}
FAMILIES: dict[str, dict[str, Any]] = {
    "gaussian": {},
    "heteroscedastic": {},
    "student_t": {},
    "poisson": {},
    "negative_binomial": {},
    "bernoulli": {"levels": ["no", "yes"]},
    "ordinal": {"levels": ["low", "middle", "high"]},
    "categorical": {"levels": ["r", "s", "t"]},
}


def node(family: str, *parents: str) -> dict[str, Any]:
    """A node of a family."""
    mechanism = {"family": "gaussian", "heteroscedastic": True} if family == "heteroscedastic" else family
    return {"mechanism": mechanism, **FAMILIES[family], "parents": list(parents)}


def one_latent(family: str, n: int = 150) -> LogPosterior:
    """Two normal children of a latent, and one of this family, which reads a and x, too; at 150 people's posterior of parameters."""
    x = {"mechanism": "gaussian", "parents": ["a"]}
    g, h = node("gaussian", "a", "u"), node("gaussian", "u")
    scm = SCM(declare({"a": A, "x": x, "u": U, "g": g, "h": h, "y": node(family, "a", "x", "u")}))
    return settled(scm, n)


def two_latents(n: int = 150) -> LogPosterior:
    """Two latents that share a count."""
    g, h = node("gaussian", "a", "u"), node("gaussian", "v")
    scm = SCM(declare({"a": A, "u": U, "v": U, "g": g, "h": h, "y": node("poisson", "a", "u", "v")}))
    return settled(scm, n)


def levels_alone(n: int = 150) -> LogPosterior:
    """A latent with levels and no other."""
    k = {"mechanism": "categorical", "latent": True, "levels": ["r", "s"]}
    g, h = node("gaussian", "k"), node("bernoulli", "a", "k")
    return settled(SCM(declare({"a": A, "k": k, "g": g, "h": h, "y": node("poisson", "a", "k")})), n)


def with_levels(n: int = 150) -> LogPosterior:
    """A latent with levels, and one that is a number."""
    k = {"mechanism": "categorical", "latent": True, "levels": ["r", "s"]}
    g, h = node("gaussian", "a", "k", "u"), node("gaussian", "u")
    scm = SCM(declare({"a": A, "k": k, "u": U, "g": g, "h": h, "y": node("poisson", "a", "k", "u")}))
    return settled(scm, n)


def settled(scm: SCM, n: int) -> LogPosterior:
    """The last part, at parameters that made ``n`` people: some way from the top, where each latent moves its children."""
    free = FreeParameters(scm, scm.spec.order)
    free.write(0.4 * torch.randn(free.count, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    return log_posteriors(scm, people(scm, n))[-1]


def around(density: LogPosterior, count: int = 12) -> Tensor:
    """Parameters (count, p) about as far from where the SCM stands as a posterior from n rows is wide."""
    z = torch.randn(count, len(density.start), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return density.start + z / float(density.weights.sum()) ** 0.5


def one_by_one(density: LogPosterior, thetas: Tensor) -> Tensor:
    """The densities, asked for one by one."""
    return torch.tensor([density.value(theta) for theta in thetas], dtype=torch.float64)


MODELS = {family: lambda family=family: one_latent(family) for family in FAMILIES} | {
    "two latents": two_latents,
    "latent with levels": with_levels,
    "levels alone": levels_alone,
}


def crossed_latents(n: int = 150) -> LogPosterior:
    """A latent that is a parent of another, and the product of one with an observed parent."""
    g, h, w = node("gaussian", "a", "u"), node("gaussian", "v"), {**U, "parents": ["a", "u"]}
    y = {"mechanism": {"family": "gaussian", "interactions": [["a", "v"]]}, "parents": ["a", "u", "v"]}
    return settled(SCM(declare({"a": A, "u": U, "v": w, "g": g, "h": h, "y": y})), n)


def known_table(n: int = 150) -> LogPosterior:
    """A latent with levels whose probabilities are declared by its parent's, and ordered levels that it moves."""
    probabilities = [{"a": level, "p": p} for level, p in (("no", [0.3, 0.7]), ("yes", [0.6, 0.4]))]
    k = {"mechanism": "table", "latent": True, "levels": ["r", "s"], "parents": ["a"], "parameters": {"probabilities": probabilities}}
    g, y = node("gaussian", "u"), node("ordinal", "a", "k", "u")
    return settled(SCM(declare({"a": A, "k": k, "u": U, "g": g, "y": y})), n)


SINGLE = MODELS | {"crossed latents": crossed_latents, "known table": known_table}


@pytest.mark.parametrize("model", SINGLE)
def test_single_precision_errs_by_its_rounding_alone(model: str) -> None:
    density = SINGLE[model]()
    thetas = around(density)
    with torch.no_grad():
        found, _ = density._at_once(thetas, FIRST, torch.float32)
        exact, _ = density._at_once(thetas, FIRST)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, exact, rtol=0, atol=2e-4)  # 150 rows of some 10 nats


@pytest.mark.parametrize("latents", [("u",), ("u", "v")])
def test_sums_of_squares_are_the_quadratic_around_its_top(latents: tuple[str, ...]) -> None:
    children = {f"g{i}": node("gaussian", "a", *latents) for i in range(2)}
    scm = SCM(declare({"a": A, **dict.fromkeys(latents, U), **children, "y": node("poisson", "a", *latents)}))
    free = FreeParameters(scm, scm.spec.order)
    free.write(0.4 * torch.randn(free.count, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    (area,) = neighbourhoods(scm, people(scm, 30), scm.spec.observed, 30)
    around, squares = landscape(area), landscape(area, single=True)
    u = torch.randn(len(latents), 5, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(squares(u), around(u))
    some = torch.tensor([3, 0, 17])
    torch.testing.assert_close(squares.take(some).detached()(u[..., some]), around(u)[..., some])
    for found, expected in zip(squares.derivatives(u[:, 0]), around.derivatives(u[:, 0]), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("model", MODELS)
def test_the_densities_of_many_parameters_are_those_of_each(model: str) -> None:
    density = MODELS[model]()
    thetas = around(density)
    each = one_by_one(density, thetas)
    torch.testing.assert_close(density.values(thetas), each, rtol=1e-6, atol=0)


@pytest.mark.parametrize("model", ["student_t", "poisson", "two latents", "latent with levels"])
@pytest.mark.parametrize("spread", [2.0, pytest.param(4.0, marks=pytest.mark.slow)])
def test_the_densities_of_parameters_far_from_the_top_are_those_of_each(model: str, spread: float) -> None:
    density = MODELS[model]()
    thetas = density.start + spread * (around(density, 40) - density.start)
    torch.testing.assert_close(density.values(thetas), one_by_one(density, thetas), rtol=0, atol=2e-3)


@pytest.mark.parametrize("model", ["gaussian", "poisson", "two latents"])
def test_many_parameters_are_tried_at_once_and_agree_without_being_asked_one_by_one(model: str) -> None:
    density = MODELS[model]()
    thetas = around(density)
    with torch.no_grad():
        found, _ = density._at_once(thetas, FIRST)
    torch.testing.assert_close(found, one_by_one(density, thetas), rtol=1e-6, atol=0)


@pytest.mark.parametrize("model", ["poisson", "bernoulli", "categorical", "two latents", "latent with levels"])
def test_few_nodes_err_most_where_their_error_moves_most(model: str) -> None:
    density = MODELS[model]()
    thetas = around(density)
    each = one_by_one(density, thetas)
    with torch.no_grad():
        found, moved = density._at_once(thetas, 3)
        exact, _ = density._at_once(thetas, FIRST)
    assert (found - each).abs().max() > 3 * (exact - each).abs().max()
    assert int((found - each).abs().argmax()) in (int(moved.argmin()), int(moved.argmax()))


@pytest.mark.parametrize("model", ["gaussian", "student_t", "poisson", "negative_binomial", "bernoulli", "ordinal", "two latents"])
def test_curvature_by_rows_is_that_by_parameters(model: str) -> None:
    density = MODELS[model]()
    everyone = torch.arange(density.log_likelihood.n)
    theta = around(density, 1)[0]
    found = density.log_likelihood.hessian(density.free, theta, everyone, density.weights)
    assert found is not None
    density.value(theta)
    slow = torch.autograd.functional.hessian(lambda at: density._likelihood(at, everyone), theta)
    torch.testing.assert_close(found, slow, rtol=1e-6, atol=1e-6 * float(slow.abs().max()))


def test_nodes_that_stood_elsewhere_do_not_change_the_density() -> None:
    density = one_latent("poisson")
    thetas = around(density, 20)
    area = density.log_likelihood._area  # type: ignore[attr-defined]
    wandered = one_by_one(density, thetas)
    fresh = [LogPosterior(density.nodes, density.free, Marginal(area, 2, exact=True), density.weights).value(theta) for theta in thetas]
    torch.testing.assert_close(wandered, torch.tensor(fresh, dtype=torch.float64), rtol=1e-7, atol=1e-4)


def test_rows_that_were_not_asked_about_before_have_a_slope() -> None:
    density, fresh = one_latent("poisson"), one_latent("poisson")
    some = torch.arange(density.log_likelihood.n * 2 // 3)
    for _ in range(3):  # nodes of these rows stand, and stand still
        density.value_and_slope(density.start, some)
    value, slope = density.value_and_slope(density.start)
    expected, exact = fresh.value_and_slope(density.start)
    assert value == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(slope, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_design_gives_the_predictors_at_any_parameters(family: str) -> None:
    scm = SCM(declare({"a": A, "x": {"mechanism": "gaussian"}, "u": U, "y": node(family, "a", "x", "u")}))
    (area,) = neighbourhoods(scm, people(scm, 30), ("a", "x", "y"), 30)
    mechanism = scm.mechanisms["y"]
    assert isinstance(mechanism, Indexed)
    source = torch.Generator().manual_seed(0)
    moved = {name: torch.randn(value.shape, generator=source, dtype=torch.float64) for name, value in mechanism.named_parameters()}
    twin = bound(mechanism, moved)
    base, slopes = designs(area)["y"](twin)
    seen = {name: area.values[name] for name in ("a", "x")}
    exact, steps = predictors_at(twin, seen, {"u": 0})
    torch.testing.assert_close(base, exact)
    torch.testing.assert_close(slopes, steps)


def test_a_design_that_would_be_too_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    scm = SCM(declare({"a": A, "x": {"mechanism": "gaussian"}, "u": U, "y": node("gaussian", "a", "x", "u")}))
    columns = people(scm, 30)
    (area,) = neighbourhoods(scm, columns, ("a", "x", "y"), 30)
    with_design = marginal(area, area.factors).value(FreeParameters(scm, area.factors).start)
    monkeypatch.setattr("cfair.inference.designs.LARGEST", 10)
    mechanism = scm.mechanisms["y"]
    assert isinstance(mechanism, Indexed)
    assert design(mechanism, {name: columns[name] for name in ("a", "x")}, {"u": 0}, torch.arange(30)) is None
    assert marginal(area, area.factors).value(FreeParameters(scm, area.factors).start) == pytest.approx(with_design, rel=1e-12)


def test_draws_that_come_out_otherwise_at_once_are_asked_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    density = one_latent("poisson", 60)
    thetas = around(density, 6)
    each = one_by_one(density, thetas)
    nothing = torch.zeros(len(thetas), dtype=torch.float64)
    monkeypatch.setattr(LogPosterior, "_at_once", lambda self, thetas, nodes, dtype: (nothing, nothing))
    torch.testing.assert_close(density.values(thetas), each, rtol=1e-7, atol=1e-6)
