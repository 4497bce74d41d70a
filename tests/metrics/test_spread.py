"""What weighted draws say of a number."""

import pytest
import torch

from cfair.metrics import spread


def even(draws: int) -> torch.Tensor:
    return torch.full((draws,), 1 / draws, dtype=torch.float64)


def test_of_equal_weights_mean_and_sd_are_the_usual_ones() -> None:
    x = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = spread(x, even(40))
    assert (found.mean, found.sd) == pytest.approx((float(x.mean()), float(x.std())))


def test_ends_of_equal_weights_stand_at_k_of_s_plus_1() -> None:
    x = torch.arange(1, 100, dtype=torch.float64)  # draw k of 99 stands at k/100
    found = spread(x[torch.randperm(99, generator=torch.Generator().manual_seed(0))], even(99))
    assert (found.low, found.high) == pytest.approx((2.5, 97.5))
    few = spread(torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64), even(3))
    assert (few.low, few.high) == (1.0, 3.0), "no further than the draws reach"


def test_the_interval_covers_a_further_draw_as_often_as_it_says() -> None:
    source = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(4_000):
        x = torch.rand(41, generator=source, dtype=torch.float64)
        found = spread(x[:40], even(40))
        covered += int(found.low <= x[40] <= found.high)
    assert abs(covered / 4_000 - 0.95) < 5 * (0.95 * 0.05 / 4_000) ** 0.5


def test_weights_act_as_importance_weights_do() -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(200_000, generator=source, dtype=torch.float64) * 2  # weighted to a normal of sd 1 around 1
    weights = (-0.5 * (x - 1).square() + 0.5 * (x / 2).square()).softmax(0)
    found = spread(x, weights)
    error = float(weights.square().sum() ** 0.5)
    assert found.mean == pytest.approx(1, abs=5 * error)
    assert found.sd == pytest.approx(1, abs=5 * error)
    assert (found.low, found.high) == pytest.approx((1 - 1.96, 1 + 1.96), abs=5 * 2.7 * error)  # √(0.025·0.975) / φ(1.96) = 2.7


def test_a_draw_without_weight_changes_nothing() -> None:
    x = torch.tensor([1.0, 2.0, 4.0, 1e6], dtype=torch.float64)
    weights = torch.tensor([0.2, 0.3, 0.5, 0.0], dtype=torch.float64)
    assert spread(x, weights)[:2] == pytest.approx(spread(x[:3], weights[:3])[:2])
    assert spread(x[:3], weights[:3]).high == 4.0


def test_of_one_draw_there_is_no_spread() -> None:
    assert spread(torch.tensor([2.5], dtype=torch.float64), even(1)) == (2.5, 0.0, 2.5, 2.5)
