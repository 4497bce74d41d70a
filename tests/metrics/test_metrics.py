"""Metrics against scikit-learn, and their intervals."""

import math

import pytest
import torch
from scipy.stats import t
from sklearn import metrics as sklearn
from torch import Tensor

from cfair.errors import QueryError
from cfair.metrics import LEVEL_METRICS, METRICS, decide, decide_level, interval, measure, nadeau_bengio, standard_error

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


LEVELS = (torch.rand(500, 3, generator=SOURCE, dtype=torch.float64) * 9).round() + 1  # with many ties
Q = LEVELS / LEVELS.sum(-1, keepdim=True)
LEVEL = torch.multinomial(Q, 1, generator=SOURCE).squeeze(-1).double()
WEIGHTS = torch.rand(500, generator=SOURCE, dtype=torch.float64)


def sums(w: Tensor) -> dict[str, float]:
    """What scikit-learn says of the probabilities Q; of the ranked probability score, one threshold after the other."""
    below = [float((w * ((c >= LEVEL).double() - Q[:, : c + 1].sum(-1)) ** 2).sum() / w.sum()) for c in range(2)]
    return {
        "accuracy": sklearn.accuracy_score(LEVEL, Q.argmax(-1), sample_weight=w),
        "log_loss": sklearn.log_loss(LEVEL, Q, sample_weight=w),
        "roc_auc": sklearn.roc_auc_score(LEVEL, Q, multi_class="ovr", average="macro", sample_weight=w),
        "brier": sum(sklearn.brier_score_loss(c == LEVEL, Q[:, c], sample_weight=w) for c in range(3)),
        "ranked_probability_score": sum(below) / 2,
    }


@pytest.mark.parametrize("metric", LEVEL_METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_value_of_several_levels_agrees_with_scikit_learn(metric: str, weighted: bool) -> None:
    expected = sums(WEIGHTS if weighted else torch.ones(500, dtype=torch.float64))[metric]
    assert LEVEL_METRICS[metric](LEVEL, Q, WEIGHTS if weighted else None).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", LEVEL_METRICS)
def test_of_two_levels_it_is_the_binary_metric_but_for_the_sum_over_levels(metric: str) -> None:
    two, times = torch.stack([1 - P, P], -1), 2 if metric == "brier" else 1
    one = METRICS["brier" if metric == "ranked_probability_score" else metric](Y, P)
    both = measure(metric, Y, two)
    if metric == "accuracy":  # at exactly 0.5 the second level is chosen of one probability, the first of two
        assert not (P == 0.5).any()
    assert both.value == pytest.approx(times * one.value, rel=1e-12)
    torch.testing.assert_close(both.influence, times * one.influence, rtol=1e-9, atol=1e-12)


def test_an_auc_leaves_out_levels_that_nobody_has() -> None:
    absent = torch.cat([Q, torch.zeros(500, 1)], -1).double()
    assert LEVEL_METRICS["roc_auc"](LEVEL, absent).value == pytest.approx(LEVEL_METRICS["roc_auc"](LEVEL, Q).value, rel=1e-14)
    none = torch.where(LEVEL == 2, 0.0, 1.0).double()
    assert LEVEL_METRICS["roc_auc"](LEVEL, Q, none).value == pytest.approx(
        LEVEL_METRICS["roc_auc"](LEVEL[LEVEL < 2], Q[LEVEL < 2]).value, rel=1e-12
    )


def test_the_likeliest_level_is_decided_for_and_of_equals_the_first() -> None:
    assert decide_level(torch.tensor([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])).tolist() == [1.0, 0.0]


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
