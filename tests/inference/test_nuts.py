"""Chains over the parameters against a posterior that is known otherwise, and what is said when they fail."""

from dataclasses import replace

import pyro
import pytest
import torch

from cfair.errors import FitError
from cfair.inference import learn
from cfair.inference import nuts as sampler
from cfair.inference.chains import bulk_ess, r_hat
from cfair.inference.log_posterior import LogPosterior
from cfair.inference.nuts import Chains, nuts
from cfair.interfaces import Columns
from cfair.scm import SCM

from oracles import columns_of, declare

QUICK = Chains(count=2, warmup=30, length=80, agreed=1.1)
A = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}}
Y = {"mechanism": "gaussian", "parents": ["a"], "parameters": {"weights": {"a=yes": 0.0}}, "prior": {"variance": {"inverse_gamma": [3, 2]}}}
N = 12


@pytest.fixture(scope="module")
def learned() -> tuple[SCM, Columns]:
    """A dozen numbers with an unknown mean, almost flat, and an unknown variance."""
    spec = declare({"a": A, "y": {**Y, "prior": {**Y["prior"], "intercept": {"normal": 1e4}}}})  # type: ignore[dict-item]
    source = torch.Generator().manual_seed(3)
    y = 1.0 + torch.randn(N, generator=source, dtype=torch.float64)
    columns = columns_of({"a": torch.arange(N) % 2, "y": y})
    return learn(spec, columns, units={}), columns


def test_chains_draw_the_marginal_posterior_and_leave_everyone_elses_state(learned: tuple[SCM, Columns]) -> None:
    scm, columns = learned
    pyro.get_param_store().setdefault("mine", torch.tensor(1.0))
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    uncertain = nuts(scm, columns, count=300, chains=QUICK)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert list(pyro.get_param_store().keys()) == ["mine"]
    pyro.clear_param_store()
    draws = 1 / uncertain.draws["y"]["log_scale"].exp().square()  # 1/σ² ~ Gamma(3 + (n − 1)/2, 2 + S/2)
    y = columns["y"]
    shape, rate = 3 + (N - 1) / 2, 2 + float((y - y.mean()).square().sum()) / 2
    error = shape**0.5 / rate
    ess = min(uncertain.ess.values())
    assert ess > 30
    assert abs(float(draws.mean()) - shape / rate) < 5 * error / ess**0.5
    assert abs(float(draws.std()) / error - 1) < 5 / ess**0.5
    assert uncertain.divergences == 0
    assert torch.equal(uncertain.weights, torch.full((300,), 1 / 300, dtype=torch.float64))


def test_chains_depend_on_the_seed_alone(learned: tuple[SCM, Columns]) -> None:
    tiny = Chains(count=1, warmup=5, length=25, agreed=float("inf"))
    one, same, other = (nuts(*learned, count=50, seed=seed, chains=tiny).draws["y"]["log_scale"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_chains_that_do_not_agree_are_an_error_that_names_the_parameter(learned: tuple[SCM, Columns]) -> None:
    with pytest.raises(FitError, match=r"chains do not agree on y\..*R-hat"):
        nuts(*learned, chains=Chains(count=2, warmup=5, length=25, agreed=0.9))


def test_chains_that_diverge_are_run_longer_before_they_are_an_error(learned: tuple[SCM, Columns], monkeypatch: pytest.MonkeyPatch) -> None:
    lengths, run = list[int](), sampler._run
    too_many = {25: 2, 100: 1}  # of the chains' 50, then 200 transitions: 4 %, then 0.5 %

    def diverging(density: LogPosterior, chains: Chains, seed: int) -> object:
        lengths.append(chains.length)
        return replace(run(density, chains, seed), divergences=too_many[chains.length])

    monkeypatch.setattr(sampler, "_run", diverging)
    tiny = Chains(count=2, warmup=5, length=25, agreed=float("inf"))
    assert nuts(*learned, count=50, chains=tiny).divergences == 1
    assert lengths == [25, 100]
    too_many[100] = 3
    with pytest.raises(FitError, match="3 of 200 transitions diverged"):
        nuts(*learned, count=50, chains=tiny)


def test_r_hat_sees_chains_apart_and_chains_of_unequal_width() -> None:
    source = torch.Generator().manual_seed(0)
    same = torch.randn(4, 500, generator=source, dtype=torch.float64)
    scale = torch.tensor([1.0, 1.0, 1.0, 3.0], dtype=torch.float64).unsqueeze(1)
    assert r_hat(same) < 1.01
    assert r_hat(same + (scale - 1) / 2) > 1.05
    assert r_hat(same * scale) > 1.05


def test_the_effective_number_of_an_autoregression_is_the_closed_form() -> None:
    source = torch.Generator().manual_seed(0)
    steps, rho = 4_000, 0.6
    noise = torch.randn(4, steps, generator=source, dtype=torch.float64)
    chain = [noise[:, 0]]
    for k in range(1, steps):
        chain.append(rho * chain[-1] + (1 - rho**2) ** 0.5 * noise[:, k])
    expected = 4 * steps * (1 - rho) / (1 + rho)
    assert bulk_ess(torch.stack(chain, 1)) == pytest.approx(expected, rel=0.15)


def test_draws_on_opposite_sides_are_worth_no_more_than_a_multiple_of_their_number() -> None:
    source = torch.Generator().manual_seed(0)
    half = torch.randn(1, 50, generator=source, dtype=torch.float64)
    opposite = torch.stack([half, -half], 2).flatten(1)  # each draw is followed by its mirror image
    assert bulk_ess(opposite) == pytest.approx(200.0)  # 100·log₁₀ 100; the estimate itself is below 0
