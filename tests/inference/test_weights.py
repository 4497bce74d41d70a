"""Learning from weighted rows: a row of weight 2 counts as two like it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference import learn
from cfair.inference.factors import log_prob
from cfair.inference.free import FreeParameters
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec

from oracles import columns_of, declare, people

N = 600
A = {"mechanism": "bernoulli", "levels": ["no", "yes"]}
FLAT: dict[str, Any] = {"intercept": {"normal": 1e6}, "weights": {"normal": 1e6}}  # beside a prior, 600 weighted rows count as 600
FAMILIES: dict[str, dict[str, Any]] = {
    "gaussian": {"prior": {**FLAT, "variance": {"inverse_gamma": [1e-9, 1e-9]}}},
    "bernoulli": {"levels": ["no", "yes"], "prior": FLAT},
    "categorical": {"levels": ["x", "y", "z"], "prior": FLAT},
    "poisson": {"prior": FLAT},
}


def regression(family: str, *, flat: bool) -> tuple[ModelSpec, Columns]:
    """A node ``y`` of the family with a binary and a real parent, all free, and a table that is no draw from such a model."""
    source = torch.Generator().manual_seed(0)
    a = torch.bernoulli(torch.full((N,), 0.4, dtype=torch.float64), generator=source)
    r = 5 + 2 * torch.randn(N, generator=source, dtype=torch.float64)
    eta = 0.3 * (r - 5) + 0.6 * a + 0.5 * torch.randn(N, generator=source, dtype=torch.float64)
    y = {
        "gaussian": eta + 0.2 * eta.square(),
        "bernoulli": torch.bernoulli(eta.sigmoid(), generator=source),
        "categorical": torch.bernoulli(eta.sigmoid(), generator=source) + torch.bernoulli((eta - 0.5).sigmoid(), generator=source),
        "poisson": torch.poisson(eta.exp(), generator=source),
    }[family]
    declared = FAMILIES[family] if flat else {key: value for key, value in FAMILIES[family].items() if key != "prior"}
    real = {"mechanism": "gaussian", **({"prior": FAMILIES["gaussian"]["prior"]} if flat else {})}
    nodes = {"a": {**A, "prior": FLAT} if flat else A, "r": real, "y": {"mechanism": family, "parents": ["a", "r"], **declared}}
    return declare(nodes), columns_of({"a": a, "r": r, "y": y})


def factor(*, flat: bool) -> tuple[ModelSpec, Columns]:
    """A latent with three gaussian children and a binary parent of theirs, and people drawn from it."""
    prior = {"prior": FAMILIES["gaussian"]["prior"]} if flat else {}
    known = {"a": {**A, "parameters": {"intercept": 0.0, "weights": {}}}, "k": {"mechanism": "gaussian", "latent": True}}
    free = {child: {"mechanism": "gaussian", "parents": ["a", "k"], **prior} for child in ("x", "z", "y")}
    drawn = {
        child: {
            "mechanism": "gaussian",
            "parents": ["a", "k"],
            "parameters": {"intercept": 0.5 * j, "weights": {"a=yes": 1.0, "k": 1.0 + 0.3 * j}, "scale": 0.8},
        }
        for j, child in enumerate(("x", "z", "y"))
    }
    return declare({**known, **free}), people(SCM(declare({**known, **drawn})), N)


def weights() -> Tensor:
    """Weights 0, 1, 2 and 3, which go with nothing."""
    return torch.randint(0, 4, (N,), generator=torch.Generator().manual_seed(9)).double()


def weighted(columns: Columns, scale: float = 1.0) -> Columns:
    return replace(columns, weights=weights() * scale)


def repeated(columns: Columns) -> Columns:
    return columns.take(torch.arange(N).repeat_interleave(weights().long()))


def counted(columns: Columns) -> Columns:
    """The people of weight above 0 only, with their weights."""
    return weighted(columns).take(weights().nonzero()[:, 0])


def flat(raw: Mapping[str, Any]) -> Tensor:
    """All numbers of nested parameters, in order."""

    def numbers(value: Any) -> list[float]:
        if isinstance(value, Mapping):
            return [number for each in value.values() for number in numbers(each)]
        if isinstance(value, list):
            return [number for each in value for number in numbers(each)]
        return [] if isinstance(value, str) else [float(value)]

    return torch.tensor(numbers(raw), dtype=torch.float64)


def parameters(spec: ModelSpec, columns: Columns) -> Tensor:
    return flat(learn(spec, columns).parameters_in_units())


@pytest.mark.parametrize("family", FAMILIES)
def test_without_priors_whole_weights_teach_what_so_many_rows_do(family: str) -> None:
    spec, columns = regression(family, flat=True)
    torch.testing.assert_close(parameters(spec, weighted(columns)), parameters(spec, repeated(columns)), rtol=1e-6, atol=1e-6)


def test_without_priors_whole_weights_teach_a_latents_children_what_so_many_rows_do() -> None:
    spec, columns = factor(flat=True)
    torch.testing.assert_close(parameters(spec, weighted(columns)), parameters(spec, repeated(columns)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_with_priors_the_slope_of_the_weighted_posterior_is_0(family: str) -> None:
    """Σ w·∂log p(y | parents) + ∂log prior = 0 at what was learned, the weights of the rows that count having mean 1."""
    spec, columns = regression(family, flat=False)
    scm = learn(spec, weighted(columns))
    free = FreeParameters(scm, ["y"])
    w = weights() * (weights() > 0).sum() / weights().sum()

    def log_posterior(theta: Tensor) -> Tensor:
        unpacked = free.unpack(theta)
        return (w * log_prob(scm, "y", columns.coded, unpacked)).sum() + free.log_prior(unpacked)

    slope = torch.func.grad(log_posterior)(free.start)
    curvature = torch.autograd.functional.hessian(log_posterior, free.start)
    assert (torch.linalg.solve(curvature, slope) * curvature.diagonal().abs().sqrt()).abs().max() < 1e-3, "in posterior sds"


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_1_teach_what_no_weights_do(family: str) -> None:
    spec, columns = regression(family, flat=False)
    equal = replace(columns, weights=torch.full((N,), 7.0, dtype=torch.float64))
    torch.testing.assert_close(parameters(spec, equal), parameters(spec, columns), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_neither_the_unit_of_weights_nor_rows_of_weight_0_teach_anything(family: str) -> None:
    spec, columns = regression(family, flat=False)
    expected = parameters(spec, weighted(columns))
    for same in (weighted(columns, 1 / 7), weighted(columns, 4_000.0), counted(columns)):
        torch.testing.assert_close(parameters(spec, same), expected, rtol=1e-7, atol=1e-7)


def test_neither_the_unit_of_weights_nor_rows_of_weight_0_teach_a_latents_children_anything() -> None:
    spec, columns = factor(flat=False)
    expected = parameters(spec, weighted(columns))
    for same in (weighted(columns, 4_000.0), counted(columns)):
        torch.testing.assert_close(parameters(spec, same), expected, rtol=1e-5, atol=1e-5)


def table(prior: float) -> tuple[ModelSpec, Columns]:
    """A table with a parent that is a table, and people."""
    source = torch.Generator().manual_seed(1)
    a = torch.randint(0, 2, (N,), generator=source).double()
    y = (torch.rand(N, generator=source) < 0.3 + 0.4 * a).double()
    levels = {"mechanism": "table", "levels": ["0", "1"], "prior": prior}
    return declare({"a": levels, "y": {**levels, "parents": ["a"]}}), columns_of({"a": a, "y": y})


def test_frequencies_of_weighted_rows_are_those_of_so_many_rows() -> None:
    spec, columns = table(prior=0)
    torch.testing.assert_close(parameters(spec, weighted(columns)), parameters(spec, repeated(columns)), rtol=1e-12, atol=1e-12)


def test_probabilities_of_weighted_rows_are_counts_of_mean_1_beside_the_prior() -> None:
    spec, columns = table(prior=0.5)
    w = weights() * (weights() > 0).sum() / weights().sum()
    own = columns["a"] == 1
    expected = (float(w[own & (columns["y"] == 1)].sum()) + 0.5) / (float(w[own].sum()) + 1.0)
    for scale in (1.0, 4_000.0):
        assert parameters(spec, weighted(columns, scale))[-1].item() == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(parameters(spec, counted(columns)), parameters(spec, weighted(columns)), rtol=1e-12, atol=1e-12)
    equal = replace(columns, weights=torch.ones(N, dtype=torch.float64))
    torch.testing.assert_close(parameters(spec, equal), parameters(spec, columns), rtol=1e-12, atol=1e-12)


def test_a_combination_that_only_rows_of_weight_0_have_has_no_frequencies() -> None:
    spec, columns = table(prior=0)
    with pytest.raises(FitError, match="no row has a=1"):
        learn(spec, replace(columns, weights=1 - columns["a"]))
