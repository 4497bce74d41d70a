"""What carries an attribute, against closed forms, scikit-learn and chance."""

from statistics import NormalDist

import pytest
import torch
from sklearn.metrics import roc_auc_score

from cfair.comparing.boosted_proxies import carried_by_all
from cfair.comparing.proxies import Feature, carried_by, folds_of, macro_auc, told_apart
from cfair.interfaces import Measured
from cfair.metrics import interval, standard_error


def drawn(n: int, seed: int, levels: int = 2) -> tuple[torch.Tensor, torch.Generator]:
    source = torch.Generator().manual_seed(seed)
    return torch.randint(levels, (n,), generator=source), source


def carried(feature: Feature, member: torch.Tensor, levels: int = 2) -> Measured:
    return carried_by(feature, member, levels, folds_of(member, 0))


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_area_within_one_fold_is_that_of_scikit_learn(levels: int, weighted: bool) -> None:
    member, source = drawn(300, 1, levels)
    chance = (torch.rand(300, levels, generator=source, dtype=torch.float64) + torch.eye(levels).double()[member]).softmax(1)
    weights = torch.rand(300, generator=source, dtype=torch.float64) + 0.1 if weighted else None
    found = macro_auc(chance, member, torch.zeros_like(member), weights)
    score = chance[:, 1] if levels == 2 else chance
    kind = {} if levels == 2 else {"multi_class": "ovr", "average": "macro"}
    if weighted and levels > 2:
        each = [roc_auc_score(member == k, chance[:, k], sample_weight=weights) for k in range(levels)]
        assert found.value == pytest.approx(sum(each) / levels, rel=1e-12)
    else:
        assert found.value == pytest.approx(roc_auc_score(member, score, sample_weight=weights, **kind), rel=1e-12)


@pytest.mark.parametrize("apart", [0.5, 1.5])
def test_two_normals_give_the_area_of_the_closed_form(apart: float) -> None:
    member, source = drawn(20_000, 2)
    x = torch.randn(20_000, generator=source, dtype=torch.float64) + apart * member
    found = carried(Feature("x", x, leveled=False), member)
    error = standard_error(found)
    assert error is not None
    assert abs(found.value - NormalDist().cdf(apart / 2**0.5)) < 5 * error + 0.001  # bins lose a little


@pytest.mark.parametrize("leveled", [False, True])
def test_a_column_that_tells_nothing_lies_above_chance_no_more_often_than_its_interval_says(leveled: bool) -> None:
    above, areas, tables = 0, [], 400
    for seed in range(tables):
        member, source = drawn(400, seed)
        x = torch.randint(3, (400,), generator=source).double() if leveled else torch.randn(400, generator=source, dtype=torch.float64)
        found = carried_by(Feature("x", x, leveled), member, 2, folds_of(member, seed))
        low, _ = interval(found)
        above, areas = above + ((low or 0.0) > 0.5), [*areas, found.value]
    assert above / tables <= 0.025 + 2 * (0.025 * 0.975 / tables) ** 0.5  # √2 too narrow an interval would have 0.08
    spread = torch.tensor(areas, dtype=torch.float64)
    assert abs(spread.mean() - 0.5) < 5 * spread.std() / tables**0.5


def test_a_copy_of_the_attribute_tells_it_whatever_its_levels_are_called() -> None:
    member, _ = drawn(500, 3, 4)
    for x in (member.double(), 3 - member.double()):
        for leveled in (False, True):
            assert carried(Feature("x", x, leveled), member, 4).value == 1


def test_a_heap_and_what_lies_beyond_it_are_told_apart() -> None:
    member, source = drawn(2_000, 4)
    gains = torch.where(torch.rand(2_000, generator=source) < 0.9, 0.0, 100 + 50 * member.double())
    found = carried(Feature("gains", gains.double(), leveled=False), member)
    assert 0.58 < found.value < 0.61  # of a tenth of each level all are told, of the others nobody: 1 − 0.9²/2


def test_no_entry_may_tell_the_attribute() -> None:
    member, _ = drawn(400, 5)
    x = torch.where(member == 1, torch.nan, 1.0).double()
    assert carried(Feature("x", x, leveled=False), member).value == 1
    assert not Feature("x", x, leveled=False).constant


@pytest.mark.parametrize(("column", "constant"), [([1.0, 1.0], True), ([torch.nan, torch.nan], True), ([1.0, 2.0], False)])
def test_a_constant_column_is_known(column: list[float], constant: bool) -> None:
    assert Feature("x", torch.tensor(column, dtype=torch.float64), leveled=False).constant is constant


def test_what_two_columns_tell_only_together_is_found() -> None:
    member, source = drawn(2_000, 6)
    coin = torch.randint(2, (2_000,), generator=source)
    features = [Feature("coin", coin.double(), leveled=True), Feature("other", (coin ^ member).double(), leveled=True)]
    for feature in features:
        assert carried(feature, member).value < 0.55
    found = carried_by_all(features, member, 2, folds_of(member, 0))
    assert found.value == 1
    assert found.people == 2_000


def test_levels_of_fewer_people_than_folds_are_left_out_and_the_others_still_told() -> None:
    member = torch.tensor([0] * 200 + [1] * 200 + [2] * 3)
    assert told_apart(member, 4) == [0, 1]
    assert carried_by_all([Feature("x", member.double(), leveled=False)], member, 4, folds_of(member, 0)).value > 0.99


def test_folds_part_every_level_evenly_and_go_by_the_seed() -> None:
    member, _ = drawn(1_003, 7, 3)
    fold = folds_of(member, 0)
    counts = torch.stack([torch.bincount(fold[member == k], minlength=5) for k in range(3)])
    assert int((counts.amax(1) - counts.amin(1)).max()) <= 1
    assert torch.equal(fold, folds_of(member, 0))
    assert not torch.equal(fold, folds_of(member, 1))
