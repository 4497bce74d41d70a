"""What the training rows say of the parameters, against an exact marginal likelihood and on models that are not identified."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cfair.data import split
from cfair.diagnosis.learned import ROWS, learned, of_densities
from cfair.inference import learn
from cfair.inference.free import FreeParameters
from cfair.pipeline import Options, fit
from cfair.scm import SCM
from cfair.store import load, save

from oracles import columns_of, declare

A = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}}
K = {"mechanism": "gaussian", "latent": True}


def child(*parents: str, **more: object) -> dict[str, object]:
    return {"mechanism": "gaussian", "parents": list(parents), **more}


def table(n: int, children: int) -> dict[str, Tensor]:
    """People of one factor, made without the library."""
    generator = torch.Generator().manual_seed(0)

    def normal() -> Tensor:
        return torch.randn(n, generator=generator, dtype=torch.float64)

    k = normal()
    return {"a": (normal() > 0).double(), **{f"x{j}": (1 + 0.2 * j) * k + 0.8 * normal() for j in range(children)}, "y": normal()}


class Factor:
    """The exact log posterior of a factor's three children: their joint normal density, k integrated out by hand."""

    nodes = ("x0", "x1", "x2")

    def __init__(self, scm: SCM, values: dict[str, Tensor]) -> None:
        self._scm, self._free = scm, FreeParameters(scm, self.nodes)
        self._x = torch.stack([values[node] for node in self.nodes], -1)

    @property
    def start(self) -> Tensor:
        return self._free.start

    def value_and_slope(self, theta: Tensor) -> tuple[float, Tensor]:
        theta = theta.detach().requires_grad_()
        value = self._log(theta)
        return float(value.detach()), torch.autograd.grad(value, theta)[0]

    def hessian(self, theta: Tensor, people: Tensor | None = None) -> Tensor:
        return torch.autograd.functional.hessian(self._log, theta)

    def _log(self, theta: Tensor) -> Tensor:
        own = self._free.unpack(theta)
        parts = [(self._scm.mechanisms[node], own[node]) for node in self.nodes]
        unit = torch.stack([mechanism.unit for mechanism, _ in parts])
        center = torch.stack([mechanism.center for mechanism, _ in parts]) + unit * torch.stack(
            [p["linear.intercept"][0] for _, p in parts]
        )
        loading = unit * torch.stack([p["linear.weights"][0, 0] for _, p in parts])
        scale = unit * torch.stack([p["log_scale"].exp() for _, p in parts])
        joint = torch.distributions.MultivariateNormal(center, loading.outer(loading) + scale.square().diag())
        return joint.log_prob(self._x).sum() + self._free.log_prior(own)


def test_the_curvature_is_that_of_the_exact_marginal_likelihood() -> None:
    values = table(500, 3)
    spec = declare({"a": A, "k": K, **{f"x{j}": child("k") for j in range(3)}, "y": child("a")})
    columns = columns_of(values)
    scm = learn(spec, columns)
    exact, found = of_densities(scm, (Factor(scm, values),)), learned(scm, columns, seed=0)
    assert [each.node for each in found.latents] == [each.node for each in exact.latents]
    for mine, theirs in zip(found.latents, exact.latents, strict=True):
        assert mine.latent == "k"
        assert mine.posterior_sd == pytest.approx(theirs.posterior_sd, rel=1e-4)
        assert mine.shift == pytest.approx(theirs.shift)
        assert mine.verdict == "passes"
    assert exact.engine[0].value == pytest.approx(0, abs=1e-3)  # learn found its peak
    assert {check.check: check.verdict for check in found.engine} == {"distance from the peak": "passes", "flat directions": "passes"}


@pytest.mark.slow
def test_a_loading_without_data_of_its_own_keeps_its_prior() -> None:
    """One child reads two latents, so that of its loadings only the sum of squares is known; the outcome's prior outweighs the data."""
    spec = declare({"a": A, "k": K, "l": K, "x0": child("k", "l"), "y": child("a", "k", prior={"weights": {"normal": 1e-4}})})
    values = table(400, 1)
    found = learned(learn(spec, columns_of(values)), columns_of(values), seed=0)
    kept = next(each for each in found.latents if each.node == "y")
    assert kept.ratio == pytest.approx(1, abs=0.01)
    assert kept.verdict == "untestable"
    assert any("y.weights[k]" in flat.parameters for flat in found.flat)
    assert {check.check: check.verdict for check in found.engine}["flat directions"] == "untestable"


def test_an_estimate_that_is_not_the_peak_is_said_not_to_be() -> None:
    values = table(500, 3)
    scm = learn(declare({"a": A, "k": K, **{f"x{j}": child("k") for j in range(3)}, "y": child("a")}), columns_of(values))
    free = FreeParameters(scm, ["y"])
    sd = 1 / math.sqrt(500)  # of an intercept, in units of the column
    free.write(free.start + torch.tensor([3 * sd if size == 1 else 0.0 for size in [1] + [0] * (free.count - 1)], dtype=torch.float64))
    found = {check.check: check for check in learned(scm, columns_of(values), seed=0).engine}
    off = found["distance from the peak"]
    assert (off.verdict, off.of) == ("fails", "y")
    assert off.value is not None
    assert off.value > 1


def test_an_estimate_from_more_rows_than_give_the_curvature_is_the_peak() -> None:
    u, e = torch.randn(2, 3 * ROWS, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    spec = declare({"a": A, "y": {"mechanism": "gaussian", "parents": ["a"]}})
    columns = columns_of({"a": (u > 0).double(), "y": 2.0 * (u > 0) + e})
    peak = learned(learn(spec, columns), columns, seed=0).engine[0]
    assert (peak.check, peak.verdict) == ("distance from the peak", "passes")


def test_a_run_that_was_read_from_its_folder_has_the_same_curvature(tmp_path: Path) -> None:
    """Its priors are stated in raw units: the folder keeps parameters, and the units come from the training rows."""
    prior = {"variance": {"inverse_gamma": [2, 5]}, "intercept": {"normal": 3.0}}
    spec = declare({"a": A, "k": K, **{f"x{j}": child("k", prior=prior) for j in range(3)}, "y": child("a")})
    values = table(300, 3) | {"x1": 20 * table(300, 3)["x1"]}
    run = fit(spec, columns_of(values), Options(predictors=("constant",), draws=1))
    training, _ = split(columns_of(values), spec, test_share=0.2, seed=0)
    save(run, tmp_path / "run")
    assert learned(load(tmp_path / "run").scm, training, seed=0) == learned(run.scm, training, seed=0)
    assert learned(run.scm, training, seed=0).engine[0].verdict == "passes"


def test_without_training_rows_nothing_is_said_of_the_parameters() -> None:
    scm = SCM(declare({"a": A, "y": child("a")}))
    found = learned(scm, None, seed=0)
    assert (found.latents, found.flat) == ((), ())
    assert {check.verdict for check in found.engine} == {"not checked"}
    assert all(check.why for check in found.engine)
