"""How far the data let parameters go, against ridges of known course."""

import math

import pytest
import torch
from torch import Tensor

from cfair.diagnosis.movement import Parameter
from cfair.diagnosis.reaches import reaches

from oracles import declare

K = {"mechanism": "gaussian", "latent": True}
A = {"mechanism": "bernoulli", "levels": ["no", "yes"]}
SPEC = declare({"a": A, "k": K, "x": {"mechanism": "gaussian", "parents": ["k"]}, "y": {"mechanism": "gaussian", "parents": ["a"]}})
PARAMETERS = [Parameter("x", "log_scale", (), 0.0, 10.0, 0.0), Parameter("x", "weights[k]", ("k",), 0.0, 10.0, 0.5)]
TOTAL, WIDE = 1.25, 3.0


class Circle:
    """log p = −(log(λ² + σ²) − log 1.25)²/(2·0.01²) − (asinh(λ/σ) − asinh(0.5))²/(2·wide²): a ring."""

    nodes = ("x",)

    def __init__(self, wide: float) -> None:
        self._wide = wide

    @property
    def start(self) -> Tensor:
        return torch.tensor([0.0, 0.5], dtype=torch.float64)

    def _log(self, theta: Tensor) -> Tensor:
        scale, loading = theta[0].exp(), theta[1]
        ring = (loading**2 + scale**2).log() - math.log(TOTAL)
        along = (loading / scale).asinh() - math.asinh(0.5)
        return -(ring**2) / 2e-4 - along**2 / (2 * self._wide**2)

    def value_and_slope(self, theta: Tensor) -> tuple[float, Tensor]:
        theta = theta.detach().requires_grad_()
        value = self._log(theta)
        return float(value.detach()), torch.autograd.grad(value, theta)[0]

    def hessian(self, theta: Tensor, people: Tensor | None = None) -> Tensor:
        return torch.autograd.functional.hessian(self._log, theta)


def test_a_parameter_that_is_held_as_its_curvature_says_is_not_reported() -> None:
    tight = Circle(0.05)
    assert reaches(SPEC, tight, -tight.hessian(tight.start), PARAMETERS) == ()


class Bent(Circle):
    """The same, but along the ring the density falls by |along|^1.2 rather than its square, once it is beyond 0.1."""

    def _log(self, theta: Tensor) -> Tensor:
        scale, loading = theta[0].exp(), theta[1]
        ring = (loading**2 + scale**2).log() - math.log(TOTAL)
        along = (loading / scale).asinh() - math.asinh(0.5)
        return -(ring**2) / 2e-4 - 0.5 * ((along / 0.1) ** 2).log1p()


def test_a_parameter_whose_profile_falls_less_is_followed_to_its_ends() -> None:
    """½·log(1 + (t/0.1)²) = 1.92 at t = 0.1·√(e^3.84 − 1), where λ = √1.25·tanh(asinh(0.5) ± t)."""
    bent = Bent(1.0)
    found = {each.parameter: each for each in reaches(SPEC, bent, -bent.hessian(bent.start), PARAMETERS)}
    loading = found["weights[k]"]
    far = 0.1 * math.sqrt(math.exp(3.84) - 1)
    assert loading.high == pytest.approx(math.sqrt(TOTAL) * math.tanh(math.asinh(0.5) + far), rel=0.02)
    assert loading.low == pytest.approx(math.sqrt(TOTAL) * math.tanh(math.asinh(0.5) - far), rel=0.05)
    assert loading.fall_low == pytest.approx(0.5 * math.log(10), abs=0.1)  # at three sds, where a normal falls by 4.5
    assert loading.ratio > 1.5


class Lopsided(Circle):
    """Along the ring it falls by t²/2 near the top; on one side slower farther out, by 2.1 at three sds, on the other faster."""

    def _log(self, theta: Tensor) -> Tensor:
        scale, loading = theta[0].exp(), theta[1]
        ring = (loading**2 + scale**2).log() - math.log(TOTAL)
        square = (((loading / scale).asinh() - math.asinh(0.5)) / 0.01) ** 2
        slower, faster = square / (1 + 0.127 * square), square * (1 + square)
        return -(ring**2) / 2e-4 - torch.where((loading / scale).asinh() < math.asinh(0.5), slower, faster) / 2


def test_a_range_no_wider_than_the_curvature_says_is_no_ridge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it falls by 1.92 at −2.74 and 1.23 sds, as a normal does at −1.96 and 1.96: about as wide."""
    density = Lopsided(1.0)
    curvature = -density.hessian(density.start)
    assert reaches(SPEC, density, curvature, PARAMETERS) == ()
    monkeypatch.setattr("cfair.diagnosis.reaches.WIDER", 0.9)
    listed = {each.parameter: each for each in reaches(SPEC, density, curvature, PARAMETERS)}
    assert listed["weights[k]"].ratio == pytest.approx(1.0, abs=0.05)


def test_a_model_without_latents_has_no_ridge() -> None:
    spec = declare({"a": A, "y": {"mechanism": "gaussian", "parents": ["a"]}})
    circle = Circle(1.0)
    parameters = [Parameter("y", "log_scale", (), 0.0, 10.0, 0.0), Parameter("y", "weights[a=yes]", ("a",), 0.0, 10.0, 0.5)]
    assert reaches(spec, circle, -circle.hessian(circle.start), parameters) == ()
