"""Laws of every mitigation in the registry, with every constraint."""

from functools import cache
from inspect import signature

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from cfair.constraints import CONSTRAINTS
from cfair.constraints.calibration_error import raw_error
from cfair.constraints.scores import bin_scores
from cfair.errors import QueryError
from cfair.heads.base import Head
from cfair.heads.logistic import Logistic
from cfair.mitigations import MITIGATIONS, Asked, Rows, Trained, decided

PAIRS = [(m, c) for m in MITIGATIONS for c in CONSTRAINTS if MITIGATIONS[m].refuses(CONSTRAINTS[c]) is None]
REFUSED = [(m, c) for m in MITIGATIONS for c in CONSTRAINTS if (m, c) not in PAIRS]

SLOW = {  # a second or so for each training
    *((m, c) for m in ("reduction", "grid_search", "adversarial", "gradient_reversal") for c in CONSTRAINTS),
    *(("lottery", c) for c in ("equal_opportunity", "equalized_odds")),
    *(("lagrangian", c) for c in ("equal_opportunity", "equalized_odds", "predictive_parity", "treatment_equality")),
}

of_pairs = pytest.mark.parametrize(
    ("name", "constraint"), [pytest.param(*pair, marks=[pytest.mark.slow] if pair in SLOW else []) for pair in PAIRS]
)


def people(n: int = 600, groups: int = 2, seed: int = 0) -> Rows:
    """Groups differ in a proxy, the first feature, and in the outcome beyond all features."""
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(groups, (n,), generator=source)
    x = torch.randn(n, 3, generator=source, dtype=torch.float64)
    x[:, 0] += 2.0 * (group == 1)
    score = 0.4 * x[:, 0] + x[:, 1] + x[:, 2] + 0.9 * (group == 1) - 1
    return Rows(x, torch.bernoulli(score.sigmoid(), generator=source), group, groups, torch.ones(n, dtype=torch.float64))


def asked(constraint: str, *, tolerance: float = 0.0, seed: int = 0) -> Asked:
    return Asked(constraints=(CONSTRAINTS[constraint],), strength=30.0, tolerance=tolerance, seed=seed)


def train(name: str, constraint: str, rows: Rows, *, tolerance: float = 0.0, seed: int = 0) -> Trained:
    return MITIGATIONS[name].train(rows, asked(constraint, tolerance=tolerance, seed=seed))


@cache
def usual(name: str, constraint: str) -> Trained:
    """Trained once on ``people()``."""
    return train(name, constraint, people())


def seen(rows: Rows, trained: Trained) -> Tensor:
    return rows.with_group() if trained.reads_group else rows.features


def violation(rows: Rows, prediction: Tensor, constraint: str) -> float:
    """Of hard decisions; of calibration the largest calibration error of a group."""
    if CONSTRAINTS[constraint].strata:
        return float(CONSTRAINTS[constraint].difference(rows.cells(decided(prediction)).weight))
    return float(raw_error(bin_scores(rows.outcome, prediction, rows.group, rows.groups, rows.weights)).max())


def fresh(head: Head) -> Head:
    """Another of its class, not fitted."""
    return type(head)(**{name: getattr(head, name) for name in signature(type(head)).parameters})


@of_pairs
def test_what_is_trained_violates_less_than_the_head_without_constraints(name: str, constraint: str) -> None:
    rows = people()
    before = violation(rows, Logistic(3).fit([(rows.features, rows.outcome)]).predict(rows.features), constraint)
    trained = usual(name, constraint)
    assert violation(rows, trained.head.predict(seen(rows, trained)), constraint) < before


@pytest.mark.parametrize(("name", "constraint"), REFUSED)
def test_a_pair_that_cannot_work_is_refused_with_the_reason(name: str, constraint: str) -> None:
    reason = MITIGATIONS[name].refuses(CONSTRAINTS[constraint])
    assert reason is not None
    assert constraint in reason
    with pytest.raises(QueryError, match="which"):
        train(name, constraint, people(50))


@of_pairs
def test_predictions_lie_between_0_and_1(name: str, constraint: str) -> None:
    rows = people()
    trained = usual(name, constraint)
    far = seen(rows, trained).clone()
    far[:, :3] *= 100.0
    for features in (seen(rows, trained), far):
        prediction = trained.head.predict(features)
        assert ((prediction >= 0) & (prediction <= 1)).all()


@of_pairs
def test_all_that_was_learned_is_in_the_buffers(name: str, constraint: str) -> None:
    rows = people()
    trained = usual(name, constraint)
    again = fresh(trained.head)
    again.load_state_dict(load(save(trained.head.state_dict())))
    assert torch.equal(again.predict(seen(rows, trained)), trained.head.predict(seen(rows, trained)))


@of_pairs
def test_a_person_is_predicted_the_same_bits_alone_as_among_others(name: str, constraint: str) -> None:
    rows = people()
    trained = usual(name, constraint)
    features = seen(rows, trained)
    together = trained.head.predict(features)
    alone = torch.stack([trained.head.predict(row) for row in features[:50]])
    assert torch.equal(decided(together[:50]), decided(alone))
    torch.testing.assert_close(together[:50], alone, rtol=1e-14, atol=1e-15)
    parted = trained.head.predict(features.reshape(3, -1, features.shape[1]))
    torch.testing.assert_close(parted.flatten(), together, rtol=1e-14, atol=1e-15)


@of_pairs
def test_the_same_seed_gives_the_same_bits_and_the_callers_generator_is_untouched(name: str, constraint: str) -> None:
    rows = people()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second = (train(name, constraint, rows, seed=3).head.state_dict() for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@of_pairs
def test_the_unit_of_weights_changes_no_decision(name: str, constraint: str) -> None:
    rows = people()
    scaled = Rows(rows.features, rows.outcome, rows.group, rows.groups, rows.weights * 8)
    here, there = usual(name, constraint), train(name, constraint, scaled)
    torch.testing.assert_close(there.head.predict(seen(rows, there)), here.head.predict(seen(rows, here)), rtol=1e-6, atol=1e-6)


@of_pairs
def test_people_of_weight_0_change_nothing(name: str, constraint: str) -> None:
    rows, others = people(), people(200, seed=5)
    joined = Rows(
        torch.cat([rows.features, 3 - others.features]),
        torch.cat([rows.outcome, others.outcome]),
        torch.cat([rows.group, others.group]),
        2,
        torch.cat([rows.weights, torch.zeros(200, dtype=torch.float64)]),
    )
    here, there = usual(name, constraint), train(name, constraint, joined)
    torch.testing.assert_close(there.head.predict(seen(rows, there)), here.head.predict(seen(rows, here)), rtol=1e-6, atol=1e-6)


@of_pairs
def test_a_person_of_weight_2_is_two_people(name: str, constraint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for what counts people: the ridge, and what shrinks a group's map; a contest amplifies rounding, and is cut short."""
    monkeypatch.setattr("cfair.mitigations.adversarial.MOST", 100)
    monkeypatch.setattr("cfair.heads.logistic.RIDGE", 1e-9)
    monkeypatch.setattr("cfair.mitigations.descent.RIDGE", 1e-9)
    monkeypatch.setattr("cfair.mitigations.recalibration.SCATTER", 1e4)
    monkeypatch.setattr("cfair.mitigations.recalibration.ISOTONIC", 1e-6)
    rows = people(400)
    often = 1 + torch.arange(400) % 2
    weighted = Rows(rows.features, rows.outcome, rows.group, 2, often.double())
    each = (column.repeat_interleave(often, 0) for column in (rows.features, rows.outcome, rows.group))
    repeated = Rows(*each, 2, torch.ones(int(often.sum()), dtype=torch.float64))
    here, there = (train(name, constraint, people, tolerance=0.03) for people in (weighted, repeated))
    torch.testing.assert_close(there.head.predict(seen(rows, there)), here.head.predict(seen(rows, here)), rtol=1e-4, atol=1e-4)


@of_pairs
def test_a_constant_attribute_gives_a_finite_head(name: str, constraint: str) -> None:
    rows = people()
    for groups in (1, 2):
        constant = Rows(rows.features, rows.outcome, torch.zeros_like(rows.group), groups, rows.weights)
        trained = train(name, constraint, constant)
        assert trained.head.predict(seen(constant, trained)).isfinite().all()


@of_pairs
def test_a_group_that_is_too_small_is_listed_and_changes_no_constraint_of_the_others(name: str, constraint: str) -> None:
    rows = people()
    group = rows.group.clone()
    group[:20] = 2
    small = Rows(rows.features, rows.outcome, group, 3, rows.weights)
    trained = train(name, constraint, small)
    assert trained.held == (2,)
    assert trained.head.predict(seen(small, trained)).isfinite().all()
    large = group < 2
    others = Rows(rows.features[large], rows.outcome[large], group[large], 2, rows.weights[large])
    before = violation(others, Logistic(3).fit([(rows.features, rows.outcome)]).predict(others.features), constraint)
    assert violation(others, trained.head.predict(seen(others, trained)), constraint) < before


@of_pairs
def test_where_features_say_nothing_and_a_group_is_of_nobody_the_head_is_finite(name: str, constraint: str) -> None:
    rows = people(200)
    blank = Rows(torch.ones(200, 2, dtype=torch.float64), rows.outcome, rows.group * 2, 4, rows.weights)
    everybody = Asked(constraints=(CONSTRAINTS[constraint],), min_group_size=0)
    trained = MITIGATIONS[name].train(blank, everybody)
    assert trained.head.predict(seen(blank, trained)).isfinite().all()


@of_pairs
def test_the_log_ends_with_what_the_training_rows_show(name: str, constraint: str) -> None:
    rows = people()
    trained = usual(name, constraint)
    assert len(trained.log) > 1
    assert set(trained.log[-1].violations) == {constraint}
    if name not in ("penalty", "lagrangian"):
        shown = violation(rows, trained.head.predict(seen(rows, trained)), constraint)
        assert trained.log[-1].violations[constraint] == pytest.approx(shown, abs=1e-12)
