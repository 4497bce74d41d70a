"""The highest point of a log density."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.inference.optimise import Peak, maximise


def climb(log_density: Callable[[Tensor], Tensor], start: list[float]) -> Peak:
    def value_and_slope(theta: Tensor) -> tuple[float, Tensor]:
        theta = theta.detach().requires_grad_()
        value = log_density(theta)
        return float(value.detach()), torch.autograd.grad(value, theta)[0]

    def curvature(theta: Tensor) -> Tensor:
        return torch.autograd.functional.hessian(log_density, theta)

    return maximise(value_and_slope, torch.tensor(start, dtype=torch.float64), curvature=curvature)


SCALES = torch.tensor([1e-6, 1.0, 1e6], dtype=torch.float64)


def test_scales_twelve_orders_apart_are_no_obstacle() -> None:
    peak = climb(lambda theta: -((theta / SCALES - 1) ** 2).sum() - (theta[0] / SCALES[0] - theta[2] / SCALES[2]) ** 2, [1e-5, 10.0, -1e6])
    torch.testing.assert_close(peak.theta, SCALES, rtol=1e-5, atol=0)
    assert peak.slope <= 1e-5


def test_a_start_where_the_density_is_not_concave_is_no_obstacle() -> None:
    peak = climb(lambda theta: -torch.log1p((theta - 3).square().sum()), [40.0, -30.0])
    torch.testing.assert_close(peak.theta, torch.full((2,), 3.0).double(), rtol=1e-4, atol=0)


def test_a_saddle_is_left() -> None:
    peak = climb(lambda theta: theta[0] ** 2 - theta[0] ** 4 / 2 - theta[1] ** 2, [1e-3, 0.5])
    torch.testing.assert_close(peak.theta, torch.tensor([1.0, 0.0]).double(), rtol=1e-4, atol=1e-4)


def test_a_step_into_nowhere_turns_back() -> None:
    peak = climb(lambda theta: theta.log().sum() - theta.sum(), [1e-3])  # no number below 0
    torch.testing.assert_close(peak.theta, torch.ones(1).double(), rtol=1e-4, atol=0)


def test_what_has_no_top_is_refused() -> None:
    peak = climb(lambda theta: theta.sum(), [0.0])
    with pytest.raises(FitError, match=r"here: the log posterior still rises by .* per posterior sd\. Give priors"):
        peak.check("here")


def test_a_curvature_that_is_no_number_is_told() -> None:
    peak = climb(lambda theta: (theta - 2).sqrt().sum(), [1.0])
    with pytest.raises(FitError, match=r"learning x: the log posterior or its curvature is no finite number"):
        peak.check("learning x")
