"""Lotteries by linear programs: against every lottery there is, against fairlearn's, and what they promise."""

from itertools import combinations, pairwise

import pytest
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS
from cfair.heads.logistic import Logistic
from cfair.mitigations import MITIGATIONS, Asked, Rows
from cfair.mitigations.costed import Costed
from cfair.mitigations.descent import Descent
from cfair.mitigations.lottery import _bounds, _costs, _Found, lottery_path
from cfair.mitigations.mixed import Mixed
from cfair.mitigations.reducing import reduced
from cfair.mitigations.reduction import logistic_regression
from cfair.mitigations.unconstrained import counts_of

KNOWN = ["demographic_parity", "equal_opportunity", "equalized_odds"]


def people(n: int = 1_500, groups: int = 3, seed: int = 0) -> Rows:
    """Groups with other base rates, a feature that tells the group, and weights."""
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(groups, (n,), generator=source)
    skill = torch.randn(n, generator=source, dtype=torch.float64)
    told = group + torch.randn(n, generator=source, dtype=torch.float64)
    score = skill + 1.2 * (group - 1) - 0.3
    y = (torch.rand(n, generator=source, dtype=torch.float64) < score.sigmoid()).double()
    return Rows(torch.stack([skill, told], 1), y, group, groups, 0.5 + torch.rand(n, generator=source, dtype=torch.float64))


def asked(*names: str, **how: float) -> Asked:
    return Asked(constraints=tuple(CONSTRAINTS[name] for name in names), **how)  # type: ignore[arg-type]


def error(rows: Rows, positive: Tensor) -> float:
    wrong = rows.outcome * (1 - positive) + (1 - rows.outcome) * positive
    return float(rows.weights @ wrong / rows.weights.sum())


def farthest(rows: Rows, positive: Tensor, name: str) -> float:
    """The largest distance of a group's rate from that of all."""
    successes, trials = CONSTRAINTS[name].tally(counts_of(rows, positive))
    return float((successes / trials - successes.sum(-1, keepdim=True) / trials.sum(-1, keepdim=True)).abs().max())


@pytest.mark.parametrize("name", KNOWN)
def test_bounds_are_the_distances_of_rates_from_those_of_all(name: str) -> None:
    rows = people()
    positive = torch.rand(rows.n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    by_cell = torch.zeros(6, dtype=torch.float64).index_add_(0, rows.group * 2 + rows.outcome.long(), rows.weights * positive)
    apart = _bounds(rows, (CONSTRAINTS[name],), torch.ones(3, dtype=torch.bool)) @ by_cell
    assert float(apart.abs().max()) == pytest.approx(farthest(rows, positive, name), abs=1e-12)
    missed = float(rows.weights @ rows.outcome / rows.weights.sum())
    assert missed + float(_costs(rows) @ by_cell) == pytest.approx(error(rows, positive), abs=1e-12)


def test_no_lottery_between_two_of_the_classifiers_that_keeps_the_tolerance_errs_less() -> None:
    """Every pair, at every share from 0 to 1 in steps of a thousandth."""
    rows, how, tolerance = people(), CONSTRAINTS["demographic_parity"], 0.05
    found, every = _Found(rows), torch.ones(3, dtype=torch.bool)
    costs, bounds = _costs(rows), _bounds(rows, (how,), every)
    for k in range(6):
        guess = costs + torch.tensor([0.0, 0.1 * k, -0.1 * k]).double() @ bounds
        found.learn(guess, guess, 0.0)
    best = found.best(costs, bounds, tolerance)
    errors, apart = (torch.stack([each @ p for p in found.positive]).double() for each in (costs, bounds))
    least = torch.inf
    for i, j in combinations(range(len(errors)), 2):
        share = torch.linspace(0, 1, 1_001, dtype=torch.float64)
        kept = (share[:, None] * apart[i] + (1 - share[:, None]) * apart[j]).abs().amax(1) <= tolerance / 2
        if kept.any():
            least = min(least, float((share * errors[i] + (1 - share) * errors[j])[kept].min()))
    assert float((best.shares @ apart).abs().max()) <= tolerance / 2 + 1e-9
    assert float(best.shares @ errors) <= least + 1e-12
    for shares, cost in zip(best.shares, errors + apart @ best.multipliers, strict=True):  # who serves costs least, who does not no less
        assert float(cost) == pytest.approx(best.value, abs=1e-9) if shares > 0 else float(cost) >= best.value - 1e-9


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("tolerance", [0.1, 0.02, 0.0])
def test_a_lottery_keeps_its_tolerance_in_expectation(name: str, tolerance: float) -> None:
    rows = people()
    trained = MITIGATIONS["lottery"].train(rows, asked(name, tolerance=tolerance))
    assert isinstance(trained.head, Mixed)
    positive = trained.head.expected(rows.features)
    assert farthest(rows, positive, name) <= tolerance / 2 + 1e-6
    assert trained.log[-2].violations[name] <= tolerance + 1e-6
    assert error(rows, positive) < float(rows.weights @ rows.outcome / rows.weights.sum()) - 0.02  # of deciding alike for everybody


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("tolerance", [0.1, 0.02])
def test_a_lottery_errs_no_more_than_fairlearns_and_keeps_the_tolerance_better(name: str, tolerance: float) -> None:
    """Both learn logistic regressions of the same costs: fairlearn stops at a gap in its multipliers, a linear program has none."""
    rows = people()
    rows = Rows(rows.features, rows.outcome, rows.group, 3, torch.ones(rows.n, dtype=torch.float64))
    head = MITIGATIONS["lottery"].train(rows, asked(name, tolerance=tolerance)).head
    assert isinstance(head, Mixed)
    own, theirs = (
        head.expected(rows.features),
        reduced(logistic_regression(), rows, asked(name, tolerance=tolerance)).expected(rows.features),
    )
    assert farthest(rows, own, name) <= farthest(rows, theirs, name) + 1e-6
    assert error(rows, own) <= error(rows, theirs) + 0.002


def test_a_path_keeps_each_tolerance_and_errs_more_as_they_fall() -> None:
    rows, tolerances = people(), (1.0, 0.2, 0.1, 0.05, 0.02, 0.0)
    trained = list(lottery_path(rows, asked("equalized_odds"), tolerances))
    positive = [each.head.expected(rows.features) for each in trained if isinstance(each.head, Mixed)]
    for tolerance, each in zip(tolerances, positive, strict=True):
        assert farthest(rows, each, "equalized_odds") <= tolerance / 2 + 1e-6
    errors = [error(rows, each) for each in positive]
    assert errors[0] == pytest.approx(error(rows, (trained[0].head.predict(rows.features) >= 0.5).double()))
    assert all(later >= earlier - 0.003 for earlier, later in pairwise(errors))  # more classifiers are known later


def test_several_constraints_are_kept_at_once() -> None:
    rows = people()
    head = MITIGATIONS["lottery"].train(rows, asked("demographic_parity", "equal_opportunity", tolerance=0.02)).head
    assert isinstance(head, Mixed)
    positive = head.expected(rows.features)
    assert max(farthest(rows, positive, name) for name in ("demographic_parity", "equal_opportunity")) <= 0.01 + 1e-6


def test_rows_of_a_group_that_takes_no_part_are_learned_from_and_bounded_by_nothing() -> None:
    rows = people(groups=2)
    group = rows.group.clone()
    group[:20] = 2
    trained = MITIGATIONS["lottery"].train(Rows(rows.features, rows.outcome, group, 3, rows.weights), asked("demographic_parity"))
    assert trained.held == (2,)
    assert isinstance(trained.head, Mixed)
    large = group < 2
    others = Rows(rows.features[large], rows.outcome[large], group[large], 2, rows.weights[large])
    assert farthest(others, trained.head.expected(others.features), "demographic_parity") <= 1e-6


def test_a_regression_of_costs_is_the_logistic_head_of_cheaper_labels_weighted_by_what_they_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the ridge, which stands on features standardised by the people's own weights; from wherever it starts."""
    monkeypatch.setattr("cfair.heads.logistic.RIDGE", 1e-9)
    monkeypatch.setattr("cfair.mitigations.descent.RIDGE", 1e-9)
    monkeypatch.setattr("cfair.mitigations.costed.RIDGE", 1e-9)
    rows = people()
    descent = Descent(rows)
    costed = Costed(descent.design, descent.start)
    for size in (0.02, 0.03):  # the second starts from the first
        cells = torch.tensor([1.0, -1.0, 1.2, -0.8, 0.9 - 40 * size, -1.1]).double()
        costs = cells[rows.group * 2 + rows.outcome.long()] * rows.weights
        found = descent.head(costed.least(costs, cells))
        expected = Logistic(2).fit([(rows.features, (costs < 0).double(), costs.abs())])
        torch.testing.assert_close(found.predict(rows.features), expected.predict(rows.features), rtol=1e-6, atol=1e-6)
