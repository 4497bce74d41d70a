"""Laws of every head in the registry."""

import pytest
import torch
from torch import Tensor

from cfair.errors import FitError
from cfair.heads import HEADS
from cfair.heads.base import LinearHead


def people(name: str, n: int = 300, k: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features (n, k) on different scales, and an outcome that suits the head."""
    source = torch.Generator().manual_seed(seed)
    z = torch.randn(n, k, generator=source, dtype=torch.float64)
    x, score = z * 10.0 ** torch.arange(k) + 3, z.sum(-1)
    if "binary" in HEADS[name].kinds:
        return x, torch.bernoulli(score.sigmoid(), generator=source)
    return x, score + torch.randn(n, generator=source, dtype=torch.float64)


@pytest.mark.parametrize("name", HEADS)
def test_how_rows_are_batched_changes_nothing(name: str) -> None:
    x, y = people(name)
    whole = HEADS[name](4).fit([(x, y)])
    parts = HEADS[name](4).fit(list(zip(x.split(7), y.split(7), strict=True)))
    torch.testing.assert_close(whole.predict(x), parts.predict(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", HEADS)
def test_order_of_rows_changes_nothing(name: str) -> None:
    x, y = people(name)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(HEADS[name](4).fit([(x, y)]).predict(x), HEADS[name](4).fit([(x[order], y[order])]).predict(x))


@pytest.mark.parametrize("name", HEADS)
def test_units_of_the_features_change_no_prediction(name: str) -> None:
    x, y = people(name)
    scaled = (x - 100) * torch.tensor([1e-3, 1.0, 1e3, -7.0], dtype=torch.float64)
    torch.testing.assert_close(HEADS[name](4).fit([(x, y)]).predict(x), HEADS[name](4).fit([(scaled, y)]).predict(scaled))


@pytest.mark.parametrize("name", HEADS)
def test_row_by_row_and_batch_predictions_agree(name: str) -> None:
    x, y = people(name)
    head = HEADS[name](4).fit([(x, y)])
    one_by_one = torch.stack([head.predict(row) for row in x])
    torch.testing.assert_close(head.predict(x), one_by_one, rtol=1e-15, atol=1e-15)
    assert torch.equal(head.score(x), torch.stack([head.score(row) for row in x]))


@pytest.mark.parametrize("name", HEADS)
def test_leading_dimensions_pass_through(name: str) -> None:
    x, y = people(name)
    head = HEADS[name](4).fit([(x, y)])
    assert head.predict(x.reshape(3, 100, 4)).shape == (3, 100)
    assert torch.equal(head.predict(x.expand(5, 300, 4))[2], head.predict(x))


@pytest.mark.parametrize("name", HEADS)
def test_no_features_give_everyone_the_mean_outcome(name: str) -> None:
    _, y = people(name)
    head = HEADS[name](0).fit([(torch.zeros(len(y), 0, dtype=torch.float64), y)])
    predictions = head.predict(torch.zeros(7, 0, dtype=torch.float64))
    torch.testing.assert_close(predictions, y.mean().expand(7), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", HEADS)
def test_predictions_average_to_the_mean_outcome(name: str) -> None:
    x, y = people(name)
    torch.testing.assert_close(HEADS[name](4).fit([(x, y)]).predict(x).mean(), y.mean(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", HEADS)
def test_a_constant_feature_weighs_nothing(name: str) -> None:
    x, y = people(name)
    for constant in (0.0, 1e9 / 3, -0.1):
        wider = torch.cat([x, torch.full((len(y), 1), constant, dtype=torch.float64)], -1)
        head = HEADS[name](5).fit(list(zip(wider.split(100), y.split(100), strict=True)))
        without = HEADS[name](4).fit([(x, y)])
        torch.testing.assert_close(head.predict(wider), without.predict(x))
        if isinstance(head, LinearHead) and isinstance(without, LinearHead):
            assert head.coefficients[-1] == 0
            torch.testing.assert_close(head.coefficients[:-1], without.coefficients)


@pytest.mark.parametrize("name", HEADS)
def test_indicators_of_all_levels_and_of_an_absent_one_stay_finite(name: str) -> None:
    _, y = people(name)
    level = torch.randint(0, 3, (len(y),), generator=torch.Generator().manual_seed(2))
    indicators = torch.nn.functional.one_hot(level, 4).double()
    predictions = HEADS[name](4).fit([(indicators, y)]).predict(indicators)
    for group in range(3):
        torch.testing.assert_close(predictions[level == group].mean(), y[level == group].mean(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", HEADS)
def test_state_is_in_the_buffers(name: str) -> None:
    x, y = people(name)
    head, copy = HEADS[name](4).fit([(x, y)]), HEADS[name](4)
    copy.load_state_dict(head.state_dict())
    assert not list(head.parameters())
    assert torch.equal(copy.predict(x), head.predict(x))


@pytest.mark.parametrize("name", HEADS)
def test_what_cannot_be_learned_from_is_refused(name: str) -> None:
    x, y = people(name)
    with pytest.raises(FitError, match="no rows to learn from"):
        HEADS[name](4).fit([])
    with pytest.raises(FitError, match="walked once only"):
        HEADS[name](4).fit(iter([(x, y)]))
    with pytest.raises(FitError, match="infinite or not a number"):
        HEADS[name](4).fit([(x / 0, y)])
