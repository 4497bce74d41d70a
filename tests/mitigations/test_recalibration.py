"""Recalibration against planted miscalibration, and against scikit-learn's maps."""

import numpy as np
import pytest
import torch
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from cfair.constraints import CONSTRAINTS
from cfair.constraints.calibration_error import calibration_error
from cfair.constraints.scores import bin_scores
from cfair.errors import QueryError
from cfair.heads.logistic import Logistic
from cfair.mitigations import MITIGATIONS, Asked, Rows, decided
from cfair.mitigations.recalibrated import Recalibrated
from cfair.mitigations.recalibration import platt

ASKED = Asked(constraints=(CONSTRAINTS["calibration"],))


def people(n: int, seed: int = 0, planted: float = 0.7) -> Rows:
    """Outcomes of group 1 have ``planted`` logits more than the features say."""
    source = torch.Generator().manual_seed(seed)
    group = torch.bernoulli(torch.full((n,), 0.3), generator=source).long()
    x = torch.randn(n, 2, generator=source, dtype=torch.float64)
    y = torch.bernoulli((x.sum(1) + planted * group - 0.5).sigmoid(), generator=source)
    return Rows(x, y, group, 2, torch.ones(n, dtype=torch.float64))


def test_errors_of_a_planted_offset_are_gone_on_other_rows() -> None:
    rows, others = people(20_000), people(50_000, seed=1)
    trained = MITIGATIONS["recalibration"].train(rows, ASKED)
    before = Logistic(2).fit([(rows.features, rows.outcome)]).predict(others.features)
    after = trained.head.predict(others.with_group())

    def errors(prediction: torch.Tensor) -> torch.Tensor:
        return calibration_error(bin_scores(others.outcome, prediction, others.group, 2)).value

    assert errors(before)[1] > 0.08
    assert errors(after).abs().max() < 0.2 * errors(before).max()


def test_an_unshrunken_platt_map_is_a_logistic_regression_on_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.mitigations.recalibration.SCATTER", 1e6)
    rows = people(1000)
    score = rows.features.sum(1) * 2
    found = platt(score, rows.outcome, rows.weights, torch.tensor([0.0, 1.0], dtype=torch.float64))
    other = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(score.numpy()[:, None], rows.outcome.numpy())
    assert found.tolist() == pytest.approx([other.intercept_[0], other.coef_[0, 0]], abs=1e-5)


def test_a_group_of_one_outcome_has_a_finite_map_near_the_pooled_one() -> None:
    towards = torch.tensor([0.2, 1.1], dtype=torch.float64)
    score = torch.linspace(-1, 1, 10, dtype=torch.float64)
    few, nobody = platt(score, torch.ones(10, dtype=torch.float64), torch.ones(10, dtype=torch.float64), towards), score[:0]
    assert few.isfinite().all()
    assert 0.2 < few[0] < 3.0
    torch.testing.assert_close(platt(nobody, nobody, nobody, towards), towards)


def test_where_an_isotonic_map_weighs_all_it_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.mitigations.recalibration.ISOTONIC", 0.0)
    rows, others = people(800), people(300, seed=2)
    head = MITIGATIONS["recalibration"].train(rows, ASKED).head
    base = Logistic(2).fit([(rows.features, rows.outcome)])
    predicted = head.predict(others.with_group()).numpy()
    for g in range(2):
        own, theirs = (rows.group == g), (others.group == g).numpy()
        line = IsotonicRegression(out_of_bounds="clip").fit(base.score(rows.features[own]).numpy(), rows.outcome[own].numpy())
        np.testing.assert_allclose(predicted[theirs], line.predict(base.score(others.features).numpy()[theirs]), atol=1e-12)


def test_predictions_are_never_0_or_1_and_grow_with_the_score_within_a_group() -> None:
    rows = people(500)
    head = MITIGATIONS["recalibration"].train(rows, ASKED).head
    assert isinstance(head, Recalibrated)
    along = torch.linspace(-6, 6, 200, dtype=torch.float64)
    for g in range(2):
        line = torch.stack([along * head.base.coefficients[0].sign(), torch.zeros_like(along), torch.full_like(along, g)], 1)
        prediction = head.predict(line)
        assert ((prediction > 0) & (prediction < 1)).all()
        assert (prediction.diff() > 0).all()


def test_maps_of_groups_that_hardly_scatter_are_the_pooled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cfair.mitigations.recalibration.SCATTER", 1e-4)
    monkeypatch.setattr("cfair.mitigations.recalibration.ISOTONIC", 1e12)
    rows = people(500)
    predicted = MITIGATIONS["recalibration"].train(rows, ASKED).head.predict(rows.with_group())
    base = Logistic(2).fit([(rows.features, rows.outcome)])  # of which the pooled map is none
    torch.testing.assert_close(predicted, base.predict(rows.features), rtol=0, atol=1e-4)


def test_a_group_held_has_the_pooled_map() -> None:
    rows = people(500)
    group = rows.group.clone()
    group[:15] = 2
    trained = MITIGATIONS["recalibration"].train(Rows(rows.features, rows.outcome, group, 3, rows.weights), ASKED)
    head = trained.head
    assert trained.held == (2,)
    assert isinstance(head, Recalibrated)
    assert head.share[2] == 0
    assert head.offset[2].abs() < 0.01  # the head's own probabilities are true of everybody together
    assert head.slope[2] == pytest.approx(1, abs=0.01)


def test_without_the_group_it_is_refused() -> None:
    with pytest.raises(QueryError, match="penalty"):
        MITIGATIONS["recalibration"].train(people(200), Asked(constraints=(CONSTRAINTS["calibration"],), reads_group=False))


@pytest.mark.slow
def test_of_a_score_0_7_logits_off_in_one_group_no_error_is_left_on_held_out_rows_of_five_splits() -> None:
    everybody, signed = people(25_000), []
    for seed in range(5):
        order = torch.randperm(everybody.n, generator=torch.Generator().manual_seed(seed))
        train, test = (
            Rows(everybody.features[some], everybody.outcome[some], everybody.group[some], 2, everybody.weights[some])
            for some in order.split(everybody.n * 4 // 5)
        )
        trained = MITIGATIONS["recalibration"].train(train, ASKED)
        assert trained.log[-1].violations["calibration"] < trained.log[0].violations["calibration"] / 5
        free = decided(Logistic(2).fit([(train.features, train.outcome)]).predict(train.features))
        decisions = decided(trained.head.predict(train.with_group()))
        assert (decisions == train.outcome).double().mean() >= (free == train.outcome).double().mean() - 0.03
        cells = train.cells(decisions).weight
        assert (cells[:, 1, 1] / cells[:, 1].sum(1)).min() > 0.2
        left = test.outcome - trained.head.predict(test.with_group())
        signed.append(torch.stack([left[test.group == g].mean() for g in range(2)]))
    errors = torch.stack(signed)
    scatter = errors.std(0) * (1 / 5 + 0.2 / 0.8) ** 0.5  # of splits that overlap (Nadeau & Bengio 2003)
    assert bool((errors.mean(0).abs() <= 2 * scatter).all()), (errors.mean(0), scatter)
