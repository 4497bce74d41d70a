"""Tails of importance weights: fitted shapes against the truth, and weights that are left alone where nothing is wrong."""

import pytest
import torch

from cfair.inference.pareto import tail_shape


def weights(k: float, draws: int = 20_000, rows: int = 20) -> torch.Tensor:
    """Logs of generalised Pareto numbers of shape k."""
    uniform = torch.rand(draws, rows, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (torch.expm1(-k * torch.log1p(-uniform)) / k + 1e-9).log()


@pytest.mark.parametrize("k", [0.2, 0.5, 0.8, 1.2])
def test_the_shape_of_pareto_weights_is_found(k: float) -> None:
    """Over independent rows the mean is within five standard errors, and 0.05 for the prior's pull towards 1/2."""
    found, _ = tail_shape(weights(k))
    assert abs(float(found.mean()) - k) < 5 * float(found.std()) / len(found) ** 0.5 + 0.05


def test_shape_does_not_depend_on_the_constant() -> None:
    logs = weights(0.6)
    torch.testing.assert_close(tail_shape(logs)[0], tail_shape(logs + 300.0)[0], rtol=1e-6, atol=1e-6)


def test_equal_weights_have_no_tail_and_stay() -> None:
    k, left = tail_shape(torch.zeros(100, 3, dtype=torch.float64))
    assert k.tolist() == [0.0] * 3
    assert not left.any()


def test_light_tails_are_left_alone_and_heavy_ones_tamed_in_their_order() -> None:
    light, heavy = weights(0.2), weights(1.2)
    assert torch.equal(tail_shape(light)[1], light)
    tamed = tail_shape(heavy)[1]
    assert float(tamed.max()) <= float(heavy.max())
    assert float(tamed.gather(0, heavy.argsort(0)).diff(dim=0).min()) >= 0
    moved = (tamed != heavy).sum(0)
    assert int(moved.max()) <= 3 * 20_000**0.5
