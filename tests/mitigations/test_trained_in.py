"""Constraints as part of the training: penalties and augmented Lagrangians."""

import pandas as pd
import pytest
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS, Constraint
from cfair.data import builtin_path
from cfair.errors import QueryError
from cfair.heads.logistic import Logistic
from cfair.mitigations import MITIGATIONS, Asked, Rows, Trained, decided
from cfair.mitigations.descent import Descent, _narrowed
from cfair.mitigations.lagrangian import bounded_path
from cfair.mitigations.penalty import penalised_path
from cfair.mitigations.soft import Violations

DECIDED = [name for name in CONSTRAINTS if CONSTRAINTS[name].strata]


def people(n: int = 3_000, groups: int = 3, seed: int = 0, apart: float = 1.2) -> Rows:
    """Groups with other base rates, and a feature that tells the group."""
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(groups, (n,), generator=source)
    skill = torch.randn(n, generator=source, dtype=torch.float64)
    told = group + torch.randn(n, generator=source, dtype=torch.float64)
    score = skill + apart * (group - 1) - 0.3
    y = (torch.rand(n, generator=source, dtype=torch.float64) < score.sigmoid()).double()
    features = torch.stack([skill, told, torch.randn(n, generator=source, dtype=torch.float64)], 1)
    return Rows(features, y, group, groups, torch.ones(n, dtype=torch.float64))


def asked(*names: str, **how: float) -> Asked:
    return Asked(constraints=tuple(CONSTRAINTS[name] for name in names), **how)  # type: ignore[arg-type]


def difference(trained: Trained, rows: Rows, constraint: Constraint) -> float:
    return float(constraint.difference(rows.cells(decided(trained.head.predict(rows.features))).weight))


def test_without_strength_a_penalty_is_the_logistic_head() -> None:
    rows = people()
    own = Logistic(3).fit([(rows.features, rows.outcome, rows.weights)])
    trained = MITIGATIONS["penalty"].train(rows, asked("demographic_parity", strength=0.0))
    torch.testing.assert_close(trained.head.predict(rows.features), own.predict(rows.features), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", DECIDED)
def test_soft_violations_become_the_hard_ones_of_the_constraint(name: str) -> None:
    rows, constraint = people(), CONSTRAINTS[name]
    scores = 3 * rows.features[:, 0] - rows.features[:, 1]
    violations = Violations(rows, (constraint,), torch.ones(3, dtype=torch.bool), scores)
    counts = rows.cells((scores >= 0).double()).weight
    successes, trials = constraint.tally(counts)
    expected = successes / trials - successes.sum(1, keepdim=True) / trials.sum(1, keepdim=True)
    torch.testing.assert_close(violations.hard(scores), expected.flatten())
    torch.testing.assert_close(violations.soft(scores, 1e-9), violations.hard(scores))
    assert violations.names == (name,) * expected.numel()


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_soft_violations_have_the_slopes_that_differences_show(name: str) -> None:
    rows = people(200)
    scores = (rows.features[:, 0] - 0.4).requires_grad_()
    violations = Violations(rows, (CONSTRAINTS[name],), torch.ones(3, dtype=torch.bool), scores.detach())

    def of(each: Tensor) -> Tensor:
        return violations.soft(each, 0.5)

    assert torch.autograd.gradcheck(of, (scores,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", DECIDED)
def test_a_lagrangian_keeps_its_tolerance_in_hard_decisions(name: str) -> None:
    rows, constraint = people(apart=0.5 if name == "predictive_parity" else 1.2), CONSTRAINTS[name]  # it wants base rates not far apart
    free = MITIGATIONS["penalty"].train(rows, asked(name, strength=0.0))
    trained = MITIGATIONS["lagrangian"].train(rows, asked(name, tolerance=0.02))
    hard = rows.cells(decided(trained.head.predict(rows.features))).weight
    shares, trials = constraint.tally(hard)
    rates = shares / trials  # odds as shares, which are bounded
    assert float((rates.amax(1) - rates.amin(1)).max()) <= 0.02 + 0.003
    assert difference(free, rows, constraint) > 5 * 0.02
    assert trained.log[-1].multipliers


def test_no_penalty_with_as_small_a_violation_has_less_loss_than_the_lagrangian() -> None:
    rows, constraint = people(), CONSTRAINTS["demographic_parity"]
    descent = Descent(rows)

    def loss(trained: Trained) -> float:
        return float(descent.loss(trained.head.score(rows.features)))

    bounded = MITIGATIONS["lagrangian"].train(rows, asked("demographic_parity", tolerance=0.1))
    weighed = [MITIGATIONS["penalty"].train(rows, asked("demographic_parity", strength=strength)) for strength in (0.3, 1.0, 3.0, 10.0)]
    as_small = [each for each in weighed if difference(each, rows, constraint) <= 0.1]
    assert as_small
    assert min(map(loss, as_small)) >= loss(bounded) - 2e-3  # but for the sharpness of decisions


def test_a_path_that_comes_back_to_strength_0_has_no_constraints_there() -> None:
    first, constrained, last = penalised_path(people(600), asked("demographic_parity"), (0.0, 10.0, 0.0))
    assert torch.equal(first.head.coefficients, last.head.coefficients)  # type: ignore[arg-type]
    assert not torch.equal(first.head.coefficients, constrained.head.coefficients)  # type: ignore[arg-type]


def test_a_path_of_falling_tolerances_keeps_each_and_loses_no_more_than_training_for_it_alone() -> None:
    rows, tolerances = people(), (1.0, 0.3, 0.2, 0.1, 0.05)
    descent = Descent(rows)
    path = list(bounded_path(rows, asked("demographic_parity"), tolerances))
    assert [difference(each, rows, CONSTRAINTS["demographic_parity"]) <= t + 0.003 for each, t in zip(path, tolerances, strict=True)] == [
        True
    ] * 5
    for trained, tolerance in list(zip(path, tolerances, strict=True))[1:]:
        alone = MITIGATIONS["lagrangian"].train(rows, asked("demographic_parity", tolerance=tolerance))
        losses = [float(descent.loss(each.head.score(rows.features))) for each in (trained, alone)]
        assert losses[0] <= losses[1] + 2e-3  # but for where rounds end within the tolerance
    assert sum(len(each.log) for each in path[1:]) < 4 * 8  # a few rounds each


def test_one_tolerance_is_a_path_of_one_point() -> None:
    rows = people(600)
    (only,) = bounded_path(rows, asked("equalized_odds"), (0.05,))
    trained = MITIGATIONS["lagrangian"].train(rows, asked("equalized_odds", tolerance=0.05))
    assert torch.equal(only.head.predict(rows.features), trained.head.predict(rows.features))


def test_coordinates_are_whitened_by_both_curvatures_together() -> None:
    source = torch.Generator().manual_seed(0)
    stretch, steep = (torch.randn(m, 6, generator=source, dtype=torch.float64) for m in (6, 2))
    both = torch.linalg.inv(stretch @ stretch.T) + steep.T @ steep
    narrowed = _narrowed(stretch, steep)
    torch.testing.assert_close(narrowed.T @ both @ narrowed, torch.eye(6, dtype=torch.float64))
    torch.testing.assert_close(_narrowed(stretch, steep[:0]), stretch)


def test_slopes_of_violations_are_those_that_differences_show() -> None:
    rows = people(200)
    descent = Descent(rows)
    violations = Violations(rows, (CONSTRAINTS["equalized_odds"],), torch.ones(3, dtype=torch.bool), descent.scores(descent.start))

    def soft(theta: Tensor) -> Tensor:
        return violations.soft(descent.scores(theta), 0.5)

    found = descent.slopes(lambda scores: violations.soft(scores, 0.5), descent.start)
    steps = 1e-6 * torch.eye(len(descent.start), dtype=torch.float64)
    expected = torch.stack([(soft(descent.start + step) - soft(descent.start - step)) / 2e-6 for step in steps], 1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_violations_fall_as_the_strength_grows() -> None:
    rows, constraint = people(), CONSTRAINTS["equal_opportunity"]
    path = [
        difference(MITIGATIONS["penalty"].train(rows, asked("equal_opportunity", strength=s)), rows, constraint) for s in (0.0, 0.3, 3, 30)
    ]
    assert path == sorted(path, reverse=True)
    assert path[-1] < path[0] / 5


def test_several_constraints_are_trained_in_at_once() -> None:
    rows = people()
    trained = MITIGATIONS["penalty"].train(rows, asked("equal_opportunity", "demographic_parity", strength=10.0))
    free = trained.log[0].violations
    assert all(trained.log[-1].violations[name] < free[name] / 2 for name in free)


def test_groups_too_small_take_no_part_and_are_listed() -> None:
    rows = people(900)
    group = torch.where(torch.arange(900) < 10, 2, rows.group.clamp(max=1))
    few = Rows(rows.features, rows.outcome, group, 3, rows.weights)
    trained = MITIGATIONS["penalty"].train(few, asked("demographic_parity", strength=10.0))
    assert trained.held == (2,)
    free = MITIGATIONS["penalty"].train(few, asked("demographic_parity", strength=0.0, min_group_size=1))
    assert free.held == ()


def test_weights_count_as_rows_repeated() -> None:
    rows = people(600)
    twice = torch.arange(600) < 200
    weighted = Rows(rows.features, rows.outcome, rows.group, 3, 1.0 + twice.double())
    place = torch.cat([torch.arange(600), torch.arange(200)])
    repeated = Rows(rows.features[place], rows.outcome[place], rows.group[place], 3, torch.ones(800, dtype=torch.float64))
    found = [MITIGATIONS["penalty"].train(each, asked("equalized_odds", strength=3.0)) for each in (weighted, repeated)]
    one, other = (trained.head.predict(rows.features) for trained in found)
    torch.testing.assert_close(one, other, rtol=0, atol=2e-3)  # against the ridge, 600 rows of mean weight 1 count as 600


def test_the_callers_random_numbers_are_untouched() -> None:
    before = torch.get_rng_state()
    MITIGATIONS["lagrangian"].train(people(300), asked("demographic_parity"))
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_of_different_lengths_and_codes_are_refused() -> None:
    one, zero = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(QueryError, match="different numbers of people"):
        Rows(torch.zeros(2, 1, dtype=torch.float64), one, zero, 1, one)
    with pytest.raises(QueryError, match="neither 0 nor 1"):
        Rows(torch.zeros(3, 1, dtype=torch.float64), 2 * one, zero, 1, one)
    with pytest.raises(QueryError, match="not among 0 to 0"):
        Rows(torch.zeros(3, 1, dtype=torch.float64), one, zero + 1, 1, one)
    with pytest.raises(QueryError, match="none is named"):
        Asked(constraints=())


@pytest.fixture(scope="module")
def adult() -> tuple[Tensor, Tensor, Tensor]:
    frame = pd.read_parquet(builtin_path("adult"))
    y = torch.tensor(pd.factorize(frame["income_over_50k"], sort=True)[0], dtype=torch.float64)
    design = pd.get_dummies(frame.drop(columns=["income_over_50k"]), drop_first=True).to_numpy(float)
    return torch.from_numpy(design), y, torch.from_numpy(pd.factorize(frame["sex"], sort=True)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demographic_parity", "equal_opportunity", "equalized_odds", "treatment_equality"])
def test_on_adult_violations_by_sex_fall_to_a_fifth_at_little_cost(adult: tuple[Tensor, Tensor, Tensor], name: str) -> None:
    x, y, group = adult
    constraint, signed = CONSTRAINTS[name], []
    for seed in range(5):
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        train, test = (Rows(x[some], y[some], group[some], 2, torch.ones(len(some)).double()) for some in order.split(len(y) * 4 // 5)[:2])
        free = MITIGATIONS["penalty"].train(train, asked(name, strength=0.0))
        left = difference(free, train, constraint) / 5
        trained = MITIGATIONS["lagrangian"].train(train, asked(name, tolerance=0.002))
        decisions = decided(trained.head.predict(train.features))
        assert difference(trained, train, constraint) <= left
        correct, before = ((each == train.outcome).double().mean() for each in (decisions, decided(free.head.predict(train.features))))
        assert float(correct) >= float(before) - 0.03
        cells = train.cells(decisions).weight
        assert float((cells[:, 1, 1] / cells[:, 1].sum(1)).min()) > 0.2
        rates = constraint.rates(test.cells(decided(trained.head.predict(test.features))).weight)
        rates = rates.log() if constraint.scale == "odds" else rates
        signed.append(rates[:, 1] - rates[:, 0])
    apart = torch.stack(signed)
    error = apart.std(0) * (1 / 5 + 0.2 / 0.8) ** 0.5  # of splits that overlap (Nadeau & Bengio 2003)
    assert bool((apart.mean(0).abs() <= 2 * error).all()), (apart.mean(0), error)


@pytest.mark.slow
def test_on_compas_predictive_values_by_race_are_equal_to_a_head_that_sees_neither_race_nor_sex() -> None:
    """Precision among non-Caucasians is 0.04 to 0.06 above that among Caucasians before."""
    frame, constraint, signed = pd.read_parquet(builtin_path("compas")), CONSTRAINTS["predictive_parity"], []
    y = torch.tensor(frame["two_year_recid"].to_numpy(), dtype=torch.float64)
    x = torch.from_numpy(pd.get_dummies(frame.drop(columns=["two_year_recid", "race", "sex"]), drop_first=True).to_numpy(float))
    group = torch.from_numpy(pd.factorize(frame["race"], sort=True)[0])
    for seed in range(5):
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        train, test = (Rows(x[some], y[some], group[some], 2, torch.ones(len(some)).double()) for some in order.split(len(y) * 4 // 5)[:2])
        free = MITIGATIONS["penalty"].train(train, asked("predictive_parity", strength=0.0))
        trained = MITIGATIONS["lagrangian"].train(train, asked("predictive_parity", tolerance=0.002))
        assert difference(trained, train, constraint) <= difference(free, train, constraint) / 5
        decisions = decided(trained.head.predict(train.features))
        correct, before = ((each == train.outcome).double().mean() for each in (decisions, decided(free.head.predict(train.features))))
        assert float(correct) >= float(before) - 0.03
        cells = train.cells(decisions).weight
        assert float((cells[:, 1, 1] / cells[:, 1].sum(1)).min()) > 0.2
        rates = constraint.rates(test.cells(decided(trained.head.predict(test.features))).weight)
        signed.append(rates[0, 1] - rates[0, 0])
    apart = torch.stack(signed)
    assert float(apart.mean().abs()) <= 2 * float(apart.std()) * (1 / 5 + 0.2 / 0.8) ** 0.5  # of splits that overlap (Nadeau & Bengio 2003)


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.0, 0.005, 0.02])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_on_compas_where_many_stand_near_the_threshold_a_tolerance_by_race_is_kept(tolerance: float, seed: int) -> None:
    """Hard violations follow soft ones so loosely there that rounds went from side to side; 0.04 was left of 0.17."""
    frame, constraint = pd.read_parquet(builtin_path("compas")), CONSTRAINTS["demographic_parity"]
    y = torch.tensor(frame["two_year_recid"].to_numpy(), dtype=torch.float64)
    x = torch.from_numpy(pd.get_dummies(frame.drop(columns=["two_year_recid", "race", "sex"]), drop_first=True).to_numpy(float))
    group = torch.from_numpy(pd.factorize(frame["race"], sort=True)[0])
    some = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))[: len(y) * 4 // 5]
    rows = Rows(x[some], y[some], group[some], 2, torch.ones(len(some)).double())
    trained = MITIGATIONS["lagrangian"].train(rows, asked("demographic_parity", tolerance=tolerance))
    assert difference(trained, rows, constraint) <= tolerance + 0.004
    assert trained.log[-1].converged
    decisions = decided(trained.head.predict(rows.features))
    assert (decisions == rows.outcome).double().mean() > max(rows.outcome.mean(), 1 - rows.outcome.mean()) + 0.01


def test_what_does_not_keep_its_tolerance_is_not_said_to_have_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.mitigations.lagrangian.ROUNDS", 2)
    rows = people()
    trained = MITIGATIONS["lagrangian"].train(rows, asked("demographic_parity"))
    assert difference(trained, rows, CONSTRAINTS["demographic_parity"]) > 0.02
    assert not trained.log[-1].converged
