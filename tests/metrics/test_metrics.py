"""Metrics against scikit-learn, and their intervals."""

import math

import pytest
import torch
from scipy.stats import t
from sklearn import metrics as sklearn
from torch import Tensor

from cfair.errors import QueryError
from cfair.metrics import METRICS, decide, interval, nadeau_bengio, standard_error

SOURCE = torch.Generator().manual_seed(3)
P = (torch.rand(500, generator=SOURCE, dtype=torch.float64) * 20).round() / 21 + 0.02  # with many ties
Y = torch.bernoulli(P, generator=SOURCE)
X = torch.randn(500, generator=SOURCE, dtype=torch.float64)
Z = X + torch.randn(500, generator=SOURCE, dtype=torch.float64)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("rmse", sklearn.root_mean_squared_error(X, Z)),
        ("mae", sklearn.mean_absolute_error(X, Z)),
        ("r2", sklearn.r2_score(X, Z)),
        ("accuracy", sklearn.accuracy_score(Y, P >= 0.5)),
        ("log_loss", sklearn.log_loss(Y, P)),
        ("roc_auc", sklearn.roc_auc_score(Y, P)),
        ("brier", sklearn.brier_score_loss(Y, P)),
    ],
)
def test_value_agrees_with_scikit_learn(metric: str, expected: float) -> None:
    y, y_hat = (X, Z) if metric in ("rmse", "mae", "r2") else (Y, P)
    assert METRICS[metric](y, y_hat).value == pytest.approx(expected, rel=1e-12)


def test_auc_influence_is_delongs_variance() -> None:
    """The textbook double loop: V10 and V01, their variances over the numbers of ones and zeros."""
    ones, zeros = P[Y == 1], P[Y == 0]
    wins = (ones[:, None] > zeros).double() + 0.5 * (ones[:, None] == zeros).double()
    variance = wins.mean(1).var(correction=0) / len(ones) + wins.mean(0).var(correction=0) / len(zeros)
    influence = METRICS["roc_auc"](Y, P).influence
    torch.testing.assert_close(influence.square().sum() / len(Y) ** 2, variance)


def test_one_half_is_a_positive_decision() -> None:
    assert decide(torch.tensor([0.49999, 0.5, 1.0])).tolist() == [0.0, 1.0, 1.0]


def test_a_prediction_that_is_certain_and_wrong_costs_a_finite_log_loss() -> None:
    measured = METRICS["log_loss"](torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 0.0]).double())
    assert measured.value == pytest.approx(-math.log(1e-15) / 2)


def test_interval_covers_the_true_rmse_as_often_as_it_says() -> None:
    source = torch.Generator().manual_seed(4)
    errors = torch.randn(1000, 200, generator=source, dtype=torch.float64)
    ends = [interval(METRICS["rmse"](row, torch.zeros_like(row))) for row in errors]
    covered = sum(low <= 1.0 <= high for low, high in ends if low is not None and high is not None)
    assert covered / 1000 == pytest.approx(0.95, abs=5 * math.sqrt(0.95 * 0.05 / 1000))


def test_a_weighted_interval_covers_the_truth_of_the_people_stood_for_as_often_as_it_says() -> None:
    """People drawn the likelier the larger their error, each weighed by what that takes."""
    source = torch.Generator().manual_seed(5)
    error = torch.randn(100_000, generator=source, dtype=torch.float64)
    chance = 0.2 + error.abs()
    drawn = torch.multinomial(chance, 500 * 400, replacement=True, generator=source).reshape(500, 400)
    ends = [interval(METRICS["mae"](error[some], torch.zeros(400), 1 / chance[some])) for some in drawn]
    truth = error.abs().mean().item()
    covered = sum(low <= truth <= high for low, high in ends if low is not None and high is not None) / 500
    assert covered == pytest.approx(0.95, abs=5 * math.sqrt(0.95 * 0.05 / 500))


def test_weighted_values_agree_with_scikit_learn() -> None:
    w = torch.rand(500, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    expected = {
        "rmse": sklearn.root_mean_squared_error(X, Z, sample_weight=w),
        "mae": sklearn.mean_absolute_error(X, Z, sample_weight=w),
        "r2": sklearn.r2_score(X, Z, sample_weight=w),
        "accuracy": sklearn.accuracy_score(Y, P >= 0.5, sample_weight=w),
        "log_loss": sklearn.log_loss(Y, P, sample_weight=w),
        "roc_auc": sklearn.roc_auc_score(Y, P, sample_weight=w),
        "brier": sklearn.brier_score_loss(Y, P, sample_weight=w),
    }
    for metric, value in expected.items():
        y, y_hat = (X, Z) if metric in ("rmse", "mae", "r2") else (Y, P)
        assert METRICS[metric](y, y_hat, w).value == pytest.approx(value, rel=1e-12)


def test_one_person_has_no_interval() -> None:
    one = METRICS["mae"](torch.ones(1), torch.zeros(1))
    assert (one.value, standard_error(one), interval(one)) == (1.0, None, (None, None))


def test_a_higher_level_gives_a_wider_interval() -> None:
    measured = METRICS["mae"](X, Z)
    narrow, wide = interval(measured, level=0.5), interval(measured, level=0.99)
    assert wide[0] is not None
    assert narrow[0] is not None
    assert wide[0] < narrow[0] < measured.value


def test_nadeau_bengio_is_the_corrected_t_interval() -> None:
    values: Tensor = torch.tensor([0.021, 0.019, 0.025, 0.018, 0.022], dtype=torch.float64)
    mean, low, high = nadeau_bengio(values.tolist(), n_test=20, n_train=80)
    margin = t.ppf(0.975, 4) * math.sqrt((1 / 5 + 20 / 80) * values.var().item())
    assert (mean, low, high) == pytest.approx((0.021, 0.021 - margin, 0.021 + margin))


def test_one_split_has_no_interval() -> None:
    with pytest.raises(QueryError, match="Use --splits 5"):
        nadeau_bengio([0.02], n_test=20, n_train=80)
