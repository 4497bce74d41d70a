"""Heads trained against adversaries."""

import pytest
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS
from cfair.heads.logistic import Logistic
from cfair.mitigations import MITIGATIONS, Asked, Rows, Trained, decided
from cfair.mitigations.adversarial import direction
from cfair.mitigations.adversary import Adversary

BOTH = ["adversarial", "gradient_reversal"]
SERVED = ["demographic_parity", "equal_opportunity", "equalized_odds"]


def people(n: int = 3_000, groups: int = 3, seed: int = 0) -> Rows:
    """Groups with other base rates, and a feature that tells the group."""
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(groups, (n,), generator=source)
    skill = torch.randn(n, generator=source, dtype=torch.float64)
    told = group + torch.randn(n, generator=source, dtype=torch.float64)
    score = skill + 1.2 * (group - 1) - 0.3
    y = (torch.rand(n, generator=source, dtype=torch.float64) < score.sigmoid()).double()
    return Rows(torch.stack([skill, 100 * told], 1), y, group, groups, torch.ones(n, dtype=torch.float64))


def train(name: str, rows: Rows, *constraints: str, **how: float) -> Trained:
    asked = Asked(constraints=tuple(CONSTRAINTS[each] for each in constraints), **how)  # type: ignore[arg-type]
    return MITIGATIONS[name].train(rows, asked)


def difference(trained: Trained, rows: Rows, name: str) -> float:
    return float(CONSTRAINTS[name].difference(rows.cells(decided(trained.head.predict(rows.features))).weight))


def same(one: Trained, other: Trained) -> bool:
    return torch.equal(one.head.coefficients, other.head.coefficients)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("constraint", SERVED)
def test_violations_on_other_rows_fall_to_a_third(name: str, constraint: str) -> None:
    rows, others = people(1_500), people(20_000, seed=1)
    free, trained = train(name, rows, constraint, strength=0.0), train(name, rows, constraint, strength=30.0)
    before, after = difference(free, others, constraint), difference(trained, others, constraint)
    assert before > 0.2
    assert after < before / 3
    correct = (decided(trained.head.predict(others.features)) == others.outcome).double().mean()
    assert float(correct) > max(float(others.outcome.mean()), 1 - float(others.outcome.mean())) + 0.05


@pytest.mark.slow
def test_violations_fall_as_a_reversed_gradient_weighs_more() -> None:
    rows = people()
    path = [difference(train("gradient_reversal", rows, "demographic_parity", strength=s), rows, "demographic_parity") for s in (0, 1, 30)]
    assert path == sorted(path, reverse=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_several_constraints_have_an_adversary_each(name: str) -> None:
    trained = train(name, people(1_000), "demographic_parity", "equal_opportunity", strength=30.0)
    free = trained.log[0].violations
    assert all(trained.log[-1].violations[each] < free[each] / 2 for each in free)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_different_seeds_give_different_heads_and_the_callers_generator_is_untouched(name: str) -> None:
    rows = people(500)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, again, other = (train(name, rows, "demographic_parity", strength=10.0, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert same(one, again)
    assert not same(one, other)


def test_different_seeds_give_different_adversaries() -> None:
    rows = people(100)
    scores, everybody = rows.features[:, 0], torch.arange(100)
    losses = [
        float(
            Adversary(rows, CONSTRAINTS["equalized_odds"], part=torch.ones(3).bool(), scores=scores, source=source).loss(scores, everybody)
        )
        for source in (torch.Generator().manual_seed(seed) for seed in (0, 0, 1))
    ]
    assert losses[0] == losses[1] != losses[2]


def test_the_projection_takes_off_what_lies_along_the_adversarys_gradient_and_nothing_else() -> None:
    source = torch.Generator().manual_seed(0)
    own, theirs = torch.randn(2, 5, generator=source, dtype=torch.float64)
    kept = direction(own, theirs, 0.0, project=True)
    assert float(kept @ theirs) == pytest.approx(0, abs=1e-14)
    torch.testing.assert_close(own - kept, (own @ theirs) / (theirs @ theirs) * theirs)
    torch.testing.assert_close(direction(own, theirs, 2.0, project=True), kept - 2 * theirs)
    torch.testing.assert_close(direction(own, theirs, 2.0, project=False), own - 2 * theirs)


@pytest.mark.parametrize("project", [True, False])
def test_a_dead_adversary_leaves_the_gradient_of_the_loss(project: bool) -> None:
    own = torch.tensor([1.0, -2.0], dtype=torch.float64)
    for size in (0.0, 1e-300):
        assert torch.equal(direction(own, torch.full_like(own, size), 30.0, project=project), own)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_against_a_dead_adversary_the_head_stays_the_one_without_constraints(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = people(500)
    alive = Adversary._slopes

    def dead(self: Adversary, seen: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
        by_learned, by_scores = alive(self, seen, some)
        return 0 * by_learned, 0 * by_scores

    monkeypatch.setattr(Adversary, "_slopes", dead)
    trained = train(name, rows, "equalized_odds", strength=30.0)
    own = Logistic(2).fit([(rows.features, rows.outcome)])
    torch.testing.assert_close(trained.head.predict(rows.features), own.predict(rows.features), rtol=0, atol=1e-9)


def test_an_adversary_learns_what_scores_tell_of_groups_and_no_more() -> None:
    rows = people(2_000, groups=2)
    everybody, part = torch.arange(2_000), torch.ones(2, dtype=torch.bool)
    for scores, least, most in ((rows.group.double(), 0.0, 0.05), (rows.features[:, 0], 0.68, 0.6932)):
        source = torch.Generator().manual_seed(0)
        adversary = Adversary(rows, CONSTRAINTS["demographic_parity"], part=part, scores=scores, source=source)
        adversary.learn(scores, everybody, steps=300, share=1.0)
        assert least <= float(adversary.loss(scores, everybody)) <= most  # log 2 = 0.6931 where nothing is told


def test_an_adversarys_slopes_are_those_of_its_loss() -> None:
    rows, some = people(60), torch.arange(60).flip(0)[:40]
    scores = rows.features[:, 0]
    source = torch.Generator().manual_seed(0)
    adversary = Adversary(rows, CONSTRAINTS["equalized_odds"], part=torch.ones(3).bool(), scores=scores, source=source)
    adversary.learn(scores, torch.arange(60), steps=20, share=1.0)
    own, given = adversary._slopes(adversary._seen(scores[some], some), some), scores[some].clone().requires_grad_()
    adversary._learned.requires_grad_()
    for slope, expected in zip(own, torch.autograd.grad(adversary.loss(given, some), (adversary._learned, given)), strict=True):
        torch.testing.assert_close(slope, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", BOTH)
def test_groups_and_rows_that_take_no_part_do_not_move_the_adversary(name: str) -> None:
    rows = people(900)
    group = torch.where(torch.arange(900) < 10, 2, rows.group.clamp(max=1))
    few = Rows(rows.features, rows.outcome, group, 3, rows.weights)
    assert train(name, few, "demographic_parity", strength=10.0).held == (2,)
    weights = Adversary(
        few, CONSTRAINTS["equal_opportunity"], part=torch.tensor([True, True, False]), scores=few.features[:, 0], source=torch.Generator()
    )
    slope = weights.learn(few.features[:, 0], torch.arange(900), steps=1, share=1.0)
    outside = (group == 2) | (few.outcome == 0)
    assert torch.equal(slope[outside], torch.zeros(int(outside.sum()), dtype=torch.float64))
    assert bool((slope[~outside] != 0).all())


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_the_head_chosen_is_the_best_of_the_looks_at_held_out_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.mitigations.adversarial.FROM", 3_000)
    trained = train(name, people(), "demographic_parity", strength=1.0)
    looks, last = trained.log[1:-1], trained.log[-1]
    assert all("held-out rows" in each.what for each in looks)
    assert [each.steps for each in looks] == [25 * k for k in range(len(looks))]
    assert last.steps in {each.steps for each in looks}
    assert last.what == f"chosen: {looks[last.steps // 25].what}"
    violation = [each.violations["demographic_parity"] for each in looks]
    worth = [each.loss + v**2 / 2 for each, v in zip(looks, violation, strict=True)]  # Σ_g c_g² of three groups is v²/2 at least
    assert looks[last.steps // 25].loss <= min(
        each.loss + 2 / 3 * v**2 for each, v in zip(looks, violation, strict=True)
    )  # and 2v²/3 at most
    assert worth[last.steps // 25] <= min(each.loss + 2 / 3 * v**2 for each, v in zip(looks, violation, strict=True))
    assert len(looks) == last.steps // 25 + 7 or not last.converged


@pytest.mark.slow
def test_more_rows_than_a_batch_are_learned_from_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.mitigations.adversarial.BATCH", 256)
    rows = people(1_500)
    trained = train("adversarial", rows, "equal_opportunity", strength=30.0)
    assert trained.log[-1].violations["equal_opportunity"] < trained.log[0].violations["equal_opportunity"] / 3
    monkeypatch.setattr("cfair.mitigations.adversarial.BATCH", 2_048)
    assert not same(trained, train("adversarial", rows, "equal_opportunity", strength=30.0))


def test_rows_are_not_held_out_where_a_group_would_be_left_without_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.mitigations.adversarial.FROM", 100)
    rows = people(400, groups=2)
    few = (rows.group == 0).nonzero().flatten()
    rows.outcome[few] = 0.0
    rows.outcome[few[0]] = 1.0  # nobody else of group 0: who is held out cannot be learned from
    trained = train("adversarial", rows, "equal_opportunity", strength=10.0)
    assert all(each.what == f"step {each.steps}" for each in trained.log[1:-1])
    assert trained.head.predict(rows.features).isfinite().all()
