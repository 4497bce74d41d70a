"""Laws of every group constraint in the registry."""

import math

import pytest
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS, Cells, violation

NAMES = ["a", "b", "c"]


def counts(seed: int = 0, groups: int = 3) -> Tensor:
    """Confusion counts of some hundred people in each group, every cell above 0."""
    source = torch.Generator().manual_seed(seed)
    return torch.randint(5, 200, (groups, 2, 2), generator=source).double()


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_registered_name_is_the_constraints_own(name: str) -> None:
    assert CONSTRAINTS[name].name == name


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_equal_groups_have_difference_zero_and_ratio_one(name: str) -> None:
    same = counts(groups=1).repeat(3, 1, 1) * torch.tensor([1.0, 2.0, 5.0]).double()[:, None, None]
    constraint = CONSTRAINTS[name]
    assert constraint.difference(same).item() == pytest.approx(0.0, abs=1e-15)
    assert constraint.ratio(same).item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_difference_and_ratio_are_shares(name: str) -> None:
    many = torch.stack([counts(seed) for seed in range(50)])
    for measure in (CONSTRAINTS[name].difference(many), CONSTRAINTS[name].ratio(many)):
        assert measure.shape == (50,)
        assert ((measure >= 0) & (measure <= 1)).all()


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_replicates_are_measured_as_one_by_one(name: str) -> None:
    many = torch.stack([counts(seed) for seed in range(6)]).reshape(2, 3, 3, 2, 2)
    one_by_one = [CONSTRAINTS[name].difference(table) for table in many.reshape(6, 3, 2, 2)]
    torch.testing.assert_close(CONSTRAINTS[name].difference(many), torch.stack(one_by_one).reshape(2, 3))


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_order_of_groups_is_irrelevant(name: str) -> None:
    assert violation(CONSTRAINTS[name], Cells.of(counts()), NAMES) == violation(CONSTRAINTS[name], Cells.of(counts().flip(0)), NAMES[::-1])


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_violation_reports_the_difference_and_ratio_within_their_intervals(name: str) -> None:
    for seed in range(20):
        found = violation(CONSTRAINTS[name], Cells.of(counts(seed)), NAMES)
        assert found.difference.value == pytest.approx(CONSTRAINTS[name].difference(counts(seed)).item())
        assert found.ratio.value == pytest.approx(CONSTRAINTS[name].ratio(counts(seed)).item())
        for extent in (found.difference, found.ratio):
            assert extent.low is not None
            assert extent.value is not None
            assert extent.high is not None
            assert 0 <= extent.low <= extent.value <= extent.high <= 1


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_violation_is_a_number_or_none_with_a_reason_but_never_nan(name: str) -> None:
    cells = torch.cartesian_prod(*[torch.tensor([0.0, 3.0]).double()] * 8).reshape(-1, 2, 2, 2)
    for table in cells:
        found = violation(CONSTRAINTS[name], Cells.of(table), ["a", "b"])
        for extent in (found.difference, found.ratio):
            assert (extent.value is None) == (extent.reason is not None)
            assert all(end is None or math.isfinite(end) for end in (extent.value, extent.low, extent.high))


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_group_without_people_is_left_out(name: str) -> None:
    with_nobody = torch.cat([counts(), torch.zeros(1, 2, 2).double()])
    assert violation(CONSTRAINTS[name], Cells.of(with_nobody), [*NAMES, "nobody"]) == violation(
        CONSTRAINTS[name], Cells.of(counts()), NAMES
    )


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_interval_covers_zero_when_groups_are_equal_and_the_true_difference_when_not(name: str) -> None:
    source = torch.Generator().manual_seed(0)
    for shift in (0.0, 0.15):
        cell = torch.tensor([[0.3, 0.2, 0.3, 0.2], [0.3, 0.2, 0.3, 0.2], [0.3, 0.2, 0.3, 0.2]]).double()
        cell[0] += torch.tensor([-shift, shift, -shift, shift]) / 2
        truth = CONSTRAINTS[name].difference(cell.reshape(3, 2, 2)).item()
        drawn = torch.multinomial(cell.repeat(400, 1), 150, replacement=True, generator=source)
        tables = torch.nn.functional.one_hot(drawn, 4).sum(1).double().reshape(400, 3, 2, 2)
        ends = [violation(CONSTRAINTS[name], Cells.of(table), NAMES).difference for table in tables]
        covered = sum(end.low <= truth <= end.high for end in ends if end.low is not None and end.high is not None)
        assert covered / 400 >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / 400)
