"""Families learned by gradient: what they learn is the truth, and how they learn disturbs nothing."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import gamma, norm
from torch import Tensor

from cfair.data import to_frame
from cfair.errors import FitError, SpecError
from cfair.inference import learn
from cfair.interfaces import Columns, Mechanism, SelfTaught
from cfair.mechanisms.networked import HELD_OUT, Networked
from cfair.mechanisms.training import split_rows
from cfair.pipeline import Options, fit
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.store import load, save

from oracles import assert_distribution, columns_of, declare

FAMILIES = ("neural", "flow")
SD = 2.5  # of the noise of the curved model
SHORT = {"hidden": [8], "epochs": 12, "patience": 3}  # options of a network that is learned in a blink


def spec_of(family: str, **options: object) -> ModelSpec:
    return declare(
        {
            "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
            "r": {"mechanism": "gaussian"},
            "y": {"mechanism": {"family": family, **options}, "parents": ["a", "r"]},
        }
    )


def curved(a: Tensor, r: Tensor) -> Tensor:
    """A mean that no line follows, and that bends otherwise in each group."""
    return 10 + 5 * torch.where(a > 0, 0.5 * r.square() - 1, torch.sin(2 * r))


def causes(n: int, seed: int) -> tuple[dict[str, Tensor], Tensor]:
    """Parents and the noise's uniform number."""
    source = torch.Generator().manual_seed(seed)
    a, r = torch.randint(2, (n,), generator=source).double(), torch.randn(n, generator=source, dtype=torch.float64)
    return {"a": a, "r": r}, torch.rand(n, generator=source, dtype=torch.float64).clamp(min=2**-54)


def curved_people(n: int, seed: int = 0) -> Columns:
    parents, uniform = causes(n, seed)
    return columns_of({**parents, "y": curved(**parents) + SD * torch.special.ndtri(uniform)})


@cache
def learned(family: str, n: int = 4_000) -> Mechanism:
    return learn(spec_of(family), curved_people(n)).mechanisms["y"]


def crossed(mechanism: Mechanism, seen: Tensor, parents: dict[str, Tensor]) -> Tensor:
    """What they would have had in the other group."""
    noise = mechanism.abduct(seen, parents, torch.full_like(seen, 0.5))
    return mechanism.value(noise, {**parents, "a": 1 - parents["a"]})


@pytest.mark.parametrize(("family", "error"), [("neural", 0.25), ("flow", 0.3)])
def test_counterfactuals_of_a_curved_model_are_within_a_stated_error_of_the_truth(family: str, error: float) -> None:
    parents, uniform = causes(5_000, seed=1)
    noise = SD * torch.special.ndtri(uniform)
    seen, truth = curved(**parents) + noise, curved(1 - parents["a"], parents["r"]) + noise
    wrong = (crossed(learned(family), seen, parents) - truth).square().mean().sqrt() / seen.std()
    linear = (crossed(learned("gaussian"), seen, parents) - truth).square().mean().sqrt() / seen.std()
    assert wrong < error  # of the column's standard deviation
    assert wrong < 0.3 * linear


def shaped(uniform: Tensor, a: Tensor, r: Tensor) -> Tensor:
    """A right-skewed quantile function in one group, and a two-humped one in the other, moved by ``r``."""
    skewed = 3 * gamma.ppf(uniform.numpy(), 2)
    grid = np.linspace(-9, 9, 200_001)
    humps = np.interp(uniform.numpy(), 0.6 * norm.cdf(grid, -3, 0.8) + 0.4 * norm.cdf(grid, 3, 1.2), grid)
    return 2 * r + torch.where(a > 0, torch.from_numpy(humps), torch.from_numpy(skewed))


@cache
def shaped_flow() -> Mechanism:
    parents, uniform = causes(6_000, seed=0)
    spec = spec_of("flow", hidden=[24], patience=6)
    return learn(spec, columns_of({**parents, "y": shaped(uniform, **parents)})).mechanisms["y"]


@pytest.mark.parametrize("group", [0.0, 1.0])
def test_a_flow_recovers_the_quantiles_of_skewed_and_of_two_humped_values(group: float) -> None:
    uniform = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
    parents = {"a": torch.tensor(group).double(), "r": torch.tensor(0.4).double()}
    found = shaped_flow().value(torch.special.ndtri(uniform), parents)
    truth = shaped(uniform, parents["a"].expand(49), parents["r"].expand(49))
    apart = (found - truth).abs() / truth.std()
    between = (uniform > 0.55) & (uniform < 0.65) if group else torch.zeros(49, dtype=torch.bool)  # humps meet: nobody lives there
    assert apart[~between].max() < 0.25
    assert apart[~between].mean() < 0.07


def test_a_flow_keeps_everyone_at_their_quantile() -> None:
    parents, uniform = causes(5_000, seed=1)
    seen, truth = shaped(uniform, **parents), shaped(uniform, 1 - parents["a"], parents["r"])
    wrong = (crossed(shaped_flow(), seen, parents) - truth).abs() / seen.std()
    assert wrong.median() < 0.05
    assert wrong.quantile(0.95) < 0.35
    assert_distribution(shaped_flow().abduct(truth, {**parents, "a": 1 - parents["a"]}, uniform)[:400], norm.cdf)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_learned_mechanism_returns_the_value_even_far_out(family: str) -> None:
    parents, _ = causes(2_000, seed=2)
    far = 10 + torch.linspace(-400, 400, 2_000, dtype=torch.float64)
    for mechanism in (learned(family), *([shaped_flow()] if family == "flow" else [])):
        noise = mechanism.abduct(far, parents, torch.full_like(far, 0.5))
        assert noise.isfinite().all()
        torch.testing.assert_close(mechanism.value(noise, parents), far, rtol=0, atol=1e-10)


def test_a_flow_increases_with_the_noise_and_stays_finite_where_no_one_has_been() -> None:
    noise = torch.linspace(-40, 40, 20_001, dtype=torch.float64)
    for r in (-1e6, -30.0, 0.0, 30.0, 1e6):
        values = shaped_flow().value(noise, {"a": torch.tensor(1.0).double(), "r": torch.tensor(r).double()})
        assert values.isfinite().all()
        assert (values.diff() >= 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_weights_are_restored(family: str) -> None:
    columns = curved_people(600)
    mechanism = learn(spec_of(family, hidden=[16], patience=3), columns).mechanisms["y"]
    assert isinstance(mechanism, Networked)
    seed = sum((j + 1) * ord(letter) for j, letter in enumerate("y"))
    held = split_rows(600, None, HELD_OUT, seed=seed, node="y").held_out
    y, z = (columns["y"] - mechanism.center) / mechanism.unit, mechanism.network.features(columns)
    found = float(mechanism.loss(mechanism.network.weights, z[held], y[held]).mean())
    history = mechanism.history[mechanism.history.isfinite()]
    assert found == pytest.approx(float(history.min()), rel=1e-12)
    assert history[-1] > history.min()  # learning went on past the best


def test_noise_is_measured_on_rows_that_the_network_was_not_fitted_to() -> None:
    parents, uniform = causes(400, seed=3)
    columns = columns_of({**parents, "y": torch.special.ndtri(uniform)})  # nothing to be learned of the parents
    overfitted = learn(spec_of("neural", hidden=[64, 64]), columns).mechanisms["y"]
    assert 0.85 < float(overfitted.distribution(dict(columns)).stddev.max()) < 1.15


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_gives_one_answer_and_leaves_torch_as_it_was(family: str) -> None:
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    spec, columns = spec_of(family, **SHORT), curved_people(300)
    one, same, other = (learn(spec, columns, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(one[name].nan_to_num(), same[name].nan_to_num()) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one if ".network.matrix" in name)


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_weights_change_nothing_and_a_row_without_weight_does_not_count(family: str) -> None:
    columns = curved_people(300)
    plain, equal, fewer, zeroed = (taught(family) for _ in range(4))
    keep = torch.arange(300) % 3 > 0
    teach(plain, columns)
    teach(equal, columns, torch.full((300,), 2.5, dtype=torch.float64))
    teach(fewer, columns.take(keep.nonzero().squeeze(-1)))
    wild = Columns({**columns.coded, "y": torch.where(keep, columns["y"], 1e9)}, columns.rows, columns.facts)
    teach(zeroed, wild, keep.double())
    for one, other in ((plain, equal), (fewer, zeroed)):
        for name, tensor in other.state_dict().items():
            torch.testing.assert_close(tensor, one.state_dict()[name], rtol=1e-9, atol=1e-9, equal_nan=True)


def test_heavier_rows_draw_the_mean_towards_them() -> None:
    parents, uniform = causes(2_000, seed=4)
    half = uniform > 0.5
    columns = columns_of({**parents, "y": torch.where(half, 1.0, -1.0) + 0.1 * torch.special.ndtri(uniform)})
    weighted = taught("neural")
    teach(weighted, columns, torch.where(half, 3.0, 1.0).double())
    assert float(weighted.distribution(dict(columns)).mean.mean()) == pytest.approx(0.5, abs=0.1)


def taught(family: str) -> Networked:
    mechanism = SCM(spec_of(family, **SHORT)).mechanisms["y"]
    assert isinstance(mechanism, Networked)
    return mechanism


def teach(mechanism: Networked, columns: Columns, weights: Tensor | None = None) -> None:
    assert isinstance(mechanism, SelfTaught)
    mechanism.learn(columns["y"], {"a": columns["a"], "r": columns["r"]}, node="y", seed=0, weights=weights)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_constant_column_and_one_without_parents_stay_finite(family: str) -> None:
    columns = curved_people(200)
    constant = columns_of({**columns.coded, "y": torch.full((200,), 7.0)})
    mechanism = learn(spec_of(family, **SHORT), constant).mechanisms["y"]
    parents = {name: constant[name] for name in ("a", "r")}
    assert mechanism.distribution(parents).log_prob(constant["y"]).isfinite().all()
    torch.testing.assert_close(mechanism.value(torch.zeros(200).double(), parents), constant["y"], rtol=0, atol=0.05)
    alone = declare({"a": {"mechanism": "bernoulli", "levels": ["no", "yes"]}, "y": {"mechanism": {"family": family, **SHORT}}})
    root = learn(alone, columns).mechanisms["y"].distribution({})
    assert float(root.mean) == pytest.approx(float(columns["y"].mean()), abs=0.5)
    assert float(root.stddev) == pytest.approx(float(columns["y"].std()), abs=0.5)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(FitError, match="cannot be learned from 12 rows"):
        learn(spec_of("neural"), curved_people(12))


def test_a_run_with_networks_comes_back_from_its_folder_and_tells_what_it_learned(tmp_path: Path) -> None:
    nodes = {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
        "r": {"mechanism": "gaussian"},
        "m": {"mechanism": {"family": "flow", "bins": 5, **SHORT}, "parents": ["a", "r"]},
        "y": {"mechanism": {"family": "neural", **SHORT}, "parents": ["m", "a"]},
    }
    parents, uniform = causes(400, seed=0)
    m = curved(**parents) + torch.special.ndtri(uniform)
    columns = columns_of({**parents, "m": m, "y": m.square() / 20 + parents["a"] + torch.special.ndtri(uniform.flip(0))})
    run = fit(declare(nodes), columns, Options(draws=4, min_group_size=5, predictors=("full", "residual")))
    again = load(save(run, tmp_path / "run"))
    for name, tensor in run.scm.state_dict().items():
        torch.testing.assert_close(again.scm.state_dict()[name], tensor, rtol=0, atol=0, equal_nan=True)
    assert (again.scm.parameters_in_units(), again.report, again.spec) == (run.scm.parameters_in_units(), run.report, run.spec)
    told = run.scm.parameters_in_units()
    assert told["y"]["layers"] == [2, 8, 1]
    assert told["m"]["learned_numbers"] == 3 * 8 + 9 * 16 + 2 * 16  # each layer with its biases, and the linear part
    assert len(told["m"]["validation_loss"]) <= SHORT["epochs"]
    table = to_frame(run.spec, dict(columns))
    assert again.predict(table, "full").equals(run.predict(table, "full"))
    said = " ".join(assumption.text for assumption in run.report.assumptions)
    assert "everyone keeps their quantile among those with the same parents" in said
    assert "neural network" in said


LATENT = {"mechanism": "gaussian", "latent": True}
REFUSED = {
    "a parameter": ({"parameters": {"scale": 1.0}}, "has no parameter 'scale'", "all of it is learned"),
    "an intercept": ({"parameters": {"intercept": 1.0}}, "has no parameter 'intercept'", "all of it is learned"),
    "a prior": ({"prior": {"weights": {"normal": 1.0}}}, "has no prior for 'weights'", "leave 'prior' out"),
    "a latent parent": ({"parents": ["a", "k"]}, "the latent 'k' cannot be a parent", "choose gaussian"),
    "a latent itself": ({"latent": True}, "cannot be latent", "make it one of: gaussian"),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("node", "problem", "mend"), REFUSED.values(), ids=list(REFUSED))
def test_what_a_network_cannot_have_is_refused_before_any_work(family: str, node: dict[str, object], problem: str, mend: str) -> None:
    nodes = {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
        "k": LATENT,
        "x": {"mechanism": family, "parents": ["a"], **node},
        "y": {"mechanism": "gaussian", "parents": ["k"]},
    }
    with pytest.raises(SpecError) as caught:
        declare(nodes)
    assert problem in caught.value.problem
    assert mend in caught.value.mend
