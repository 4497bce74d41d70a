"""Constraints against fairlearn and by hand; rates and their intervals."""

import math

import fairlearn.metrics as fairlearn
import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from cfair.constraints import CONSTRAINTS, GROUP_RATES, Cells, count, group_rate, violation, wilson

SOURCE = torch.Generator().manual_seed(0)
GROUP = torch.randint(0, 4, (600,), generator=SOURCE)
Y = torch.bernoulli(0.3 + 0.1 * GROUP.double(), generator=SOURCE)
DECISION = torch.bernoulli(0.2 + 0.4 * Y + 0.05 * GROUP, generator=SOURCE)
COUNTS = count(Y, DECISION, GROUP, 4)


def table(*cells: tuple[float, float, float, float]) -> Tensor:
    """Counts of one group each, as (y=0 refused, y=0 selected, y=1 refused, y=1 selected)."""
    return torch.tensor(cells, dtype=torch.float64).reshape(-1, 2, 2)


@pytest.mark.parametrize(
    ("name", "measure"),
    [(name, measure) for name in ("demographic_parity", "equal_opportunity", "equalized_odds") for measure in ("difference", "ratio")],
)
def test_points_agree_with_fairlearn(name: str, measure: str) -> None:
    expected = getattr(fairlearn, f"{name}_{measure}")(Y.numpy(), DECISION.numpy(), sensitive_features=GROUP.numpy())
    assert getattr(CONSTRAINTS[name], measure)(COUNTS.weight).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("rate", "metric"),
    [("selection_rate", "selection_rate"), ("true_positive_rate", "true_positive_rate"), ("false_positive_rate", "false_positive_rate")],
)
def test_group_rates_agree_with_fairlearn(rate: str, metric: str) -> None:
    frame = fairlearn.MetricFrame(
        metrics=getattr(fairlearn, metric), y_true=Y.numpy(), y_pred=DECISION.numpy(), sensitive_features=GROUP.numpy()
    )
    assert [group_rate(rate, cells).value for cells in map(COUNTS.__getitem__, range(4))] == pytest.approx(frame.by_group.tolist())


def test_every_group_rate_by_hand() -> None:
    cells = table((50, 10, 5, 35))[0]
    found = {name: group_rate(name, Cells.of(cells)) for name in GROUP_RATES}
    assert {name: rate.value for name, rate in found.items()} == pytest.approx(
        {
            "selection_rate": 0.45,
            "base_rate": 0.4,
            "true_positive_rate": 35 / 40,
            "false_positive_rate": 10 / 60,
            "positive_predictive_value": 35 / 45,
            "false_negative_share": 5 / 15,
        }
    )
    assert {name: rate.n for name, rate in found.items()} == {
        "selection_rate": 100,
        "base_rate": 100,
        "true_positive_rate": 40,
        "false_positive_rate": 60,
        "positive_predictive_value": 45,
        "false_negative_share": 15,
    }


def test_a_rate_that_applies_to_nobody_is_none() -> None:
    assert group_rate("true_positive_rate", Cells.of(table((3, 2, 0, 0))[0])) == (None, None, None, 0)


def test_count_indexes_group_then_outcome_then_decision() -> None:
    found = count(torch.tensor([0.0, 1, 1, 1]), torch.tensor([1.0, 0, 0, 1]), torch.tensor([0.0, 1, 1, 1]), 3)
    assert torch.equal(found.weight, table((0, 1, 0, 0), (0, 0, 2, 1), (0, 0, 0, 0)))


def test_equalized_odds_is_the_larger_difference_and_the_smaller_ratio() -> None:
    cells = table((80, 20, 30, 70), (60, 40, 20, 80))  # false positives 0.2 and 0.4, true positives 0.7 and 0.8
    found = violation(CONSTRAINTS["equalized_odds"], Cells.of(cells), ["a", "b"])
    assert (found.difference.value, found.ratio.value) == pytest.approx((0.2, 0.5))
    assert found.n == 400


def test_an_empty_stratum_says_which_group_lacks_whom() -> None:
    found = violation(CONSTRAINTS["equal_opportunity"], Cells.of(table((5, 5, 5, 5), (5, 5, 0, 0))), ["White", "Black"])
    assert (found.difference.value, found.ratio.value) == (None, None)
    assert found.difference.reason == found.ratio.reason == "group 'Black' has no people with outcome 1"


def test_a_ratio_of_zeros_is_undefined_while_the_difference_is_zero() -> None:
    found = violation(CONSTRAINTS["equalized_odds"], Cells.of(table((5, 0, 5, 5), (9, 0, 5, 5))), ["a", "b"])
    assert found.difference.value == 0
    assert found.ratio.reason == "no group has a positive decision among people with outcome 0"


def test_one_group_cannot_be_compared() -> None:
    found = violation(CONSTRAINTS["demographic_parity"], Cells.of(table((5, 5, 5, 5))), ["a"])
    assert found.difference.reason == "fewer than two groups have people"


def test_pairwise_interval_is_newcombes() -> None:
    """Newcombe (1998), Table II, method 10, contrast (a): 56/70 against 48/80, a difference of 0.2, gives 0.0524 to 0.3339."""
    found = violation(CONSTRAINTS["demographic_parity"], Cells.of(table((14, 56, 0, 0), (32, 48, 0, 0))), ["a", "b"]).difference
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_more_pairs_give_a_wider_interval() -> None:
    cells = table((14, 56, 0, 0), (32, 48, 0, 0))
    two = violation(CONSTRAINTS["demographic_parity"], Cells.of(cells), ["a", "b"]).difference
    three = violation(CONSTRAINTS["demographic_parity"], Cells.of(torch.cat([cells, table((26, 54, 0, 0))])), ["a", "b", "c"]).difference
    assert two.value == pytest.approx(three.value)
    assert two.low is not None
    assert three.low is not None
    assert three.low < two.low


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (3, 17), (1, 1), (420, 1000)])
def test_wilson_agrees_with_scipy(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(0.9, method="wilson")
    low, high = wilson(torch.tensor(float(successes)).double(), torch.tensor(float(trials)).double(), 0.9)
    assert (low.item(), high.item()) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_knows_nothing_of_no_trials() -> None:
    low, high = wilson(torch.zeros(()).double(), torch.zeros(()).double())
    assert (low.item(), high.item()) == pytest.approx((0.0, 1.0))


def test_ratio_interval_covers_the_true_ratio_at_least_as_often_as_it_says() -> None:
    source = torch.Generator().manual_seed(1)
    cell = torch.tensor([[0.5, 0.5], [0.6, 0.4], [0.6, 0.4]]).double()
    drawn = torch.multinomial(cell.repeat(400, 1), 200, replacement=True, generator=source)
    selected = drawn.double().sum(-1).reshape(400, 3)
    tables = torch.stack([200 - selected, selected, torch.zeros_like(selected), torch.zeros_like(selected)], -1).reshape(400, 3, 2, 2)
    ends = [violation(CONSTRAINTS["demographic_parity"], Cells.of(cells), ["a", "b", "c"]).ratio for cells in tables]
    covered = sum(end.low <= 0.8 <= end.high for end in ends if end.low is not None and end.high is not None)
    assert covered / 400 >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / 400)
