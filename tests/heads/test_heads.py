"""Heads against numpy and scikit-learn, and the choice between them."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from cfair.errors import FitError, QueryError
from cfair.families import Kind
from cfair.heads import HEADS, head_for
from cfair.heads.boosted import Boosted
from cfair.heads.boosted_levels import BoostedLevels
from cfair.heads.linear import Linear
from cfair.heads.logistic import Logistic
from cfair.heads.mlp import MLP
from cfair.heads.multinomial import Multinomial

SOURCE = torch.Generator().manual_seed(0)
X = torch.randn(500, 3, generator=SOURCE, dtype=torch.float64) * torch.tensor([1.0, 50.0, 0.01]) + torch.tensor([0.0, 1000.0, 1.0])
Z = (X - X.mean(0)) / X.std(0, correction=0)
Y = Z @ torch.tensor([1.0, -2.0, 0.5]).double() + torch.randn(500, generator=SOURCE, dtype=torch.float64)
EVENT = torch.bernoulli(Y.sigmoid(), generator=SOURCE)
LEVEL = torch.multinomial(torch.stack([Y, -Y, Z[:, 0], 0 * Y], -1).softmax(-1), 1, generator=SOURCE).squeeze(-1).double()


def batches(x: Tensor, y: Tensor, m: int = 64) -> list[tuple[Tensor, Tensor]]:
    return list(zip(x.split(m), y.split(m), strict=True))


def test_linear_is_numpys_least_squares() -> None:
    design = np.column_stack([np.ones(500), X.numpy()])
    expected = np.linalg.lstsq(design, Y.numpy())[0]
    head = Linear(3).fit(batches(X, Y))
    assert [head.intercept.item(), *head.coefficients.tolist()] == pytest.approx(expected.tolist(), rel=1e-10)


def test_linear_keeps_its_digits_where_features_are_nearly_collinear() -> None:
    """Singular values 1e-7 apart: sums of squares would leave no right digit of the difference, the triangular factor leaves eight."""
    near = torch.stack([Z[:, 0], Z[:, 0] + 1e-7 * Z[:, 1]], -1)
    head = Linear(2).fit(batches(near, near @ torch.tensor([3.0, -2.0]).double()))
    torch.testing.assert_close(head.coefficients, torch.tensor([3.0, -2.0]).double(), rtol=1e-7, atol=0)


def test_linear_takes_the_weights_of_least_norm_where_features_repeat() -> None:
    head = Linear(2).fit(batches(Z[:, :1].expand(500, 2), Y))
    once = Linear(1).fit(batches(Z[:, :1], Y))
    torch.testing.assert_close(head.coefficients, once.coefficients.expand(2) / 2)


def test_linear_with_fewer_rows_than_features_meets_every_row() -> None:
    head = Linear(3).fit([(X[:2], Y[:2])])
    torch.testing.assert_close(head.predict(X[:2]), Y[:2])


def test_linear_of_a_constant_outcome_is_that_constant() -> None:
    head = Linear(3).fit(batches(X, torch.full_like(Y, 0.1)))
    torch.testing.assert_close(head.predict(X), torch.full_like(Y, 0.1))


def test_linear_residuals_are_orthogonal_to_the_features() -> None:
    residual = Y - Linear(3).fit(batches(X, Y)).predict(X)
    assert (Z.T @ residual).abs().max() < 1e-9


def test_logistic_is_scikit_learns_at_the_same_ridge() -> None:
    expected = LogisticRegression(C=100, tol=1e-12, max_iter=1000, solver="newton-cholesky").fit(Z, EVENT)
    head = Logistic(3).fit(batches(X, EVENT))
    probability = torch.from_numpy(expected.predict_proba(Z)[:, 1])
    torch.testing.assert_close(head.predict(X), probability, rtol=1e-8, atol=1e-8)
    standardised = head.coefficients * X.std(0, correction=0)
    assert standardised.tolist() == pytest.approx(expected.coef_[0].tolist(), rel=1e-7)


def test_logistic_scores_are_orthogonal_to_the_features_but_for_the_ridge() -> None:
    head = Logistic(3).fit(batches(X, EVENT))
    pull = 0.01 * head.coefficients * X.std(0, correction=0)
    torch.testing.assert_close(Z.T @ (EVENT - head.predict(X)), pull, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_logistic_of_separable_outcomes_stays_finite(scale: float) -> None:
    event = (Z[:, 0] > 0.3).double()
    head = Logistic(3).fit(batches(X * scale, event))
    assert head.coefficients.isfinite().all()
    assert ((head.predict(X * scale) > 0.5) == event).double().mean() > 0.98  # the ridge may move the border past a few near it


def test_logistic_with_one_event_in_many_is_finite() -> None:
    event = torch.zeros(500, dtype=torch.float64)
    event[Z[:, 1].argmax()] = 1
    head = Logistic(3).fit(batches(X, event))
    torch.testing.assert_close(head.predict(X).sum(), torch.ones(()).double(), rtol=1e-8, atol=0)


def test_logistic_refuses_outcomes_that_are_all_the_same() -> None:
    with pytest.raises(FitError, match="all 500 outcomes to learn from are 1"):
        Logistic(3).fit(batches(X, torch.ones_like(EVENT)))


@pytest.mark.parametrize(("kind", "head"), [("real", Linear), ("count", Linear), ("binary", Logistic)])
def test_auto_is_linear_for_numbers_and_logistic_for_two_levels(kind: Kind, head: type) -> None:
    assert head_for(kind) is head


@pytest.mark.parametrize("kind", ["category", "ordinal"])
def test_an_outcome_of_several_levels_has_heads_of_its_own(kind: Kind) -> None:
    assert head_for(kind) is Multinomial
    assert head_for(kind, "boosted") is BoostedLevels


def test_multinomial_is_scikit_learns_at_the_same_ridge() -> None:
    """Whose penalty is 1/2 sum (w_c - mean w)^2 / C, as all that it leaves open is a common shift."""
    expected = LogisticRegression(C=50, tol=1e-12, max_iter=5000, solver="lbfgs").fit(Z, LEVEL)
    head = Multinomial(3, 4).fit(batches(X, LEVEL))
    torch.testing.assert_close(head.predict(X), torch.from_numpy(expected.predict_proba(Z)), rtol=0, atol=1e-5)
    apart = head.coefficients * X.std(0, correction=0)
    np.testing.assert_allclose(apart - apart.mean(0), expected.coef_, rtol=0, atol=1e-4)


def test_multinomial_scores_are_orthogonal_to_the_features_but_for_the_ridge() -> None:
    head = Multinomial(3, 4).fit(batches(X, LEVEL))
    standardised = head.coefficients * X.std(0, correction=0)
    pull = 2 * 0.01 * (standardised - standardised.mean(0))
    left = torch.nn.functional.one_hot(LEVEL.long(), 4).double() - head.predict(X)
    torch.testing.assert_close(left.T @ Z, pull, rtol=1e-6, atol=1e-9)


def test_multinomial_of_two_levels_is_logistic() -> None:
    one, two = Logistic(3).fit(batches(X, EVENT)), Multinomial(3, 2).fit(batches(X, EVENT))
    torch.testing.assert_close(two.predict(X)[:, 1], one.predict(X), rtol=0, atol=1e-12)
    torch.testing.assert_close(two.coefficients[1], one.coefficients, rtol=1e-9, atol=0)


def test_multinomial_finds_the_coefficients_that_made_the_levels() -> None:
    """Within standard errors from the information of the truth itself."""
    n, truth = 40_000, torch.tensor([[0.0, 0.0, 0.0], [0.4, 1.0, -0.5], [-0.3, 0.2, 0.8]]).double()
    source = torch.Generator().manual_seed(7)
    x = torch.randn(n, 2, generator=source, dtype=torch.float64)
    design = torch.cat([torch.ones(n, 1), x], -1).double()
    p = (design @ truth.T).softmax(-1)
    y = torch.multinomial(p, 1, generator=source).squeeze(-1).double()
    head = Multinomial(2, 3).fit(batches(x, y, 5_000))
    spread = torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)
    information = torch.einsum("ia,icd,ib->cadb", design, spread[:, 1:, 1:], design).reshape(6, 6)
    error = information.inverse().diagonal().sqrt().reshape(2, 3)
    found = torch.cat([head.intercept[1:, None], head.coefficients[1:]], -1)
    assert ((found - truth[1:]).abs() <= 5 * error).all()
    assert (head.predict(x) - p).abs().max() < 0.05


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_multinomial_of_separable_levels_stays_finite(scale: float) -> None:
    level = (Z[:, 0] > 0.5).double() + (Z[:, 0] > -0.5).double()
    head = Multinomial(3, 3).fit(batches(X * scale, level))
    assert head.coefficients.isfinite().all()
    assert (head.predict(X * scale).argmax(-1) == level).double().mean() > 0.96  # the ridge may move the borders past a few near them


def test_the_trees_of_boosted_levels_are_those_of_scikit_learn() -> None:
    for y, levels in ((LEVEL, 4), (torch.where(LEVEL > 1, 1.0, 0.0).double(), 2), (LEVEL.clamp(max=2) * 2, 5)):
        learned = HistGradientBoostingClassifier(categorical_features=None, early_stopping=False).fit(X.numpy(), y.numpy())
        head = BoostedLevels(3, levels)
        head.intercept.copy_(head.hold(learned))
        new = X + torch.randn(X.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * X.std(0)
        expected = torch.zeros(500, levels, dtype=torch.float64)
        expected[:, learned.classes_.astype(int)] = torch.from_numpy(learned.predict_proba(new.numpy()))
        torch.testing.assert_close(head.predict(new), expected, rtol=1e-12, atol=1e-12)


def test_boosted_levels_learn_what_no_line_can_tell() -> None:
    z = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = (z[:, 0] * z[:, 1] > 0).double() + (z.square().sum(-1) > 3).double()
    head = BoostedLevels(2, 3).fit(batches(z[:2000], y[:2000]))
    assert (head.predict(z[2000:]).argmax(-1) == y[2000:]).double().mean() > 0.93


@pytest.mark.parametrize(
    ("kind", "name", "mend"),
    [
        ("real", "logistic", "Use 'linear'"),
        ("binary", "linear", "Use 'logistic'"),
        ("binary", "multinomial", "Use 'logistic'"),
        ("category", "logistic", "Use 'multinomial'"),
        ("real", "boosted_levels", "Use 'linear'"),
    ],
)
def test_a_head_that_does_not_suit_the_outcome_is_refused(kind: Kind, name: str, mend: str) -> None:
    with pytest.raises(QueryError, match=mend):
        head_for(kind, name)


def test_a_misspelt_head_is_answered_with_the_nearest() -> None:
    with pytest.raises(QueryError, match="Did you mean 'logistic'"):
        head_for("binary", "logistc")


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_has_not_been_fitted_says_so(name: str) -> None:
    with pytest.raises(QueryError, match="Call fit first"):
        HEADS[name](2).predict(torch.zeros(3, 2, dtype=torch.float64))


@pytest.mark.parametrize("levels", [False, True])
def test_the_trees_of_boosted_are_those_of_scikit_learn(levels: bool) -> None:
    y = EVENT if levels else Y
    estimator = HistGradientBoostingClassifier if levels else HistGradientBoostingRegressor
    learned = estimator(categorical_features=None, early_stopping=False).fit(X.numpy(), y.numpy())
    head = Boosted(3)
    head.intercept.copy_(head.hold(learned))
    head.binary.fill_(levels)
    new = X + torch.randn(X.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * X.std(0)
    expected = learned.predict_proba(new.numpy())[:, 1] if levels else learned.predict(new.numpy())
    torch.testing.assert_close(head.predict(new), torch.from_numpy(expected), rtol=1e-12, atol=1e-12)


def test_boosted_learns_what_no_line_can_tell() -> None:
    z = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = (z[:, 0] * z[:, 1] > 0).double()
    head = Boosted(2).fit(batches(z[:2000], y[:2000]))
    assert ((head.predict(z[2000:]) > 0.5) == y[2000:].bool()).double().mean() > 0.95


def test_boosted_refuses_levels_that_are_all_the_same() -> None:
    with pytest.raises(FitError, match="all 500 outcomes to learn from are 1"):
        Boosted(3).fit(batches(X, torch.ones_like(EVENT)))


def test_values_that_differ_by_rounding_fall_on_one_side_of_a_boosted_threshold() -> None:
    x = torch.randint(0, 400, (4_000, 1), generator=torch.Generator().manual_seed(1)).double() / 7 - 20
    y = x.squeeze(1).sin() + 0.1 * torch.randn(4_000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    head = Boosted(1).fit(batches(x, y))
    for off in (-1e-13, 1e-13):
        assert torch.equal(head.predict(x + off), head.predict(x))


def network(inputs: int, head: MLP, x: Tensor) -> Tensor:
    """The s of an MLP by torch's own layers."""
    layers = torch.nn.Sequential(
        torch.nn.Linear(inputs, 32), torch.nn.SiLU(), torch.nn.Linear(32, 32), torch.nn.SiLU(), torch.nn.Linear(32, 1, bias=False)
    ).double()
    own = (head.first.T, head.first_bias, head.second.T, head.second_bias, head.outer[None])
    for parameter, value in zip(layers.parameters(), own, strict=True):
        parameter.data = value
    z = (x - head.center) / head.scale
    found: Tensor = layers(z).squeeze(-1).detach() + z @ head.linear + head.intercept
    return found


@pytest.mark.parametrize("levels", [False, True])
def test_an_mlp_is_a_linear_part_and_torchs_layers_beside_it(levels: bool) -> None:
    head = MLP(3).fit(batches(X, EVENT if levels else Y))
    s = network(3, head, X)
    assert head.outer.abs().max() > 0
    expected = s.sigmoid() if levels else Y.mean() + Y.std(correction=0) * s
    torch.testing.assert_close(head.predict(X), expected, rtol=1e-10, atol=1e-10)


def test_an_mlp_learns_what_no_line_can_tell() -> None:
    z = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = (z[:, 0] * z[:, 1] > 0).double()
    head = MLP(2).fit(batches(z[:2000], y[:2000]))
    assert ((head.predict(z[2000:]) > 0.5) == y[2000:].bool()).double().mean() > 0.95
    curved = z[:, 0].square() + z[:, 1].abs()
    numbers = MLP(2).fit(batches(z[:2000], curved[:2000]))
    assert (numbers.predict(z[2000:]) - curved[2000:]).square().mean() < 0.05 * curved.var()


def test_an_mlp_of_what_a_line_tells_predicts_new_rows_about_as_well_as_the_line() -> None:
    source = torch.Generator().manual_seed(3)
    z = torch.randn(4000, 3, generator=source, dtype=torch.float64)
    y = torch.bernoulli((z @ torch.tensor([1.0, -0.5, 0.2]).double()).sigmoid(), generator=source)
    losses = [
        torch.nn.functional.binary_cross_entropy(head(3).fit(batches(z[:2000], y[:2000])).predict(z[2000:]), y[2000:]).item()
        for head in (Logistic, MLP)
    ]
    assert losses[1] < losses[0] + 0.01


def test_an_mlp_of_few_rows_is_the_line_alone() -> None:
    few = MLP(3).fit([(X[:19], Y[:19])])
    torch.testing.assert_close(few.predict(X), Linear(3).fit([(X[:19], Y[:19])]).predict(X), rtol=1e-5, atol=1e-5)
    assert (few.outer == 0).all()


def test_an_mlp_refuses_levels_that_are_all_the_same() -> None:
    with pytest.raises(FitError, match="all 500 outcomes to learn from are 1"):
        MLP(3).fit(batches(X, torch.ones_like(EVENT)))
