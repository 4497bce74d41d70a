"""Laws of every head in the registry."""

import pytest
import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.heads import HEADS
from cfair.heads.base import Head, LinearHead
from cfair.heads.multinomial import Multinomial

LEVELS = 3  # of the outcome of a head of several


def of_levels(name: str) -> bool:
    """Whether it gives a probability per level."""
    return "category" in HEADS[name].kinds


of_several_levels = pytest.mark.parametrize("name", [name for name in HEADS if of_levels(name)])


def made(name: str, inputs: int = 4) -> Head:
    return HEADS[name](inputs, LEVELS if of_levels(name) else 2)


def mean_outcome(name: str, y: Tensor) -> Tensor:
    """What predictions are to average to: the mean outcome, or the share of each level."""
    return torch.nn.functional.one_hot(y.long(), LEVELS).double().mean(0) if of_levels(name) else y.mean()


def people(name: str, n: int = 300, k: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features (n, k) on different scales, and an outcome that suits the head."""
    source = torch.Generator().manual_seed(seed)
    z = torch.randn(n, k, generator=source, dtype=torch.float64)
    x, score = z * 10.0 ** torch.arange(k) + 3, z.sum(-1)
    if of_levels(name):
        scores = torch.stack([torch.zeros_like(score), score, z[:, 0] - score / 2], -1)
        return x, torch.multinomial(scores.softmax(-1), 1, generator=source).squeeze(-1).double()
    if "binary" in HEADS[name].kinds:
        return x, torch.bernoulli(score.sigmoid(), generator=source)
    return x, score + torch.randn(n, generator=source, dtype=torch.float64)


@pytest.mark.parametrize("name", HEADS)
def test_how_rows_are_batched_changes_nothing(name: str) -> None:
    x, y = people(name)
    whole = made(name).fit([(x, y)])
    parts = made(name).fit(list(zip(x.split(7), y.split(7), strict=True)))
    torch.testing.assert_close(whole.predict(x), parts.predict(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", HEADS)
def test_order_of_rows_changes_nothing(name: str) -> None:
    x, y = people(name)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(made(name).fit([(x, y)]).predict(x), made(name).fit([(x[order], y[order])]).predict(x))


@pytest.mark.parametrize("name", HEADS)
def test_units_of_the_features_change_no_prediction(name: str) -> None:
    x, y = people(name)
    scaled = (x - 100) * torch.tensor([1e-3, 1.0, 1e3, -7.0], dtype=torch.float64)
    torch.testing.assert_close(made(name).fit([(x, y)]).predict(x), made(name).fit([(scaled, y)]).predict(scaled))


@pytest.mark.parametrize("name", HEADS)
def test_row_by_row_and_batch_predictions_agree(name: str) -> None:
    x, y = people(name)
    head = made(name).fit([(x, y)])
    one_by_one = torch.stack([head.predict(row) for row in x])
    torch.testing.assert_close(head.predict(x), one_by_one, rtol=1e-15, atol=1e-15)
    assert torch.equal(head.score(x), torch.stack([head.score(row) for row in x]))


@pytest.mark.parametrize("name", HEADS)
def test_leading_dimensions_pass_through(name: str) -> None:
    x, y = people(name)
    head = made(name).fit([(x, y)])
    assert head.predict(x.reshape(3, 100, 4)).shape == (3, 100, *((LEVELS,) if of_levels(name) else ()))
    assert torch.equal(head.predict(x.expand(5, 300, 4))[2], head.predict(x))


@pytest.mark.parametrize("name", HEADS)
def test_no_features_give_everyone_the_mean_outcome(name: str) -> None:
    _, y = people(name)
    head = made(name, 0).fit([(torch.zeros(len(y), 0, dtype=torch.float64), y)])
    predictions = head.predict(torch.zeros(7, 0, dtype=torch.float64))
    torch.testing.assert_close(predictions, mean_outcome(name, y).expand(predictions.shape), rtol=1e-14, atol=1e-14)
    assert len(predictions) == 7


@pytest.mark.parametrize("name", HEADS)
def test_predictions_average_to_the_mean_outcome(name: str) -> None:
    x, y = people(name)
    torch.testing.assert_close(made(name).fit([(x, y)]).predict(x).mean(0), mean_outcome(name, y), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", HEADS)
def test_a_constant_feature_weighs_nothing(name: str) -> None:
    x, y = people(name)
    for constant in (0.0, 1e9 / 3, -0.1):
        wider = torch.cat([x, torch.full((len(y), 1), constant, dtype=torch.float64)], -1)
        head = made(name, 5).fit(list(zip(wider.split(100), y.split(100), strict=True)))
        without = made(name).fit([(x, y)])
        torch.testing.assert_close(head.predict(wider), without.predict(x))
        if isinstance(head, LinearHead) and isinstance(without, LinearHead):
            assert head.coefficients[-1] == 0
            torch.testing.assert_close(head.coefficients[:-1], without.coefficients)
        if isinstance(head, Multinomial) and isinstance(without, Multinomial):
            assert (head.coefficients[:, -1] == 0).all()
            torch.testing.assert_close(head.coefficients[:, :-1], without.coefficients)


@pytest.mark.parametrize("name", HEADS)
def test_indicators_of_all_levels_and_of_an_absent_one_stay_finite(name: str) -> None:
    _, y = people(name)
    level = torch.randint(0, 3, (len(y),), generator=torch.Generator().manual_seed(2))
    indicators = torch.nn.functional.one_hot(level, 4).double()
    predictions = made(name).fit([(indicators, y)]).predict(indicators)
    for group in range(3):
        own, near = mean_outcome(name, y[level == group]), 0.05 if name == "mlp" else 1e-4  # which learns from four fifths of the rows
        torch.testing.assert_close(predictions[level == group].mean(0), own, rtol=1e-3, atol=near)


@pytest.mark.parametrize("name", HEADS)
def test_state_is_in_the_buffers(name: str) -> None:
    x, y = people(name)
    head, copy = made(name).fit([(x, y)]), made(name)
    copy.load_state_dict(head.state_dict())
    assert not list(head.parameters())
    assert torch.equal(copy.predict(x), head.predict(x))


@pytest.mark.parametrize("name", HEADS)
def test_what_cannot_be_learned_from_is_refused(name: str) -> None:
    x, y = people(name)
    with pytest.raises(FitError, match="no rows to learn from"):
        made(name).fit([])
    with pytest.raises(FitError, match="walked once only"):
        made(name).fit(iter([(x, y)]))
    with pytest.raises(FitError, match="infinite or not a number"):
        made(name).fit([(x / 0, y)])


@of_several_levels
def test_probabilities_of_levels_add_up_to_1(name: str) -> None:
    x, y = people(name)
    p = made(name).fit([(x, y)]).predict(x)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones_like(y), rtol=0, atol=1e-14)


@of_several_levels
def test_a_level_that_nobody_has_is_predicted_with_probability_0_and_changes_no_other(name: str) -> None:
    x, y = people(name)
    own = HEADS[name](4, 3).fit([(x, y)]).predict(x)
    for absent in (0, 2):  # among four levels of which three occur
        head = HEADS[name](4, 4).fit([(x, y + (y >= absent))])
        p = head.predict(x)
        assert (p[:, absent] == 0).all()
        assert head.score(x).isnan().sum() == 0
        torch.testing.assert_close(torch.cat([p[:, :absent], p[:, absent + 1 :]], -1), own, rtol=1e-9, atol=1e-9)
    two = HEADS[name](4, 3).fit([(x, 2.0 * (y > 0).double())])
    torch.testing.assert_close(two.predict(x)[:, [0, 2]], HEADS[name](4, 2).fit([(x, (y > 0).double())]).predict(x), rtol=1e-9, atol=1e-9)


@of_several_levels
def test_the_order_of_levels_changes_no_probability(name: str) -> None:
    x, y = people(name)
    order = torch.tensor([2, 0, 1])  # the new position of each level
    p, again = made(name).fit([(x, y)]).predict(x), made(name).fit([(x, order[y.long()].double())]).predict(x)
    torch.testing.assert_close(again[:, order], p, rtol=1e-8, atol=1e-8)


@of_several_levels
@pytest.mark.parametrize(
    ("y", "problem"), [([1, 1, 1], "all 3 outcomes to learn from are of level 1"), ([0, 1, 3], "no position of one of 3")]
)
def test_outcomes_that_are_no_levels_or_all_the_same_are_refused(name: str, y: list[float], problem: str) -> None:
    with pytest.raises(FitError, match=problem):
        HEADS[name](1, 3).fit([(torch.arange(3.0).double()[:, None], torch.tensor(y).double())])
