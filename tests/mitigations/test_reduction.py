"""Reductions against fairlearn's own classes on the same rows."""

import sys
import warnings

import numpy as np
import pytest
import torch
from fairlearn.reductions import DemographicParity, EqualizedOdds, ExponentiatedGradient, GridSearch, TruePositiveRateParity
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from cfair.constraints import CONSTRAINTS
from cfair.errors import QueryError
from cfair.heads.logistic import RIDGE, Logistic
from cfair.mitigations import MITIGATIONS, Asked, Rows
from cfair.mitigations.lots import lots
from cfair.mitigations.mixed import Mixed
from cfair.mitigations.reducing import reduced, searched
from cfair.mitigations.unconstrained import counts_of

MOMENTS = {"demographic_parity": DemographicParity, "equal_opportunity": TruePositiveRateParity, "equalized_odds": EqualizedOdds}
DEPRECATED = "ignore::DeprecationWarning"  # fairlearn's, of pandas


def people(n: int = 800, groups: int = 3, seed: int = 0) -> Rows:
    """Groups with other base rates, and a feature in large units that tells the group."""
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(groups, (n,), generator=source)
    skill = torch.randn(n, generator=source, dtype=torch.float64)
    told = 1000.0 * (group + torch.randn(n, generator=source, dtype=torch.float64))
    score = skill + 1.2 * (group - 1) - 0.3
    y = (torch.rand(n, generator=source, dtype=torch.float64) < score.sigmoid()).double()
    return Rows(torch.stack([skill, told], 1), y, group, groups, torch.ones(n, dtype=torch.float64))


def asked(name: str, **how: float) -> Asked:
    return Asked(constraints=(CONSTRAINTS[name],), **how)  # type: ignore[arg-type]


def estimator() -> LogisticRegression:
    return LogisticRegression(C=1 / RIDGE, solver="newton-cholesky", tol=1e-8, max_iter=1_000)


@pytest.mark.filterwarnings(DEPRECATED)
@pytest.mark.parametrize(("name", "tolerance"), [("demographic_parity", 0.1), ("equal_opportunity", 0.0), ("equalized_odds", 0.1)])
def test_a_lottery_is_in_expectation_fairlearns_own(name: str, tolerance: float) -> None:
    rows = people()
    scaler = StandardScaler().fit(rows.features.numpy())
    own = ExponentiatedGradient(estimator(), MOMENTS[name](difference_bound=tolerance / 2), eps=max(tolerance / 2, 0.01))
    own.fit(scaler.transform(rows.features.numpy()), rows.outcome.numpy(), sensitive_features=rows.group.numpy())
    head = MITIGATIONS["reduction"].train(rows, asked(name, tolerance=tolerance)).head
    assert isinstance(head, Mixed)
    assert head.members > 1
    for each in (rows.features, people(2_000, seed=1).features):
        theirs = own._pmf_predict(scaler.transform(each.numpy()))[:, 1]
        np.testing.assert_allclose(head.expected(each).numpy(), theirs, rtol=0, atol=1e-9)


@pytest.mark.filterwarnings(DEPRECATED)
@pytest.mark.parametrize("name", ["demographic_parity", "equalized_odds"])
def test_the_best_of_a_grid_is_fairlearns_own(name: str) -> None:
    rows, others = people(groups=2), people(2_000, groups=2, seed=1)
    scaler = StandardScaler().fit(rows.features.numpy())
    size = 21 if name == "demographic_parity" else 61
    own = GridSearch(estimator(), MOMENTS[name](), constraint_weight=0.75, grid_size=size)
    own.fit(scaler.transform(rows.features.numpy()), rows.outcome.numpy(), sensitive_features=rows.group.numpy())
    head = MITIGATIONS["grid_search"].train(rows, asked(name, strength=3.0)).head
    assert isinstance(head, Logistic)
    theirs = own.predict_proba(scaler.transform(others.features.numpy()))[:, 1]
    np.testing.assert_allclose(head.predict(others.features).numpy(), theirs, rtol=0, atol=1e-9)


@pytest.mark.filterwarnings(DEPRECATED)
def test_any_estimator_may_be_reduced_to() -> None:
    rows, tree = people(groups=2), DecisionTreeClassifier(max_depth=3, random_state=0)
    x, y, group = rows.features.numpy(), rows.outcome.numpy(), rows.group.numpy()
    lottery = ExponentiatedGradient(tree, DemographicParity(difference_bound=0.0), eps=0.01).fit(x, y, sensitive_features=group)
    ours = reduced(tree, rows, asked("demographic_parity")).expected(rows.features)
    np.testing.assert_allclose(ours.numpy(), lottery._pmf_predict(x)[:, 1], rtol=0, atol=1e-12)
    best = GridSearch(tree, DemographicParity(), grid_size=21).fit(x, y, sensitive_features=group)
    ours = searched(tree, rows, asked("demographic_parity")).expected(rows.features)
    np.testing.assert_array_equal(ours.numpy(), best.predict(x))
    assert not hasattr(tree, "tree_")


@pytest.mark.parametrize(("name", "tolerance"), [("demographic_parity", 0.0), ("equal_opportunity", 0.1), ("equalized_odds", 0.1)])
def test_a_tolerance_is_kept_in_expectation_but_for_the_gap_that_is_left(name: str, tolerance: float) -> None:
    rows = people()
    trained = MITIGATIONS["reduction"].train(rows, asked(name, tolerance=tolerance))
    assert isinstance(trained.head, Mixed)
    left = float(CONSTRAINTS[name].difference(counts_of(rows, trained.head.expected(rows.features))))
    assert left <= tolerance + 0.005
    assert trained.log[0].violations[name] > 0.2
    assert trained.log[1].violations[name] == pytest.approx(left, abs=1e-12)
    assert trained.log[1].converged


def test_people_are_served_by_each_classifier_as_often_as_it_weighs() -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(40_000, 1, generator=source, dtype=torch.float64)
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    head = Mixed(1, 3).hold(torch.tensor([-1.0, 1.0, 3.0]).double(), torch.zeros(3, 1).double(), weights, seed=4)
    share = torch.stack([(head.score(x) == b).double().mean() for b in (-1.0, 1.0, 3.0)])
    assert bool(((share - weights).abs() <= 5 * (weights * (1 - weights) / len(x)).sqrt()).all())
    torch.testing.assert_close(head.expected(x), torch.full((len(x),), 0.8, dtype=torch.float64))
    again = Mixed(1, 3).hold(torch.tensor([-1.0, 1.0, 3.0]).double(), torch.zeros(3, 1).double(), weights, seed=5)
    assert not torch.equal(head.score(x), again.score(x))
    assert torch.equal(lots(x[:5], 4), lots(x, 4)[:5])


def test_a_lottery_that_holds_nothing_and_one_without_groups_are_refused() -> None:
    with pytest.raises(QueryError, match="has not been fitted"):
        Mixed(1, 2).predict(torch.zeros(3, 1, dtype=torch.float64))
    with pytest.raises(QueryError, match="with the groups"):
        Mixed(1, 2).fit([])


@pytest.mark.parametrize("name", ["reduction", "grid_search"])
def test_weights_that_are_no_multiples_are_refused(name: str) -> None:
    rows = people(200, groups=2)
    weights = 1 + torch.rand(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for each in (weights, torch.ones(200, dtype=torch.float64).index_fill(0, torch.arange(100), 100.0)):
        weighted = Rows(rows.features, rows.outcome, rows.group, 2, each)
        with pytest.raises(QueryError, match="whole multiples of the least"):
            MITIGATIONS[name].train(weighted, asked("demographic_parity"))


def test_several_constraints_and_a_grid_of_many_groups_are_refused() -> None:
    both = Asked(constraints=(CONSTRAINTS["demographic_parity"], CONSTRAINTS["equal_opportunity"]))
    with pytest.raises(QueryError, match="demographic_parity and equal_opportunity are asked for"):
        MITIGATIONS["reduction"].train(people(200), both)
    with pytest.raises(QueryError, match="grid of 6 multipliers"):
        MITIGATIONS["grid_search"].train(people(groups=4), asked("equalized_odds"))
    alone = people(200, groups=1)
    with pytest.raises(QueryError, match="fewer than two groups take part"):
        reduced(estimator(), alone, asked("demographic_parity"))


@pytest.mark.parametrize("name", ["reduction", "grid_search"])
def test_where_fairlearn_is_missing_the_mend_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fairlearn", None)
    with pytest.raises(QueryError, match=r"[Pp]ip install 'cfair\[reductions\]'"):
        MITIGATIONS[name].train(people(100), asked("demographic_parity"))


def test_fairlearns_own_warnings_do_not_reach_the_caller() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        MITIGATIONS["grid_search"].train(people(200, groups=2), asked("demographic_parity"))
    assert not heard
