"""Errors over people and over parameters together, against cases in which what they come to is known."""

from math import sqrt

import pytest
import torch

from cfair.effects import decompose
from cfair.effects.answering import Work, drawn_models
from cfair.effects.shared import Shared, shared_by, standard_error
from cfair.inference import learn
from cfair.interfaces import Columns

from oracles import columns_of, declare

N = 500
FREE = declare(
    {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"]},
        "y": {"mechanism": "gaussian", "parents": ["a"]},
    }
)


def table(seed: int = 1) -> Columns:
    """People of whom a shifts y by 1."""
    dice = torch.Generator().manual_seed(seed)
    a = (torch.rand(N, generator=dice) < 0.5).double()
    return columns_of({"a": a, "y": a + torch.randn(N, generator=dice).double()})


def normal(mean: float, draws: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws of a mean that was learned from N people of variance 1, and their weights."""
    drawn = torch.special.ndtri((torch.arange(draws) + 0.5).double() / draws)
    return mean + drawn / drawn.std(correction=0) / sqrt(N), torch.full((draws,), 1 / draws, dtype=torch.float64)


def of_mean() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Shared]:
    """People x, draws of their mean, their weights, and what they share: log p(x | mean) = −(x − mean)²/2."""
    x = torch.randn(N, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x = (x - x.mean()) / x.std(correction=0)
    drawn, weights = normal(0.0)
    return x, drawn, weights, Shared(torch.arange(N), -(x[:, None] - drawn).square() / 2)


@pytest.mark.parametrize(("of_people", "of_parameters", "expected"), [(1.0, 1.0, 2.0), (1.0, -1.0, 0.0), (0.0, 1.0, 1.0), (2.0, -1.0, 1.0)])
def test_a_sum_of_a_mean_and_of_the_same_mean_learned_has_the_error_of_its_whole(
    of_people: float, of_parameters: float, expected: float
) -> None:
    """c·x̄ + d·θ̂ with θ̂ = x̄ has the standard error |c + d|/√n."""
    x, drawn, weights, shared = of_mean()
    error = standard_error(of_people * x, N, drawn=of_parameters * drawn, weights=weights, shared=shared)
    assert error == pytest.approx(expected / sqrt(N), abs=0.02 / sqrt(N))


def test_few_draws_make_an_error_larger_rather_than_smaller_and_never_more_than_the_sum_of_both() -> None:
    x, drawn, weights, shared = of_mean()
    whole = standard_error(x, N, drawn=-0.5 * drawn, weights=weights, shared=shared)
    few = []
    for start in range(0, 2_000, 10):
        some = torch.randperm(len(drawn), generator=torch.Generator().manual_seed(start))[:10]
        part = Shared(shared.people, shared.log_density[:, some])
        few.append(standard_error(x, N, drawn=-0.5 * drawn[some], weights=torch.full((10,), 0.1).double(), shared=part) ** 2)
        assert few[-1] <= 1.0001 * (1 + 0.5 * float(drawn[some].std(correction=0)) * sqrt(N)) ** 2 / (N - 1)
    assert sum(few) / len(few) > whole**2


def test_parameters_learned_from_others_err_by_themselves() -> None:
    x, drawn, weights, _ = of_mean()
    error = standard_error(x, N, drawn=-drawn, weights=weights, shared=None)
    assert error == pytest.approx(sqrt(2 / N), rel=0.03)


def test_people_whom_the_parameters_were_learned_from_are_known_again_and_no_others() -> None:
    scm = learn(FREE, table(), uncertainty="laplace")
    drawn = drawn_models(scm, Work(1, 2, 10, 0))[0]
    turned = table().take(torch.arange(N).flip(0))
    assert shared_by(scm, drawn, table(), "y", seed=0) is not None
    assert shared_by(scm, drawn, turned, "y", seed=0) is not None
    assert shared_by(scm, drawn, table(2), "y", seed=0) is None
    assert shared_by(scm, drawn, table().take(slice(1, None)), "y", seed=0) is None


def test_densities_of_rows_differ_between_draws_as_those_of_a_normal() -> None:
    people = table()
    scm = learn(FREE, people, uncertainty="laplace")
    drawn = drawn_models(scm, Work(1, 2, 3, 0))[0]
    shared = shared_by(scm, drawn, people, "y", seed=0)
    assert shared is not None
    for s, each in enumerate(drawn):
        known = each.parameters_in_units()["y"]
        one = torch.distributions.Normal(known["intercept"] + known["weights"]["a=yes"] * people["a"], known["scale"]).log_prob(people["y"])  # type: ignore[index, operator]
        p = torch.sigmoid(torch.tensor(each.parameters_in_units()["a"]["intercept"], dtype=torch.float64))  # type: ignore[index]
        both = one + torch.where(people["a"] == 1, p, 1 - p).log()
        torch.testing.assert_close(shared.log_density[:, s], both[shared.people], rtol=1e-6, atol=1e-6)


def test_an_effect_without_confounders_is_the_difference_of_means_with_its_error_and_nothing_is_spurious() -> None:
    people = table()
    scm = learn(FREE, people, uncertainty="laplace", parameter_draws=400)
    found = decompose(scm, people, attribute="a", start="no", end="yes", draws=1, source="both")
    ends = {term: (each.high or 0) - (each.low or 0) for term, each in found.terms.items()}
    assert ends["te"] / ends["tv"] == pytest.approx(1.0, rel=0.15)
    assert ends["ctf_se"] < 0.4 * ends["tv"]  # ȳ₀ + β̂ − ȳ₁: both errors cancel
    assert found.difference is not None
    assert found.difference.standard_errors["te"] < 0.4 * ends["tv"] / 3.92
