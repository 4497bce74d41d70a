"""More latents than a product rule integrates out: against closed forms, quadrature, and the truth that people were drawn from."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyro
import pytest
import torch
from holes import with_holes

from cfair.data import to_frame
from cfair.diagnosis.engine import engine_checks
from cfair.errors import QueryError
from cfair.grouping import groups
from cfair.inference import abduct, check_patterns, learn, posterior
from cfair.inference.cloud import cloud, rotations
from cfair.inference.engines import choose
from cfair.inference.log_posterior import marginal
from cfair.inference.neighbourhood import neighbourhoods
from cfair.inference.posterior import expectation
from cfair.interfaces import Columns
from cfair.pipeline import Options, fit
from cfair.sampler import Guide, Sampler, bearing
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.store import load, save
from cfair.worlds import simulate

from oracles import assert_mean, columns_of, declare, people

Nodes = dict[str, dict[str, Any]]

NAMES = ("k", "l", "m", "o", "p", "q")
A: Nodes = {"a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.2, "weights": {}}}}
Y: Nodes = {"y": {"mechanism": "gaussian", "parents": ["a", "k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 1.0}}}
LATENT = {"mechanism": "gaussian", "latent": True}


def child(mechanism: str, weights: Mapping[str, float], **more: Any) -> dict[str, Any]:
    levels = {"levels": ["no", "yes"]} if mechanism == "bernoulli" else {}
    parents = list(dict.fromkeys(name.split("=")[0] for name in weights))
    return {"mechanism": mechanism, "parents": parents, "parameters": {"intercept": 0.3, "weights": dict(weights), **more}, **levels}


def chained(d: int, mechanism: str, other: str | None = None) -> Nodes:
    """Two children per latent: one of its own, one shared with the next, so that all hang together."""
    scale = {"gaussian": {"scale": 0.7}, "student_t": {"scale": 0.5, "degrees": 4.0}}
    nodes: Nodes = {name: dict(LATENT) for name in NAMES[:d]}
    for j, name in enumerate(NAMES[:d]):
        after = NAMES[(j + 1) % d]
        shared = other or mechanism
        nodes[f"c{name}"] = child(mechanism, {"a=yes": 0.5, name: 0.9}, **scale.get(mechanism, {}))
        nodes[f"d{name}"] = child(shared, {name: 0.6, after: 0.4}, **scale.get(shared, {}))
    return nodes


def spec_of(nodes: Nodes, *, free: bool = False) -> ModelSpec:
    own = {name: {key: said for key, said in node.items() if key != "parameters"} for name, node in nodes.items()} if free else nodes
    return declare({**A, **own, **Y})


def conditional(scm: SCM, columns: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (n, d) and covariance (d, d) of standard normal latents given linear-Gaussian children, and the log likelihood (n,)."""
    spec, raw = scm.spec, scm.parameters_in_units()
    seen = [node for node in spec.evidence if set(spec.nodes[node].parents) & set(spec.latents)]
    loadings = np.array([[raw[node]["weights"].get(latent, 0.0) for latent in spec.latents] for node in seen])  # type: ignore[attr-defined]
    noise = np.diag([float(raw[node]["scale"]) ** 2 for node in seen])  # type: ignore[arg-type]
    a = columns["a"].numpy()
    rest = np.stack([columns[node].numpy() - raw[node]["intercept"] - raw[node]["weights"].get("a=yes", 0.0) * a for node in seen])  # type: ignore[attr-defined, operator]
    total = loadings @ loadings.T + noise
    gain = loadings.T @ np.linalg.inv(total)
    square = (rest * np.linalg.solve(total, rest)).sum(0)
    log_likelihood = -0.5 * (square + np.linalg.slogdet(2 * np.pi * total)[1])
    return (gain @ rest).T, np.eye(len(spec.latents)) - gain @ loadings, log_likelihood


@pytest.mark.parametrize("d", [4, 6])
def test_linear_gaussian_moments_and_draws_are_those_of_the_closed_form(d: int) -> None:
    scm = SCM(spec_of(chained(d, "gaussian")))
    columns = people(scm, 20)
    mean, covariance, _ = conditional(scm, columns)
    moments, world = posterior(scm, columns), abduct(scm, columns, draws=2_000)
    for j, latent in enumerate(scm.spec.latents):
        np.testing.assert_allclose(moments.mean[latent], mean[:, j], atol=1e-10)
        np.testing.assert_allclose(moments.sd[latent], covariance[j, j] ** 0.5, atol=1e-10)
        assert float(moments.k_hat[latent].max()) < 0.2  # the weights are bounded
        for i, other in enumerate(scm.spec.latents):
            product = (world.values[latent] - moments.mean[latent]) * (world.values[other] - moments.mean[other])
            assert_mean(product[:, 0], float(covariance[i, j]))


def test_linear_gaussian_likelihood_and_slope_are_those_of_the_closed_form() -> None:
    """At any parameters, however few the points: the slope against central differences of the closed form."""
    scm = SCM(spec_of(chained(4, "gaussian"), free=True))
    columns = people(SCM(spec_of(chained(4, "gaussian"))), 30)
    (area,) = neighbourhoods(scm, columns.coded, scm.spec.evidence, columns.n)
    part = marginal(area, area.factors)
    theta = 0.5 * torch.randn(part.free.count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def exact(at: torch.Tensor) -> np.ndarray:
        part.free.write(at)
        return conditional(scm, columns)[2]

    theta.requires_grad_()
    rows = part.log_likelihood(part.free.unpack(theta), torch.arange(columns.n))
    (slope,) = torch.autograd.grad(rows.sum(), theta)
    np.testing.assert_allclose(rows.detach(), exact(theta.detach()), atol=1e-9)
    for j in range(0, part.free.count, 5):
        step = 1e-5 * torch.eye(part.free.count, dtype=torch.float64)[j]
        change = exact(theta.detach() + step).sum() - exact(theta.detach() - step).sum()
        assert float(slope[j]) == pytest.approx(change / 2e-5, abs=1e-4)


def test_clouds_have_the_moments_of_a_standard_normal_however_they_are_turned() -> None:
    for d in (1, 4, 7):
        t, log_weights = cloud(128, d)
        weights = (log_weights - 0.5 * t.square().sum(0) - 0.5 * d * np.log(2 * np.pi)).exp()
        turned = rotations(1, d)[..., 0] @ t
        for points in (t, turned):
            assert float(weights.sum()) == pytest.approx(1.0, abs=1e-12)
            assert float((points @ weights).abs().max()) < 1e-12
            torch.testing.assert_close((points * weights) @ points.T, torch.eye(d, dtype=torch.float64), rtol=1e-10, atol=1e-10)
            assert float((points.pow(3) @ weights).abs().max()) < 1e-10


THREE: Nodes = {
    "k": dict(LATENT),
    "l": dict(LATENT),
    "m": dict(LATENT),
    "x": child("bernoulli", {"k": 1.0, "l": 0.8}),
    "z": child("poisson", {"l": 0.4, "m": 0.5, "a=yes": 0.4}),
    "w": child("gaussian", {"k": 0.6, "m": 0.9}, scale=0.7),
}


@cache
def sampled_three() -> tuple[SCM, SCM, Columns]:
    """The same model by quadrature and by svi, and people."""
    spec = spec_of(THREE)
    columns = people(SCM(spec), 100)
    return SCM(spec), learn(spec, columns, engine="svi"), columns


def test_moments_are_those_of_quadrature() -> None:
    exact, sampled, columns = sampled_three()
    truth, found = posterior(exact, columns), posterior(sampled, columns)
    assert not truth.k_hat
    for latent in exact.spec.latents:
        error = (found.mean[latent] - truth.mean[latent]) / truth.sd[latent]
        assert float(error.square().mean().sqrt()) < 0.01
        assert float(error.abs().max()) < 0.03
        assert float((found.sd[latent] / truth.sd[latent] - 1).abs().max()) < 0.03
        assert float(found.k_hat[latent].max()) < 0.7


def test_expectations_are_those_of_quadrature() -> None:
    exact, sampled, columns = sampled_three()
    truth, found = (expectation(scm, columns, lambda v: torch.sigmoid(v["k"] + v["m"]), n=columns.n) for scm in (exact, sampled))
    assert float((truth - found).abs().max()) < 0.005


def test_resampled_draws_have_the_moments_of_quadrature() -> None:
    exact, sampled, columns = sampled_three()
    truth, world = posterior(exact, columns), abduct(sampled, columns, draws=400, seed=3)
    for latent in exact.spec.latents:
        error = (world.values[latent] - truth.mean[latent]) / truth.sd[latent]
        assert_mean(error.mean(0), 0.0)
        assert_mean(error.square().mean(0), 1.0)


def test_a_persons_answer_depends_on_the_seed_and_their_evidence_only() -> None:
    _, scm, columns = sampled_three()
    people_ = torch.tensor([70, 3, 3, 12])
    everyone, some = (abduct(scm, each, draws=7, seed=5) for each in (columns, columns.take(people_)))
    for latent in scm.spec.latents:
        torch.testing.assert_close(everyone.values[latent][:, people_], some.values[latent], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(everyone.moments.mean[latent][people_], some.moments.mean[latent], rtol=1e-12, atol=1e-12)  # type: ignore[union-attr]


def test_levels_and_four_numbers_together_are_summed_over() -> None:
    """Over people from the model, the true latents have the moments of their posterior."""
    nodes = chained(4, "gaussian", "poisson")
    levels = {"mechanism": "bernoulli", "levels": ["n", "y"], "latent": True, "parameters": {"intercept": 0.4, "weights": {}}}
    nodes = {"h": levels, **nodes, "ck": child("gaussian", {"k": 0.9, "h=y": 1.5}, scale=0.5)}
    scm = SCM(spec_of(nodes))
    truth = simulate(scm, 150, seed=4)
    columns = columns_of({node: truth.values[node][0] for node in scm.spec.observed})
    moments, world = posterior(scm, columns), abduct(scm, columns, draws=20)
    for latent in scm.spec.latents:
        assert_mean((truth.values[latent][0] - moments.mean[latent]) / moments.sd[latent], 0.0)
        assert_mean(world.values[latent].mean(0) - moments.mean[latent], 0.0)
    assert set(moments.k_hat) == set(NAMES[:4])


def test_quadrature_refuses_what_auto_and_svi_do() -> None:
    spec = spec_of(chained(4, "gaussian"))
    with pytest.raises(QueryError, match=r"4 real latents hang together \(k, l, m, o\), and quadrature integrates out 3.*svi"):
        learn(spec, engine="quadrature")
    auto, asked = learn(spec), learn(spec, engine="svi")
    assert not auto.sampler.for_all  # type: ignore[union-attr]
    assert asked.sampler.for_all  # type: ignore[union-attr]
    assert learn(spec_of(THREE)).sampler is None


def test_auto_says_why_it_samples_and_refuses_to_where_learning_may_not_finish() -> None:
    chosen = choose(spec_of(chained(4, "gaussian", "poisson")))
    assert (chosen.engine, chosen.approximate) == ("svi", True)
    assert "more than three real latents" in chosen.why
    student = spec_of(chained(4, "student_t", "gaussian"), free=True)
    told = r"\(k, l, m, o\).*not be log-concave with 'ck' by student_t, 'cl' by student_t.*engine 'svi' to try"
    with pytest.raises(QueryError, match=told):
        choose(student)
    with pytest.raises(QueryError, match=told):
        fit(student, people(SCM(spec_of(chained(4, "student_t", "gaussian"))), 30))
    assert choose(student, "svi").approximate
    assert choose(spec_of({**THREE, "w": child("student_t", {"k": 0.6}, scale=0.5, degrees=4.0)})).engine == "quadrature"
    with pytest.raises(QueryError, match="quadrature integrates out 3"):
        choose(spec_of(chained(4, "gaussian")), "nuts")


@pytest.mark.parametrize("uncertainty", ["laplace", "nuts"])
def test_parameters_are_not_drawn_where_latents_are_sampled(uncertainty: Literal["laplace", "nuts"]) -> None:
    spec = spec_of(chained(4, "gaussian"))
    with pytest.raises(QueryError, match=r"the engine is 'svi': more than three.*uncertainty='none'"):
        learn(spec, people(SCM(spec), 30), uncertainty=uncertainty)
    with pytest.raises(QueryError, match="the engine is 'svi': it was asked for"):
        learn(spec_of(THREE), uncertainty=uncertainty, engine="svi")


def test_rows_that_lack_values_are_refused_where_latents_are_sampled() -> None:
    spec = spec_of(chained(4, "gaussian"), free=True)
    columns = with_holes(people(SCM(spec_of(chained(4, "gaussian"))), 40), {"dl": [3, 5], "y": [5]})
    told = r"the engine 'svi' learns from whole rows, and some lack 'dl'.*missing='drop'"
    for refused in (lambda: learn(spec, columns), lambda: check_patterns(spec, columns), lambda: fit(spec, columns)):
        with pytest.raises(QueryError, match=told):
            refused()
    with pytest.raises(QueryError, match="some lack 'x'"):
        learn(spec_of(THREE), with_holes(people(SCM(spec_of(THREE)), 10), {"x": [1]}), engine="svi")


def test_moments_of_who_lacks_a_value_are_those_without_it() -> None:
    """The fourth latent then hangs by fewer children, and others' k-hat stays known."""
    scm = SCM(spec_of(chained(4, "gaussian", "poisson")))
    columns = people(scm, 6)
    rest = [node for node in scm.spec.evidence if node != "dl"]
    found, without, whole = posterior(scm, with_holes(columns, {"dl": [2]})), posterior(scm, columns, given=rest), posterior(scm, columns)
    for latent in scm.spec.latents:
        torch.testing.assert_close(found.mean[latent][2], without.mean[latent][2], rtol=0, atol=1e-12)
        torch.testing.assert_close(found.k_hat[latent][3], whole.k_hat[latent][3], rtol=0, atol=1e-12)


def test_doubling_the_nodes_says_nothing_of_what_is_sampled() -> None:
    _, sampled, columns = sampled_three()
    doubling, *_ = engine_checks(sampled, columns, seed=0)
    assert doubling.verdict == "not checked"
    assert "importance sampling" in str(doubling.why)


def test_a_guide_is_restored_from_a_state() -> None:
    spec = spec_of(chained(4, "student_t", "gaussian"))
    scm = SCM(spec)
    columns = people(scm, 10)
    (group,) = groups(spec, spec.evidence)
    scm.sampler = Sampler(for_all=True)
    scm.sampler.guides["0"] = Guide(spec, *bearing(spec, group, spec.evidence), seed=3)
    scm.sampler.guides["0"].fit_units(columns)  # type: ignore[operator]
    scm.sampler.k_hat.copy_(torch.tensor([0.9, 0.1], dtype=torch.float64))
    state = {name: value.clone() for name, value in scm.state_dict().items()}
    again = SCM.restored(spec, state)
    assert again.sampler is not None
    assert again.sampler.for_all
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    (area,) = neighbourhoods(again, columns.coded, spec.evidence, columns.n)
    assert area.guide is again.sampler.guides["0"]
    assert SCM.restored(spec, SCM(spec).state_dict()).sampler is None


@cache
def guided() -> tuple[SCM, Columns]:
    """Student's children of four latents, all parameters known; the guide learned without the outcome."""
    spec = spec_of(chained(4, "student_t", "gaussian"))
    columns = people(SCM(spec), 300)
    return learn(spec, columns, engine="svi"), columns


@pytest.mark.slow
def test_a_guide_is_learned_where_the_posterior_is_not_log_concave_and_never_sees_the_outcome() -> None:
    scm, columns = guided()
    sampler = scm.sampler
    assert sampler is not None
    (guide,) = sampler.guides.values()
    assert set(guide.levels) == {"a", *(f"{kind}{name}" for kind in "cd" for name in NAMES[:4])}
    said = guide.normal({node: columns[node] for node in guide.levels}, columns.n)
    exact = posterior(SCM(scm.spec), columns)
    for j, latent in enumerate(guide.real):
        error = (said.center[j] - exact.mean[latent]) / exact.sd[latent]
        assert float(error.square().mean()) < 0.3  # of a mean that knows nothing: about 2
    untouched = columns_of({**columns, "y": columns["y"] + 100.0})
    torch.testing.assert_close(posterior(scm, untouched).mean["k"], posterior(scm, columns).mean["k"], rtol=0, atol=0)


@pytest.mark.slow
def test_a_guide_travels_with_the_state_dict_and_leaves_pyro_and_torch_as_they_were() -> None:
    pyro.get_param_store().clear()
    before = torch.get_rng_state()
    scm, columns = guided.__wrapped__()
    assert torch.equal(torch.get_rng_state(), before)
    assert not list(pyro.get_param_store())
    again = SCM.restored(scm.spec, scm.state_dict())
    for latent in scm.spec.latents:
        assert torch.equal(posterior(again, columns).mean[latent], posterior(scm, columns).mean[latent])
    twin, _ = guided()
    assert all(torch.equal(value, twin.state_dict()[name]) for name, value in scm.state_dict().items())


@pytest.mark.slow
def test_loadings_of_four_latents_come_back() -> None:
    """Within 0.2: about five standard errors of the weakest at n = 1,500."""
    nodes = chained(4, "gaussian", "poisson")
    scm = learn(spec_of(nodes, free=True), people(SCM(spec_of(nodes)), 1_500, seed=2))
    found = scm.parameters_in_units()
    for node, said in nodes.items():
        for name, weight in said.get("parameters", {}).get("weights", {}).items():
            assert found[node]["weights"][name] == pytest.approx(weight, abs=0.2), (node, name)  # type: ignore[index]


@pytest.mark.slow
def test_the_true_latents_lie_anywhere_among_their_draws() -> None:
    """Simulation-based calibration of abduction (Talts et al. 2018), with counts that make the posterior lean."""
    draws, n = 20, 4_000
    scm = SCM(spec_of(chained(4, "gaussian", "poisson")))
    truth = simulate(scm, n, seed=9)
    world = abduct(scm, columns_of({node: truth.values[node][0] for node in scm.spec.observed}), draws=draws, seed=1)
    for latent in scm.spec.latents:
        bins = (
            draws if latent == "k" else draws + 1
        )  # the first latent's draws lie one in each stratum: none and all below are half a stratum each
        ranks = (world.values[latent] < truth.values[latent][0]).sum(0) % bins
        counts = torch.bincount(ranks, minlength=bins).to(torch.float64)
        statistic = float(((counts - n / bins).square() / (n / bins)).sum())
        assert statistic < 49.0, latent  # chi-square with 20 degrees of freedom exceeds it three times in 10,000


def test_a_run_with_four_latents_comes_back_and_its_report_says_how_they_were_inferred(tmp_path: Path) -> None:
    nodes = chained(4, "gaussian", "poisson")
    spec = declare({**A, **nodes, "y": {"mechanism": "gaussian", "parents": ["a", "k"]}})
    known = spec_of(nodes)
    run = fit(spec, people(SCM(known), 80), Options(draws=2, min_group_size=5, predictors=("constant", "latent")))
    (line,) = (each for each in run.report.assumptions if each.name == "svi")
    assert "approximate, because more than three real latents hang together" in line.text
    assert "had a k-hat above 0.7" in str(line.tested)
    (estimates,) = (each for each in run.report.assumptions if each.name == "point_estimates")
    assert "the engine svi draws none" in estimates.text
    assert run.scm.uncertainty is None
    assert "quadrature" not in [each.name for each in run.report.assumptions]
    new = to_frame(known, dict(people(SCM(known), 5, seed=8)))
    again = load(save(run, tmp_path / "run"))
    assert again.predict(new).tolist() == run.predict(new).tolist()
    assert run.predict(new).nunique() == 5
