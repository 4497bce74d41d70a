"""The SCM as a torch module and as a Pyro model."""

from functools import partial
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import cast

import numpy as np
import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import MCMC, NUTS, SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from pyro.optim import Adam
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cfair.errors import QueryError
from cfair.families import FAMILIES
from cfair.inference import learn, posterior
from cfair.inference.factors import log_prob
from cfair.inference.landscape import landscape
from cfair.inference.neighbourhood import neighbourhoods
from cfair.interfaces import Columns
from cfair.mechanisms import log_prior
from cfair.scm import SCM
from cfair.worlds import simulate

from oracles import LINEAR, columns_of, declare, log_density, people, random_spec

SEEDS = range(12)


def with_latent(columns: Columns, scm: SCM, seed: int = 0) -> dict[str, Tensor]:
    """Everything that a row has, the latent included."""
    source = torch.Generator().manual_seed(seed)
    return {**columns.coded, "u": torch.randn(columns.n, generator=source, dtype=torch.float64)}


@pytest.mark.parametrize("seed", SEEDS)
def test_model_has_one_site_per_node_in_one_plate_and_observes_the_table(seed: int) -> None:
    scm = SCM(random_spec(seed))
    trace = poutine.trace(scm.model).get_trace(people(scm, 10, seed=seed))
    sites = {name: site for name, site in trace.nodes.items() if site["type"] == "sample" and name != "rows"}
    assert list(sites) == list(scm.spec.order)
    for name, site in sites.items():
        assert site["is_observed"] == (name != "u")
        assert [frame.name for frame in site["cond_indep_stack"]] == ["rows"]
        assert site["value"].shape == (10,)


@pytest.mark.parametrize("seed", SEEDS)
def test_trace_log_joint_is_the_sum_of_the_mechanisms_and_of_the_textbook(seed: int) -> None:
    scm = SCM(random_spec(seed))
    values = with_latent(people(scm, 10, seed=seed), scm)
    trace = poutine.trace(scm.model).get_trace(columns_of(values))
    trace.compute_log_prob()
    arrays = {node: value.numpy() for node, value in values.items()}
    for node in scm.spec.order:
        found = trace.nodes[node]["log_prob"]
        torch.testing.assert_close(found, log_prob(scm, node, values, {}), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.numpy(), log_density(scm, node, arrays), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_family_has_the_density_of_the_textbook_in_the_trace(seed: int) -> None:
    scm = SCM(random_spec(seed, families=sorted(FAMILIES)))
    values = with_latent(people(scm, 10, seed=seed), scm)
    trace = poutine.trace(scm.model).get_trace(columns_of(values))
    trace.compute_log_prob()
    arrays = {node: value.numpy() for node, value in values.items()}
    for node in scm.spec.order:
        np.testing.assert_allclose(trace.nodes[node]["log_prob"].numpy(), log_density(scm, node, arrays), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_of_any_families_goes_through_safetensors_and_back(seed: int, tmp_path: Path) -> None:
    columns = people(SCM(random_spec(seed, families=sorted(FAMILIES))), 60, seed=seed)
    scm = learn(random_spec(seed, free=True, families=sorted(FAMILIES)), columns)
    save_file(scm.state_dict(), tmp_path / "scm.safetensors")
    again = SCM(scm.spec)
    again.load_state_dict(load_file(tmp_path / "scm.safetensors"))
    assert again.parameters_in_units() == scm.parameters_in_units()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_quadrature_integrates_differs_from_the_trace_by_what_has_no_latent(seed: int) -> None:
    scm = SCM(random_spec(seed))
    columns = people(scm, 10, seed=seed)
    (area,) = neighbourhoods(scm, columns.coded, scm.spec.observed, columns.n)
    rest = []
    for other in range(3):
        values = with_latent(columns, scm, seed=other)
        trace = poutine.trace(scm.model).get_trace(columns_of(values))
        trace.compute_log_prob()
        rest.append(sum(trace.nodes[node]["log_prob"] for node in scm.spec.order) - landscape(area)(values["u"].unsqueeze(0)))
    torch.testing.assert_close(rest[1], rest[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(rest[2], rest[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_sampled_parameters_are_sites_with_their_priors(seed: int) -> None:
    columns = people(SCM(random_spec(seed)), 20, seed=seed)
    scm = SCM(random_spec(seed, free=True))
    trace = poutine.trace(scm.model).get_trace(columns, parameters="sampled")
    trace.compute_log_prob()
    for node, mechanism in scm.mechanisms.items():
        module = cast("nn.Module", mechanism)
        free = {name.removesuffix("_free"): mask for name, mask in module.named_buffers() if name.endswith("_free")}
        learned = {name for name, mask in free.items() if mask.any()}
        assert {name for name in trace.nodes if name.startswith(f"{node}.")} == {f"{node}.{name}" for name in learned}
        values = {name: trace.nodes[f"{node}.{name}"]["value"] if name in learned else value for name, value in module.named_parameters()}
        total = sum((trace.nodes[f"{node}.{name}"]["log_prob"].sum() for name in learned), torch.zeros(()))
        torch.testing.assert_close(torch.as_tensor(total).double(), log_prior(mechanism.priors(), values, free))


def test_a_partly_fixed_parameter_keeps_what_is_fixed() -> None:
    known = {"m": {"intercept": 2.0, "weights": {"a=y": 1.0}}}
    c = {"mechanism": "categorical", "levels": ["s", "m", "l"], "parents": ["a"], "parameters": known}
    spec = declare({"a": {"mechanism": "bernoulli", "levels": ["n", "y"]}, "c": c, "y": {"mechanism": "gaussian"}})
    scm = SCM(spec)
    columns = columns_of({"a": torch.tensor([0.0, 1.0]), "c": torch.tensor([1.0, 2.0]), "y": torch.zeros(2)})
    logits = poutine.trace(scm.model).get_trace(columns, parameters="sampled").nodes["c"]["fn"].logits
    torch.testing.assert_close((logits[:, 1] - logits[:, 0]).double(), torch.tensor([2.0, 3.0], dtype=torch.float64))


def test_svi_learns_the_posterior_that_quadrature_gives() -> None:
    spec = random_spec(1)
    scm = SCM(spec)
    columns = people(scm, 40, seed=1)
    with pyro.get_param_store().scope(), torch.random.fork_rng():
        pyro.set_rng_seed(0)
        guide = AutoNormal(scm.model)
        svi = SVI(scm.model, guide, Adam({"lr": 0.05}), Trace_ELBO(num_particles=2, vectorize_particles=False))
        for _ in range(250):
            svi.step(columns)
        found = guide.median(columns)["u"].detach()
    exact = posterior(scm, columns, given=spec.observed)
    assert ((found - exact.mean["u"]) / exact.sd["u"]).abs().mean() < 0.2


def test_svi_runs_on_the_model_with_its_parameters() -> None:
    columns = people(SCM(random_spec(1)), 40, seed=1)
    model = partial(SCM(random_spec(1, free=True)).model, parameters="sampled")
    with pyro.get_param_store().scope(), torch.random.fork_rng():
        svi = SVI(model, AutoNormal(model), Adam({"lr": 0.05}), Trace_ELBO())
        assert all(isfinite(svi.step(columns)) for _ in range(3))


@pytest.mark.slow
def test_nuts_runs_on_the_model_with_and_without_its_parameters() -> None:
    spec = declare(
        {
            "a": {"mechanism": "bernoulli", "levels": ["n", "y"]},
            "k": {"mechanism": "gaussian", "latent": True},
            "x": {"mechanism": "poisson", "parents": ["a", "k"], "parameters": {"intercept": 2.0, "weights": {"a=y": 0.5, "k": 0.4}}},
            "y": {"mechanism": "gaussian", "parents": ["k"]},
        }
    )
    scm = SCM(spec)
    rows = {"a": [0.0, 1, 1, 0, 1], "x": [7.0, 12, 30, 2, 9], "y": [0.0, 1, 2, -1, 0.5]}
    columns = columns_of({node: torch.tensor(column, dtype=torch.float64) for node, column in rows.items()})
    for parameters in ("fixed", "sampled"):
        with pyro.get_param_store().scope(), torch.random.fork_rng():
            pyro.set_rng_seed(0)
            kernel = NUTS(lambda data, parameters=parameters: scm.model(data, parameters=parameters), jit_compile=False)
            chain = MCMC(kernel, num_samples=30, warmup_steps=30, disable_progbar=True)
            chain.run(columns)
        samples = chain.get_samples()
        assert samples["k"].shape == (30, 5)
        assert all(draws.isfinite().all() for draws in samples.values())
        assert ("y.log_scale" in samples) == (parameters == "sampled")
        if parameters == "fixed":
            exact = posterior(scm, columns, given=spec.observed)
            assert ((samples["k"].mean(0) - exact.mean["k"]) / exact.sd["k"]).abs().max() < 1.0


def test_nodes_left_out_of_the_table_are_sampled() -> None:
    scm = SCM(LINEAR)
    values = scm.model(columns_of({"a": torch.tensor([0.0, 1.0])}))
    assert values["y"].shape == values["m"].shape == (2,)


def test_parameters_of_the_model_are_fixed_or_sampled() -> None:
    with pytest.raises(QueryError, match=r"parameters: 'learned' is neither.*Use one of the two"):
        SCM(LINEAR).model(columns_of({"a": torch.zeros(1)}), parameters=cast("None", "learned"))


def test_the_callers_random_stream_and_parameter_store_are_untouched() -> None:
    spec = random_spec(2)
    before = torch.random.get_rng_state()
    stored = dict(pyro.get_param_store().items())
    scm = SCM(spec)
    columns = people(scm, 30, seed=2)
    learn(random_spec(2, free=True), columns, seed=3)
    posterior(scm, columns)
    simulate(scm, 5, seed=9)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert dict(pyro.get_param_store().items()) == stored


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_state_dict_goes_through_safetensors_and_back(seed: int, tmp_path: Path) -> None:
    columns = people(SCM(random_spec(seed)), 60, seed=seed)
    scm = learn(random_spec(seed, free=True), columns)
    save_file(scm.state_dict(), tmp_path / "scm.safetensors")
    again = SCM(scm.spec)
    again.load_state_dict(load_file(tmp_path / "scm.safetensors"))
    assert again.parameters_in_units() == scm.parameters_in_units()
    values = with_latent(columns, scm)
    for node in scm.spec.order:
        assert torch.equal(log_prob(again, node, values, {}), log_prob(scm, node, values, {}))


def test_everything_that_is_kept_is_float64_or_a_mask_and_carries_no_gradient() -> None:
    scm = SCM(random_spec(0, free=True))
    assert all(value.dtype in (torch.float64, torch.bool) for value in scm.state_dict().values())
    assert not any(parameter.requires_grad for parameter in scm.parameters())


NAMES = ["forward", "type", "a.b", "training", "state_dict", "_modules", "spec", "1", "é 日", "rows", "linear.weights", "__class__"]


@pytest.mark.parametrize(("first", "second"), list(pairwise([*NAMES, NAMES[0]])))
def test_any_name_is_a_node(first: str, second: str) -> None:
    nodes = {
        first: {"mechanism": "bernoulli", "levels": ["n", "y"]},
        "k": {"mechanism": "gaussian", "latent": True},
        second: {"mechanism": "gaussian", "parents": [first, "k"]},
        "y": {"mechanism": "gaussian", "parents": [second, first]},
    }
    spec = declare(nodes, protected=[first])
    source = torch.Generator().manual_seed(0)
    columns = columns_of({first: torch.arange(20) % 2, second: torch.randn(20, generator=source), "y": torch.randn(20, generator=source)})
    scm = learn(spec, columns)
    assert posterior(scm, columns).mean["k"].isfinite().all()
    trace = poutine.trace(scm.model).get_trace(columns)
    assert {first, second, "y", "k"} <= {name for name, site in trace.nodes.items() if site["type"] == "sample"}
    assert ("rows_" if "rows" in (first, second) else "rows") in trace.nodes
