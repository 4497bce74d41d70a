"""Laws of every group constraint in the registry."""

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS, Cells, violation
from cfair.constraints.definition import Definition
from cfair.constraints.pairwise import pairwise
from cfair.constraints.permutation import permuted
from cfair.errors import QueryError

NAMES = ["a", "b", "c"]
DECIDED = [name for name in CONSTRAINTS if CONSTRAINTS[name].of == "decisions"]
SHARES = [name for name in DECIDED if CONSTRAINTS[name].scale == "share"]


def counts(seed: int = 0, groups: int = 3) -> Tensor:
    """Confusion counts of some hundred people in each group, every cell above 0."""
    source = torch.Generator().manual_seed(seed)
    return torch.randint(5, 200, (groups, 2, 2), generator=source).double()


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_registered_name_is_the_constraints_own(name: str) -> None:
    assert CONSTRAINTS[name].name == name


@pytest.mark.parametrize("name", DECIDED)
def test_equal_groups_have_difference_zero_and_ratio_one(name: str) -> None:
    same = counts(groups=1).repeat(3, 1, 1) * torch.tensor([1.0, 2.0, 5.0]).double()[:, None, None]
    constraint = CONSTRAINTS[name]
    assert constraint.difference(same).item() == pytest.approx(0.0, abs=1e-15)
    assert constraint.ratio(same).item() == pytest.approx(1.0)


@pytest.mark.parametrize("name", SHARES)
def test_difference_and_ratio_are_shares(name: str) -> None:
    many = torch.stack([counts(seed) for seed in range(50)])
    for measure in (CONSTRAINTS[name].difference(many), CONSTRAINTS[name].ratio(many)):
        assert measure.shape == (50,)
        assert ((measure >= 0) & (measure <= 1)).all()


@pytest.mark.parametrize("name", DECIDED)
def test_difference_is_not_negative_and_ratio_is_a_share(name: str) -> None:
    many = torch.stack([counts(seed) for seed in range(50)])
    assert (CONSTRAINTS[name].difference(many) >= 0).all()
    assert ((CONSTRAINTS[name].ratio(many) >= 0) & (CONSTRAINTS[name].ratio(many) <= 1)).all()


@pytest.mark.parametrize("name", DECIDED)
def test_replicates_are_measured_as_one_by_one(name: str) -> None:
    many = torch.stack([counts(seed) for seed in range(6)]).reshape(2, 3, 3, 2, 2)
    one_by_one = [CONSTRAINTS[name].difference(table) for table in many.reshape(6, 3, 2, 2)]
    torch.testing.assert_close(CONSTRAINTS[name].difference(many), torch.stack(one_by_one).reshape(2, 3))


@pytest.mark.parametrize("name", DECIDED)
def test_order_of_groups_is_irrelevant(name: str) -> None:
    assert violation(CONSTRAINTS[name], Cells.of(counts()), NAMES) == violation(CONSTRAINTS[name], Cells.of(counts().flip(0)), NAMES[::-1])


@pytest.mark.parametrize("name", DECIDED)
def test_violation_reports_the_difference_and_ratio_within_their_intervals(name: str) -> None:
    for seed in range(20):
        found = violation(CONSTRAINTS[name], Cells.of(counts(seed)), NAMES)
        assert found.difference.value == pytest.approx(CONSTRAINTS[name].difference(counts(seed)).item())
        assert found.ratio.value == pytest.approx(CONSTRAINTS[name].ratio(counts(seed)).item())
        for extent in (found.difference, found.ratio):
            assert extent.low is not None
            assert extent.value is not None
            assert extent.high is not None
            assert 0 <= extent.low <= extent.value <= extent.high
            assert extent.high <= 1 or (CONSTRAINTS[name].scale == "odds" and extent is found.difference)


@pytest.mark.parametrize("name", DECIDED)
def test_violation_is_a_number_or_none_with_a_reason_but_never_nan(name: str) -> None:
    cells = torch.cartesian_prod(*[torch.tensor([0.0, 3.0]).double()] * 8).reshape(-1, 2, 2, 2)
    for table in cells:
        found = violation(CONSTRAINTS[name], Cells.of(table), ["a", "b"])
        for extent in (found.difference, found.ratio):
            assert (extent.value is None) == (extent.reason is not None)
            assert all(end is None or math.isfinite(end) for end in (extent.value, extent.low, extent.high))


@pytest.mark.parametrize("name", DECIDED)
def test_a_group_without_people_is_left_out(name: str) -> None:
    with_nobody = torch.cat([counts(), torch.zeros(1, 2, 2).double()])
    assert violation(CONSTRAINTS[name], Cells.of(with_nobody), [*NAMES, "nobody"]) == violation(
        CONSTRAINTS[name], Cells.of(counts()), NAMES
    )


@pytest.mark.parametrize("name", DECIDED)
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


@pytest.mark.parametrize("name", DECIDED)
def test_each_pairs_interval_holds_its_difference_and_ratio(name: str) -> None:
    for seed in range(20):
        found = pairwise(CONSTRAINTS[name], Cells.of(counts(seed)))
        rates = CONSTRAINTS[name].rates(counts(seed))
        torch.testing.assert_close(found.difference.value, rates[:, found.later] - rates[:, found.earlier])
        torch.testing.assert_close(found.ratio.value, rates[:, found.later] / rates[:, found.earlier])
        for value, low, high in (found.difference, found.ratio, found.inverse):
            assert ((low <= value) & (value <= high)).all()


@pytest.mark.parametrize("name", DECIDED)
def test_more_people_of_the_same_rates_have_narrower_intervals_and_a_smaller_p_value(name: str) -> None:
    few, many = (pairwise(CONSTRAINTS[name], Cells.of(counts() * size)).difference for size in (1, 4))
    assert (many.high - many.low < few.high - few.low).all()
    assert permuted(CONSTRAINTS[name], Cells.of(counts() * 4)) <= permuted(CONSTRAINTS[name], Cells.of(counts()))


@pytest.mark.parametrize("name", DECIDED)
def test_p_value_is_a_share_that_neither_order_nor_absent_groups_change_and_large_where_groups_are_equal(name: str) -> None:
    constraint, table = CONSTRAINTS[name], counts(3)
    p = permuted(constraint, Cells.of(table))
    assert 0 < p <= 1
    assert permuted(constraint, Cells.of(table.flip(0))) == p
    assert permuted(constraint, Cells.of(torch.cat([table, torch.zeros(1, 2, 2).double()]))) == p
    same = torch.tensor([[40.0, 20.0], [30.0, 60.0]]).double().expand(3, 2, 2)
    assert permuted(constraint, Cells.of(same)) == 1
    assert permuted(constraint, Cells.of(same[:1])) is None


@pytest.mark.parametrize("gap", ["max-min", "mean pairwise", "signed"])
@pytest.mark.parametrize("name", DECIDED)
def test_every_definition_holds_its_value_and_is_what_its_pairs_say(name: str, gap: Literal["max-min", "mean pairwise", "signed"]) -> None:
    for strata in ("max", "mean"):
        definition = Definition(gap=gap, strata=strata)  # type: ignore[arg-type]
        for seed in range(10):
            found = violation(CONSTRAINTS[name], Cells.of(counts(seed)), NAMES, definition=definition)
            assert found.difference.value == pytest.approx(CONSTRAINTS[name].difference(counts(seed), definition).item())
            assert found.ratio.value == pytest.approx(CONSTRAINTS[name].ratio(counts(seed), definition).item())
            for extent in (found.difference, found.ratio):
                assert extent.low <= extent.value + 1e-12
                assert extent.value <= extent.high + 1e-12
            pairs = pairwise(CONSTRAINTS[name], Cells.of(counts(seed))).difference.value
            by_stratum = {
                "max-min": pairs.abs().amax(-1),
                "mean pairwise": pairs.abs().mean(-1),
                "signed": pairs.gather(-1, pairs.abs().argmax(-1, keepdim=True)).squeeze(-1),
            }[gap]
            expected = by_stratum.mean() if strata == "mean" else by_stratum[by_stratum.abs().argmax()]
            assert found.difference.value == pytest.approx(expected.item())


@pytest.mark.parametrize("name", DECIDED)
def test_sixty_groups_are_compared_and_none_is_lost(name: str) -> None:
    table = counts(groups=60)
    names = [str(g) for g in range(60)]
    pairs, found = pairwise(CONSTRAINTS[name], Cells.of(table)), violation(CONSTRAINTS[name], Cells.of(table), names)
    assert pairs.difference.value.shape == (len(CONSTRAINTS[name].strata), 1_770)
    assert not any(each.isnan().any() for each in pairs.difference)
    assert found.difference.value == pytest.approx(pairs.difference.value.abs().max().item())


@pytest.mark.parametrize("name", [name for name in CONSTRAINTS if CONSTRAINTS[name].of == "scores"])
def test_a_constraint_of_scores_refuses_counts_of_decisions(name: str) -> None:
    with pytest.raises(QueryError, match=f"{name} is measured on scores"):
        violation(CONSTRAINTS[name], Cells.of(counts()), NAMES)
