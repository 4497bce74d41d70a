"""Constraints trained into multilayer perceptrons, and into whatever reads weights."""

from functools import cache, partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS
from cfair.errors import QueryError
from cfair.heads.base import Head
from cfair.heads.boosted import Boosted
from cfair.heads.logistic import Logistic
from cfair.heads.mlp import MLP
from cfair.mitigations import MITIGATIONS, Asked, Rows, Trained, decided
from cfair.mitigations.network import NetworkDescent
from cfair.mitigations.soft import Charge, Violations
from cfair.pipeline import Options, fit
from cfair.store import load, save

from school import people as pupils
from school import school


def people(n: int = 1_000, seed: int = 0) -> Rows:
    """Two groups that differ in a proxy and in the outcome, which no line tells."""
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(2, (n,), generator=source)
    x = torch.randn(n, 3, generator=source, dtype=torch.float64)
    x[:, 0] += 1.5 * (group == 1)
    score = 2 * (x[:, 1] * x[:, 2]).sign() + 0.8 * x[:, 0] - 0.6
    return Rows(x, torch.bernoulli(score.sigmoid(), generator=source), group, 2, torch.ones(n, dtype=torch.float64))


def asked(name: str, head: type[Head] = MLP, **how: float) -> Asked:
    return Asked(constraints=(CONSTRAINTS[name],), head=head, **how)  # type: ignore[arg-type]


@cache
def plain() -> MLP:
    rows = people()
    return MLP(3).fit([(rows.features, rows.outcome, rows.weights)])


def violation(rows: Rows, prediction: Tensor, name: str) -> float:
    return float(CONSTRAINTS[name].difference(rows.cells(decided(prediction)).weight))


def weighed(strength: float, apart: Tensor) -> Tensor:
    return strength * apart.square().sum()


@cache
def penalised(seed: int = 0) -> Trained:
    return MITIGATIONS["penalty"].train(people(), asked("demographic_parity", strength=30.0, seed=seed))


def test_a_penalty_takes_most_of_a_violation_and_what_no_line_tells_stays_learned() -> None:
    rows, trained = people(), penalised()
    assert isinstance(trained.head, MLP)
    before = violation(rows, plain().predict(rows.features), "demographic_parity")
    assert violation(rows, trained.head.predict(rows.features), "demographic_parity") < before / 4
    line = MITIGATIONS["penalty"].train(rows, asked("demographic_parity", Logistic, strength=30.0)).head
    found, straight = ((decided(head.predict(rows.features)) == rows.outcome).double().mean() for head in (trained.head, line))
    assert found > straight + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demographic_parity", "equalized_odds", "predictive_parity"])
def test_a_lagrangian_keeps_its_tolerance_in_hard_decisions_of_all_rows(name: str) -> None:
    rows = people(3_000)
    head = MLP(3).fit([(rows.features, rows.outcome, rows.weights)])
    before, tolerance = violation(rows, head.predict(rows.features), name), 0.01
    trained = MITIGATIONS["lagrangian"].train(rows, asked(name, tolerance=tolerance))
    assert before > 3 * tolerance
    assert violation(rows, trained.head.predict(rows.features), name) <= tolerance + 0.005


def test_the_log_tells_of_rows_held_out() -> None:
    first, *_, last = penalised().log
    assert first.held_out_loss is not None
    assert last.held_out_loss is not None
    assert last.held_out_violations is not None
    assert last.held_out_violations.keys() == {"demographic_parity"}
    rows = NetworkDescent(people(), 0).held_out
    assert rows is not None
    assert rows.n == 200
    p = penalised().head.predict(rows.features)
    assert last.held_out_loss == pytest.approx(torch.nn.functional.binary_cross_entropy(p, rows.outcome).item(), rel=1e-9)
    assert last.held_out_violations["demographic_parity"] == pytest.approx(violation(rows, p, "demographic_parity"), abs=1e-12)
    logistic = MITIGATIONS["penalty"].train(people(), asked("demographic_parity", Logistic))
    assert logistic.log[-1].held_out_loss is None  # all rows are learned from


def test_without_strength_it_is_the_head_without_constraints() -> None:
    trained = MITIGATIONS["penalty"].train(people(), asked("demographic_parity", strength=0.0))
    features = people().features
    torch.testing.assert_close(trained.head.predict(features), plain().predict(features), rtol=0, atol=1e-12)


def test_the_same_seed_gives_the_same_bits_another_another_net_and_the_callers_generator_is_untouched() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    again = MITIGATIONS["penalty"].train(people(), asked("demographic_parity", strength=30.0)).head.state_dict()
    assert torch.equal(before, torch.get_rng_state())
    first, other = penalised().head.state_dict(), penalised(seed=1).head.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["outer"], other["outer"])


def test_people_of_weight_0_change_nothing() -> None:
    rows, others = people(), people(200, seed=5)
    joined = Rows(
        *(torch.cat([getattr(rows, name), getattr(others, name)]) for name in ("features", "outcome", "group")),
        2,
        torch.cat([rows.weights, 0 * others.weights]),
    )
    there = MITIGATIONS["penalty"].train(joined, asked("demographic_parity", strength=30.0))
    torch.testing.assert_close(there.head.predict(rows.features), penalised().head.predict(rows.features), rtol=1e-6, atol=1e-6)


def test_a_constant_attribute_gives_the_head_without_constraints() -> None:
    rows = people()
    constant = Rows(rows.features, rows.outcome, 0 * rows.group, 1, rows.weights)
    for name in ("penalty", "lagrangian"):
        trained = MITIGATIONS[name].train(constant, asked("demographic_parity", strength=30.0))
        torch.testing.assert_close(trained.head.predict(rows.features), plain().predict(rows.features), rtol=0, atol=1e-12)


def test_a_descent_never_ends_above_where_it_began_on_the_rows_that_judge_it() -> None:
    rows = people(400)
    learner = NetworkDescent(rows, 3)
    violations = Violations(rows, (CONSTRAINTS["demographic_parity"],), torch.ones(2, dtype=torch.bool), learner.scores(learner.start))
    charge = Charge(violations, 1.0, partial(weighed, 30.0))
    reached = learner.least(charge, learner.start)
    shown = learner.held_out
    assert shown is not None

    def judged(theta: Tensor) -> float:
        p = learner.head(theta).predict(shown.features)
        return float(torch.nn.functional.binary_cross_entropy(p, shown.outcome) + charge(learner.scores(theta)))

    assert judged(reached.theta) < judged(learner.start)
    assert reached.steps > 0


@pytest.mark.parametrize("head", [MLP, Boosted])
def test_any_head_that_learns_from_weights_is_reweighed(head: type[Head]) -> None:
    rows = people(600)
    trained = MITIGATIONS["reweighing"].train(rows, asked("demographic_parity", head))
    assert isinstance(trained.head, head)
    assert trained.log[-1].violations["demographic_parity"] < trained.log[0].violations["demographic_parity"]


@pytest.mark.slow
def test_a_run_of_constrained_perceptrons_is_kept_and_read_back_bit_for_bit(tmp_path: Path) -> None:
    scm, columns = pupils(school("bernoulli"), 400)
    options = Options(
        predictors=("unaware",), head="mlp", uncertainty="none", draws=3, min_group_size=20, constraints=("demographic_parity",),
        mitigations=("penalty", "reweighing", "threshold"), strength=30.0,
    )  # fmt: skip
    run = fit(scm.spec, columns, options)
    save(run, tmp_path / "run")
    again = load(tmp_path / "run")
    for name, predictor in run.predictors.items():
        assert torch.equal(predictor.deploy(columns, columns.n), again.predictors[name].deploy(columns, columns.n))


def test_a_mitigation_that_cannot_train_a_perceptron_says_so_before_any_work() -> None:
    scm, columns = pupils(school("bernoulli"), 60)
    for name in ("adversarial", "lottery", "grid_search"):
        with pytest.raises(QueryError, match=f"'{name}' trains heads of the kind logistic, and not 'mlp'"):
            fit(scm.spec, columns, Options(head="mlp", constraints=("demographic_parity",), mitigations=(name,)))
