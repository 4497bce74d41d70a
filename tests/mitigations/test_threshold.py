"""Thresholds after training, against every combination of thresholds, and against fairlearn's."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor

from cfair.constraints import CONSTRAINTS
from cfair.data import builtin_path
from cfair.errors import QueryError
from cfair.heads.logistic import Logistic
from cfair.mitigations import MITIGATIONS, Asked, Rows, Trained, decided
from cfair.mitigations.deciding import Decider
from cfair.mitigations.ladders import ladders
from cfair.mitigations.mixtures import best_mixture, hull


def people(n: int, groups: int = 2, seed: int = 0, *, weighted: bool = False) -> Rows:
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(groups, (n,), generator=source)
    x = torch.randn(n, 2, generator=source, dtype=torch.float64) + 0.8 * (group[:, None] == 1)
    score = x.sum(1) * (1 + group) / 2 + 0.8 * (group == 1) - 0.7
    weights = torch.rand(n, generator=source, dtype=torch.float64) + 0.1 if weighted else torch.ones(n, dtype=torch.float64)
    return Rows(x, torch.bernoulli(score.sigmoid(), generator=source), group, groups, weights)


def train(rows: Rows, *constraints: str, tolerance: float = 0.0, reads_group: bool = True, seed: int = 0) -> Trained:
    named = tuple(CONSTRAINTS[name] for name in constraints)
    return MITIGATIONS["threshold"].train(rows, Asked(constraints=named, tolerance=tolerance, reads_group=reads_group, seed=seed))


def logits(rows: Rows) -> Tensor:
    return Logistic(rows.features.shape[1]).fit([(rows.features, rows.outcome, rows.weights)]).score(rows.features)


def accuracy(rows: Rows, decision: Tensor) -> float:
    right = torch.where(rows.outcome == 1, decision, 1 - decision)
    return float(rows.weights @ right / rows.weights.sum())


def every_decision(rows: Rows) -> list[list[tuple[float, np.ndarray, np.ndarray]]]:
    """Of each group and each threshold: the weight decided on rightly, and true and false decisions by cell, counted person by person."""
    score, found = logits(rows).numpy(), []
    y, w, group = rows.outcome.numpy(), rows.weights.numpy(), rows.group.numpy()
    for g in range(rows.groups):
        own = group == g
        each = []
        for t in [*np.sort(score[own]), np.inf]:
            one = score[own] >= t
            cells = np.array([[w[own][(y[own] == a) & (one == b)].sum() for b in (False, True)] for a in (0, 1)])
            each.append((cells[0, 0] + cells[1, 1], cells, t))
        found.append(each)
    return found


def rate(name: str, cells: np.ndarray) -> float:
    (_, fp), (fn, tp) = cells
    pairs = {
        "demographic_parity": (fp + tp, cells.sum()),
        "equal_opportunity": (tp, fn + tp),
        "predictive_parity": (tp, fp + tp),
        "treatment_equality": (fn, fp),
    }
    above, below = pairs[name]
    return above / below if below > 0 else np.nan


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["predictive_parity", "treatment_equality"])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_thresholds_are_the_best_of_all_pairs(name: str, seed: int, weighted: bool) -> None:
    rows = people(200, seed=seed, weighted=weighted)
    sizes = [float(rows.weights[rows.group == g].sum()) for g in range(2)]
    grain = float(rows.weights.max()) / min(sizes)
    first, second = every_decision(rows)
    pairs = [(abs(rate(name, a[1]) - rate(name, b[1])), a[0] + b[0]) for a, b in product(first, second)]
    kept = max(grain, min(apart for apart, _ in pairs if not np.isnan(apart))) + 1e-12  # or the least that can be
    best = max(right for apart, right in pairs if apart <= kept)
    trained = train(rows, name)
    decision = decided(trained.head.predict(rows.with_group()))
    assert accuracy(rows, decision) == pytest.approx(best / sum(sizes), abs=1e-12)
    assert trained.log[-1].violations[name] <= kept


@pytest.mark.parametrize("name", ["predictive_parity", "treatment_equality", "demographic_parity"])
def test_three_thresholds_are_the_best_of_all_triples(name: str) -> None:
    rows = people(90, groups=3, seed=2)
    trained = MITIGATIONS["threshold"].train(rows, Asked(constraints=(CONSTRAINTS[name],), tolerance=0.1, min_group_size=5))
    decision = decided(trained.head.predict(rows.with_group()))
    each = every_decision(rows)
    best = 0.0
    for chosen in product(*each):
        rates = [rate(name, cells) for _, cells, _ in chosen]
        if max(rates) - min(rates) <= 0.1 + 1e-12:
            best = max(best, sum(right for right, _, _ in chosen))
    assert accuracy(rows, decision) == pytest.approx(best / 90, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["demographic_parity", "equal_opportunity"])
@pytest.mark.parametrize("groups", [2, 4])
def test_rates_are_equal_to_one_row_per_group_and_most_accurate(name: str, groups: int, weighted: bool) -> None:
    rows = people(200, groups, seed=3, weighted=weighted)
    trained = train(rows, name)
    decision = decided(trained.head.predict(rows.with_group()))
    counts, each = rows.cells(decision).weight, every_decision(rows)
    trials = [float(CONSTRAINTS[name].tally(counts)[1][0, g]) for g in range(groups)]
    half = [0.5 * float(rows.weights[rows.group == g].max()) / trials[g] for g in range(groups)]
    rates = CONSTRAINTS[name].rates(counts)[0].tolist()
    assert max(r - h for r, h in zip(rates, half, strict=True)) <= min(r + h for r, h in zip(rates, half, strict=True)) + 1e-12
    right = [np.array([correct for correct, _, _ in thresholds]) for thresholds in each]
    rated = [np.array([rate(name, cells) for _, cells, _ in thresholds]) for thresholds in each]
    best = 0.0
    for target in np.linspace(0, 1, 4001):
        near = [np.abs(r - target) for r in rated]
        best = max(best, sum(c[apart <= apart.min() + 1e-12].max() for c, apart in zip(right, near, strict=True)))
    assert accuracy(rows, decision) >= best / float(rows.weights.sum()) - 1e-12


class Given(ClassifierMixin, BaseEstimator):
    """An estimator whose scores are its only feature."""

    def fit(self, x: object, y: object) -> "Given":
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, x: pd.DataFrame) -> np.ndarray:
        return np.asarray(x).ravel()


def fairlearn_accuracy(rows: Rows, name: str) -> float:
    """The expected accuracy of fairlearn's lottery among thresholds."""
    x, y = logits(rows).sigmoid().numpy().reshape(-1, 1), rows.outcome.numpy()
    options = {"constraints": name, "objective": "accuracy_score", "grid_size": 20_000, "predict_method": "predict", "prefit": True}
    optimizer = ThresholdOptimizer(estimator=Given().fit(x, y), **options)
    optimizer.fit(x, y, sensitive_features=rows.group.numpy())
    probability = optimizer._pmf_predict(x, sensitive_features=rows.group.numpy())[:, 1]
    return accuracy(rows, torch.from_numpy(probability))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equalized_odds_hold_in_expectation_and_are_as_accurate_as_fairlearns(seed: int) -> None:
    rows = people(400, seed=seed)
    trained = train(rows, "equalized_odds")
    head = trained.head
    assert isinstance(head, Decider)
    probability = head.expected(rows.with_group())
    expected = {stage.what: stage.violations["equalized_odds"] for stage in trained.log}["thresholds, in expectation"]
    odds = [[float(probability[(rows.group == g) & (rows.outcome == y)].mean()) for g in range(2)] for y in (0, 1)]
    assert max(abs(a - b) for a, b in odds) <= 1e-9
    assert expected <= 1e-9
    theirs = fairlearn_accuracy(rows, "equalized_odds")
    assert theirs - 1e-9 <= accuracy(rows, probability) <= theirs + 1e-3  # they look along a grid of false positive rates


@pytest.mark.parametrize("name", ["demographic_parity", "equal_opportunity"])
def test_a_lottery_is_as_accurate_as_fairlearns_and_beats_thresholds_without_one(name: str) -> None:
    rows = people(1000, seed=4)
    found = ladders(rows, logits(rows), torch.tensor([True, True]))
    mixed = best_mixture(found, [CONSTRAINTS[name]], 0.0)
    right = sum(float(shares @ ladder.correct[at]) for ladder, (at, shares) in zip(found, mixed, strict=True)) / 1000
    named = {"demographic_parity": name, "equal_opportunity": "true_positive_rate_parity"}[name]
    theirs = fairlearn_accuracy(rows, named)
    assert theirs - 1e-9 <= right <= theirs + 1e-3
    alone = accuracy(rows, decided(train(rows, name).head.predict(rows.with_group())))
    assert right - 0.01 <= alone <= right + 2 / 400  # a row of each group


@pytest.mark.parametrize(
    "constraints", [("equalized_odds",), ("demographic_parity", "equal_opportunity"), ("equalized_odds", "demographic_parity")]
)
def test_a_lottery_keeps_several_constraints_of_many_weighted_groups_within_the_tolerance(constraints: tuple[str, ...]) -> None:
    rows = people(3000, 10, seed=5, weighted=True)
    for tolerance in (0.0, 0.03):
        trained = train(rows, *constraints, tolerance=tolerance)
        expected = {stage.what: stage.violations for stage in trained.log}.get("thresholds, in expectation", trained.log[-1].violations)
        assert max(expected.values()) <= tolerance + 1e-9


def test_a_larger_tolerance_is_never_less_accurate() -> None:
    rows = people(500, 3, seed=6)
    for name in ("demographic_parity", "predictive_parity"):
        found = [accuracy(rows, decided(train(rows, name, tolerance=t).head.predict(rows.with_group()))) for t in (0.02, 0.1, 0.5, 1.0)]
        assert found == sorted(found)


def test_draws_are_uniform_and_of_the_seed_and_the_features_alone() -> None:
    rows = people(400, seed=1)
    trained = train(rows, "equalized_odds")
    head, n = trained.head, 20_000
    assert isinstance(head, Decider)
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    others = Rows(x, torch.zeros(n, dtype=torch.float64), torch.arange(n) % 2, 2, torch.ones(n, dtype=torch.float64))
    decision, expected = decided(head.predict(others.with_group())), head.expected(others.with_group())
    drawn = (expected > 1e-9) & (expected < 1 - 1e-9)
    assert drawn.any()
    error = (expected * (1 - expected))[drawn].sum().sqrt()
    assert (decision - expected)[drawn].sum().abs() <= 5 * error
    torch.testing.assert_close(decision[~drawn], expected[~drawn], rtol=0, atol=1e-9)
    back = torch.arange(n).flip(0)
    assert torch.equal(head.predict(others.with_group()[back]), head.predict(others.with_group())[back])
    reseeded = train(rows, "equalized_odds", seed=1).head
    assert not torch.equal(decided(reseeded.predict(others.with_group())), decision)


@pytest.mark.parametrize("seed", [0, 7, 8])
@pytest.mark.parametrize(("others", "tolerance"), [((), 0.15), (("equal_opportunity",), 0.03)])
def test_several_constraints_of_two_groups_are_kept_by_the_best_of_all_pairs(seed: int, others: tuple[str, ...], tolerance: float) -> None:
    rows, names = people(200, seed=seed), ("predictive_parity", "demographic_parity", *others)
    rated = [np.array([[*(rate(c, cells) for c in names), right] for right, cells, _ in thresholds]) for thresholds in every_decision(rows)]
    first, second = rated[0][:, None], rated[1][None]
    kept = (np.abs(first - second)[..., :-1] <= tolerance + 1e-12).all(-1)
    trained = train(rows, *names, tolerance=tolerance)
    assert max(trained.log[-1].violations.values()) <= tolerance + 1e-12
    best = (first + second)[kept][:, -1].max() / 200
    assert accuracy(rows, decided(trained.head.predict(rows.with_group()))) == pytest.approx(best, abs=1e-12)


def test_two_constraints_of_three_groups_are_kept_nearly_as_accurately_as_by_the_best_of_all_triples() -> None:
    rows, names, tolerance = people(75, groups=3, seed=3), ("predictive_parity", "demographic_parity"), 0.15
    named = tuple(CONSTRAINTS[name] for name in names)
    trained = MITIGATIONS["threshold"].train(rows, Asked(constraints=named, tolerance=tolerance, min_group_size=5))
    each = [[(*(rate(name, cells) for name in names), right) for right, cells, _ in thresholds] for thresholds in every_decision(rows)]
    rates = [
        np.array(thresholds)[list(place)] for thresholds, place in zip(each, np.indices([len(t) for t in each]).reshape(3, -1), strict=True)
    ]
    together = np.stack(rates)  # (groups, triples, 3)
    kept = (np.ptp(together[:, :, :2], axis=0) <= tolerance + 1e-12).all(1)
    assert kept.any()
    assert max(trained.log[-1].violations.values()) <= tolerance + 1e-12
    best = together[:, kept, 2].sum(0).max()
    assert accuracy(rows, decided(trained.head.predict(rows.with_group()))) >= best / 75 - 0.02  # a local optimum


def test_without_the_group_one_threshold_is_the_most_accurate_within_the_tolerance() -> None:
    rows = people(300, seed=8)
    score, tolerance = logits(rows), 0.1
    trained = train(rows, "demographic_parity", tolerance=tolerance, reads_group=False)
    assert not trained.reads_group
    best = 0.0
    for t in [*score.tolist(), np.inf]:
        decision = (score >= t).double()
        rates = [float(decision[rows.group == g].mean()) for g in range(2)]
        if abs(rates[0] - rates[1]) <= tolerance:
            best = max(best, accuracy(rows, decision))
    assert accuracy(rows, decided(trained.head.predict(rows.features))) == pytest.approx(best, abs=1e-12)
    assert trained.log[-1].violations["demographic_parity"] <= tolerance


def test_a_group_held_has_the_one_threshold_that_is_most_accurate_for_everybody() -> None:
    rows = people(400, seed=9)
    group = rows.group.clone()
    group[:12] = 2
    rows = Rows(rows.features, rows.outcome, group, 3, rows.weights)
    trained, score = train(rows, "equal_opportunity"), logits(rows)
    best = max(score.tolist(), key=lambda t: accuracy(rows, (score >= t).double()))
    assert trained.held == (2,)
    held = decided(trained.head.predict(rows.with_group()))[:12]
    assert torch.equal(held, (score[:12] >= best).double())


def test_a_group_of_nobody_with_outcome_1_is_held_where_its_true_positive_rate_is_to_be_equal() -> None:
    rows = people(300, 3, seed=10)
    rows = Rows(rows.features, rows.outcome * (rows.group != 2), rows.group, 3, rows.weights)
    assert train(rows, "equal_opportunity").held == (2,)
    assert train(rows, "demographic_parity").held == ()


def test_the_hull_is_above_every_threshold_and_of_its_corners_alone() -> None:
    rows = people(300, seed=11, weighted=True)
    (ladder, _) = ladders(rows, logits(rows), torch.tensor([True, True]))
    corners = hull(ladder)
    false, true = ladder.counts[:, 0, 0, 1], ladder.counts[:, 0, 1, 1]
    order = corners.flip(0)  # from nobody to everybody
    above = np.interp(false.numpy(), false[order].numpy(), true[order].numpy())
    assert (torch.from_numpy(above) >= true - 1e-9).logical_or(false == 0).all()
    slopes = (true[order].diff() / false[order].diff()).tolist()
    assert slopes == sorted(slopes, reverse=True)
    assert {0, len(ladder.values) - 1} <= set(corners.tolist())


def test_a_group_that_was_not_trained_on_is_refused() -> None:
    rows = people(200)
    head = train(rows, "demographic_parity").head
    with pytest.raises(QueryError, match="index of a group"):
        head.predict(torch.tensor([[0.0, 0.0, 2.0]], dtype=torch.float64))


@pytest.fixture(scope="module")
def intersections() -> Rows:
    """Adult by sex x race: ten groups, of 126 to 27,020 people, four of them of fewer than 300."""
    frame = pd.read_parquet(builtin_path("adult"))
    y = torch.tensor(pd.factorize(frame["income_over_50k"], sort=True)[0], dtype=torch.float64)
    x = torch.from_numpy(pd.get_dummies(frame.drop(columns=["income_over_50k"]), drop_first=True).to_numpy(float))
    group, names = pd.factorize(frame["sex"] + frame["race"], sort=True)
    assert len(names) == 10
    return Rows(x, y, torch.from_numpy(group), 10, torch.ones(len(y), dtype=torch.float64))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CONSTRAINTS if MITIGATIONS["threshold"].refuses(CONSTRAINTS[name]) is None])
def test_of_ten_intersections_the_large_are_made_equal_and_the_small_are_held_at_the_pooled_threshold(
    intersections: Rows, name: str
) -> None:
    rows, constraint = intersections, CONSTRAINTS[name]
    trained = MITIGATIONS["threshold"].train(rows, Asked(constraints=(constraint,), min_group_size=300))
    size = torch.bincount(rows.group)
    part = size >= 300
    assert trained.held == tuple(torch.nonzero(~part).flatten().tolist())
    assert len(trained.held) == 4
    head, score = trained.head, logits(rows)
    assert isinstance(head, Decider)
    accuracies = [accuracy(rows, (score >= t).double()) for t in torch.linspace(-2, 2, 401, dtype=torch.float64)]
    pooled = head.thresholds[~part, 0]
    assert pooled.unique().numel() == 1
    assert (head.shares[~part, 0] == 1).all()
    assert accuracy(rows, (score >= pooled[0]).double()) >= max(accuracies)
    probability = head.expected(rows.with_group())
    weight = torch.stack([rows.weights * (1 - probability), rows.weights * probability], 1)
    counts = torch.zeros(20, 2, dtype=torch.float64).index_add_(0, rows.group * 2 + rows.outcome.long(), weight).reshape(10, 2, 2)[part]
    free = rows.cells((score >= 0).double()).weight[part]
    assert constraint.difference(counts) < 0.05 * constraint.difference(free)
