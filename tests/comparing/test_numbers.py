"""Groups compared by numbers, a continuous attribute, and predictors on the same people."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import false_discovery_control, wasserstein_distance
from torch import Tensor

from cfair.comparing import Comparison, Division, People, binned, constraint_rows, continuous_rows, loss_rows, number_rows, paired_rows
from cfair.constraints import CONSTRAINTS
from cfair.errors import QueryError
from cfair.metrics.distance_correlation import distance_correlation, distance_correlation_p, distance_sums
from cfair.metrics.wasserstein_between import noise_of, wasserstein_between

NAMES = ("a", "b", "c")


def people(n: int = 900, shift: float = 0.3, weighted: bool = False) -> tuple[People, Division]:
    source = torch.Generator().manual_seed(0)
    group = torch.randint(0, 3, (n,), generator=source)
    y_hat = torch.randn(n, generator=source, dtype=torch.float64) + shift * group
    y = y_hat + torch.randn(n, generator=source, dtype=torch.float64) * (1 + 0.3 * group)
    w = torch.rand(n, generator=source, dtype=torch.float64) + 0.1 if weighted else None
    return People(y, {"p": y_hat}, w), Division("race", NAMES, group)


@pytest.mark.parametrize("weighted", [False, True])
def test_differences_of_numbers_are_those_of_numpy_and_scipy(weighted: bool) -> None:
    who, division = people(weighted=weighted)
    found = {(row.measure, row.group): row for row, _ in number_rows(who, [division], min_group_size=30)}
    y, p, g = who.y.numpy(), who.predictions["p"].numpy(), division.member.numpy()
    w = np.ones(len(y)) if who.weights is None else who.weights.numpy()
    means = [np.average(p[g == k], weights=w[g == k]) for k in range(3)]
    errors = [math.sqrt(np.average((y - p)[g == k] ** 2, weights=w[g == k])) for k in range(3)]
    far = [wasserstein_distance(p[g == a], p[g == b], w[g == a], w[g == b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert found["mean_prediction_pair", "c - a"].value == pytest.approx(means[2] - means[0])
    assert found["rmse_pair", "c - a"].value == pytest.approx(errors[2] - errors[0])
    assert found["mean_prediction_difference", None].value == pytest.approx(max(means) - min(means))
    assert [found["wasserstein_pair", pair].value for pair in ("b - a", "c - a", "c - b")] == pytest.approx(far)
    assert found["wasserstein_difference", None].value == pytest.approx(max(far))
    for row in found.values():
        assert row.low <= row.value <= row.high


@pytest.mark.slow
def test_intervals_of_numbers_cover_all_pairs_at_once() -> None:
    source, covered, distant = torch.Generator().manual_seed(1), 0, 0
    for _ in range(300):
        group = torch.arange(450) % 3
        y_hat = torch.randn(450, generator=source, dtype=torch.float64) * (1 + group) + 0.2 * group
        who = People(y_hat, {"p": y_hat})
        rows = [row for row, _ in number_rows(who, [Division("race", NAMES, group)], min_group_size=30, residuals=False)]
        truth = {"b - a": 0.2, "c - a": 0.4, "c - b": 0.2}
        covered += all(row.low <= truth[row.group] <= row.high for row in rows if row.measure == "mean_prediction_pair")
        same = People(y_hat, {"p": torch.randn(450, generator=source, dtype=torch.float64)})
        rows = [row for row, _ in number_rows(same, [Division("race", NAMES, group)], min_group_size=30, residuals=False)]
        distant += all(row.low == 0 for row in rows if row.measure == "wasserstein_pair")
    assert covered / 300 >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / 300)
    assert distant / 300 >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / 300)


def test_a_distance_covers_the_true_one_where_distributions_differ() -> None:
    source, covered = torch.Generator().manual_seed(2), 0
    for _ in range(300):
        x, y = torch.randn(150, generator=source, dtype=torch.float64), 0.5 + torch.randn(150, generator=source, dtype=torch.float64)
        found = wasserstein_between(x, y, (noise_of(x), noise_of(y, seed=1)), critical=1.96)
        covered += found.low <= 0.5 <= found.high
    assert covered / 300 >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / 300)


@pytest.mark.slow
def test_the_noise_of_a_distribution_is_how_far_samples_are_from_it() -> None:
    source = np.random.default_rng(0)
    whole = source.normal(size=200_000)
    far = [wasserstein_distance(source.normal(size=100), whole) for _ in range(100)]
    found = noise_of(torch.from_numpy(whole[:100]))
    assert found.mean == pytest.approx(np.mean(far), rel=0.15)
    assert math.sqrt(found.variance) == pytest.approx(np.std(far), rel=0.3)


def test_the_worst_group_and_quantiles_of_errors() -> None:
    who, division = people()
    found = {(row.measure, row.group): row for row, _ in loss_rows(who, [division], "rmse", min_group_size=30)}
    error = (who.y - who.predictions["p"]).abs().numpy()
    g = division.member.numpy()
    assert found["rmse_worst_group", None].value == pytest.approx(max(math.sqrt((error[g == k] ** 2).mean()) for k in range(3)))
    for k, name in enumerate(NAMES):
        for share in (0.5, 0.9):
            row = found[f"absolute_error_q{share * 100:.0f}", name]
            assert row.value == pytest.approx(np.quantile(error[g == k], share, method="inverted_cdf"))
            assert row.low < row.value < row.high


def naive(x: Tensor, y: Tensor) -> float:
    """Székely & Rizzo's bias-corrected R*, by matrices."""

    def centred(v: Tensor) -> Tensor:
        a, n = (v.unsqueeze(1) - v).abs(), len(v)
        u = a - a.sum(0) / (n - 2) - a.sum(1, keepdim=True) / (n - 2) + a.sum() / ((n - 1) * (n - 2))
        return u.fill_diagonal_(0)

    a, b = centred(x), centred(y)
    return float((a * b).sum() / ((a * a).sum() * (b * b).sum()).sqrt())


@pytest.mark.parametrize("n", [5, 8, 9, 64, 333])
def test_distance_correlation_is_that_of_all_pairs_ties_included(n: int) -> None:
    source = torch.Generator().manual_seed(n)
    x = torch.randn(n, generator=source, dtype=torch.float64).round(decimals=1)
    y = x**2 + torch.randn(n, generator=source, dtype=torch.float64).round(decimals=0)
    pairs = (x.unsqueeze(1) - x).abs() * (y.unsqueeze(1) - y).abs()
    torch.testing.assert_close(distance_sums(x, y), pairs.sum(1), rtol=1e-10, atol=1e-9)
    found = distance_correlation(x, y)
    assert found.value == pytest.approx(naive(x, y), rel=1e-9)
    others = torch.tensor([naive(x[own], y[own]) for own in (torch.arange(n) != torch.arange(n).unsqueeze(1))])
    if n > 5:
        margin = 1.959963984540054 * math.sqrt((n - 1) / n * float((others - others.mean()).square().sum()))
        assert (found.low, found.high) == pytest.approx((found.value - margin, found.value + margin), rel=1e-3)


def test_distance_correlation_is_1_of_a_line_and_0_on_average_of_what_is_independent() -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(200, generator=source, dtype=torch.float64)
    assert distance_correlation(x, 3 - 2 * x).value == pytest.approx(1.0)
    drawn = torch.tensor([distance_correlation(x, torch.randn(200, generator=source, dtype=torch.float64)).value for _ in range(200)])
    assert drawn.mean().abs() <= 5 * drawn.std() / math.sqrt(200)


def test_a_constant_that_was_rounded_is_a_constant() -> None:
    x = torch.arange(100.0, dtype=torch.float64)
    for constant in (0.27, -3e8):
        rounded = constant * (1 + 1e-16 * torch.arange(100.0, dtype=torch.float64))
        assert rounded.unique().numel() > 1
        for strata in (None, torch.arange(100) % 2):
            assert distance_correlation(rounded, x, strata) == (None, None, None)
            assert distance_correlation_p(x, rounded, strata) is None


def test_distance_correlation_within_strata_sees_what_they_do_not_explain() -> None:
    source = torch.Generator().manual_seed(0)
    stratum = torch.arange(1_000) % 2
    x, y = (torch.randn(1_000, generator=source, dtype=torch.float64) + 3 * stratum for _ in range(2))
    assert distance_correlation_p(x, y) == pytest.approx(1 / 200)
    assert distance_correlation_p(x, y, stratum) > 0.05
    assert distance_correlation(x, y, stratum).low < 0 < distance_correlation(x, y).low
    assert distance_correlation_p(x, y + 0.5 * x, stratum) == pytest.approx(1 / 200)


@pytest.mark.slow
def test_permutations_of_a_distance_correlation_have_their_size() -> None:
    source = torch.Generator().manual_seed(3)
    p = [distance_correlation_p(*torch.randn(2, 60, generator=source, dtype=torch.float64), replicates=99, seed=k) for k in range(300)]
    assert sum(each <= 0.05 for each in p) / 300 == pytest.approx(0.05, abs=5 * math.sqrt(0.05 * 0.95 / 300))
    assert false_discovery_control(p).min() > 0.01


def test_a_continuous_attribute_has_its_rows_or_says_why_not() -> None:
    source = torch.Generator().manual_seed(0)
    age = torch.rand(600, generator=source, dtype=torch.float64)
    y = torch.bernoulli(torch.full((600,), 0.4).double(), generator=source)
    who = People(y, {"bent": (age - 0.5) ** 2, "constant": torch.full((600,), 0.5).double()})
    found = list(continuous_rows(who, "age", age))
    for row, reason in found:
        assert (row.value is None) == (reason is not None) == (row.predictor == "constant")
    measures = [row.measure for row, _ in found if row.predictor == "bent"]
    assert {"distance_correlation_squared", "distance_correlation_p", "distance_correlation_within_outcome_p"} <= set(measures)
    assert {"distance_correlation_squared[y=0]", "distance_correlation_p[y=1]"} <= set(measures)
    heavy = People(y, {"bent": who.predictions["bent"]}, torch.rand(600, generator=source, dtype=torch.float64))
    assert [reason for _, reason in continuous_rows(heavy, "age", age)] == [
        "people have unequal weights, for which there is no unbiased estimate"
    ]


def test_the_users_bins_divide_people() -> None:
    found = binned("age", torch.tensor([17.0, 30, 49.9, 50, 80]), [30, 50])
    assert found.names == ("below 30", "30 to 50", "50 and more")
    assert found.member.tolist() == [0, 1, 1, 2, 2]
    for edges in ([], [50, 30], [math.nan]):
        with pytest.raises(QueryError, match="not ascending finite numbers"):
            binned("age", torch.zeros(2), edges)


def decided(n: int = 2_000) -> tuple[People, Division]:
    source = torch.Generator().manual_seed(0)
    group = torch.randint(0, 3, (n,), generator=source)
    score = torch.rand(n, generator=source, dtype=torch.float64)
    y = torch.bernoulli(score, generator=source)
    predictions = {"full": score, "odd": (score + 0.15 * group).clamp(max=1), "same": score.clone()}
    return People(y, predictions), Division("race", NAMES, group)


def test_predictors_are_compared_on_the_same_people() -> None:
    who, division = decided()
    asked = Comparison(constraints=tuple(CONSTRAINTS), min_group_size=30)
    found = {(row.predictor, row.measure): row for row, _ in paired_rows(who, [division], asked)}
    rated = constraint_rows(who, [division], constraints=tuple(CONSTRAINTS), min_group_size=30, replicates=10)
    own = {(row.predictor, row.measure): row.value for row, _ in rated if row.group is None}
    for name in CONSTRAINTS:
        if CONSTRAINTS[name].of == "decisions":
            row = found["odd", f"{name}_difference_minus_full"]
            assert row.value == pytest.approx(own["odd", f"{name}_difference"] - own["full", f"{name}_difference"])
            assert ("full", f"{name}_difference_minus_odd") not in found
            same = found["same", f"{name}_difference_minus_full"]
            assert (same.value, same.low, same.high) == (0, 0, 0)
    assert found["odd", "demographic_parity_difference_minus_full"].low > 0


def test_the_comparison_of_predictors_is_that_of_resampled_rows() -> None:
    who, division = decided(600)
    some = People(who.y, {name: who.predictions[name] for name in ("full", "odd")})
    asked = Comparison(constraints=("demographic_parity",), min_group_size=30)
    ((row, _),) = paired_rows(some, [division], asked)
    source, drawn = torch.Generator().manual_seed(1), []
    for _ in range(2_000):
        own = torch.randint(600, (600,), generator=source)
        group = division.member[own]
        rates = [[(some.predictions[name][own][group == g] >= 0.5).double().mean() for g in range(3)] for name in ("full", "odd")]
        drawn.append(float(max(rates[1]) - min(rates[1]) - max(rates[0]) + min(rates[0])))
    assert (row.high - row.low) / 2 == pytest.approx(1.96 * np.std(drawn), rel=0.15)
