"""Joint distributions of given margins: closed forms, programs and vertices against one another."""

from itertools import product

import pytest
import torch
from scipy.optimize import linear_sum_assignment, linprog
from torch import Tensor

from cfair.effects.linear_program import best_plans, best_responses, filled, vertices


def simplex(levels: int, source: torch.Generator, count: int = 1) -> Tensor:
    raw = -torch.rand(count, levels, generator=source, dtype=torch.float64).log()
    return raw / raw.sum(-1, keepdim=True)


def by_program(gain: Tensor, first: Tensor, second: Tensor) -> float:
    """Optimal transport written out once more, by scipy with its own tolerances."""
    levels = len(first)
    rows = []
    for axis in (0, 1):
        for level in range(levels):
            mask = torch.zeros(levels, levels)
            mask.select(axis, level)[:] = 1
            rows.append(mask.flatten())
    found = linprog(-gain.flatten().numpy(), A_eq=torch.stack(rows).numpy(), b_eq=torch.cat([first, second]).numpy())
    return float(-found.fun)


@pytest.mark.parametrize("seed", range(20))
def test_filling_one_level_is_frechets_bound(seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    p, q = simplex(4, source)[0], simplex(4, source)[0]
    for own, other in product(range(4), range(4)):
        target = torch.eye(4).double()[other]
        most = filled(target, q / p[own])[other]
        least = filled(-target, q / p[own])[other]
        assert abs(most - min(p[own], q[other]) / p[own]) < 1e-14
        assert abs(least - max(0.0, p[own] + q[other] - 1) / p[own]) < 1e-14


@pytest.mark.parametrize("levels", [2, 3, 5])
@pytest.mark.parametrize("rows", [1, 2])
def test_the_best_joint_distribution_keeps_its_margins_and_pays_what_transport_does(levels: int, rows: int) -> None:
    source = torch.Generator().manual_seed(levels)
    for _ in range(4):
        first, second = simplex(levels, source)[0], simplex(levels, source)[0]
        gain = torch.zeros(levels, levels, dtype=torch.float64)
        gain[:rows] = torch.randn(rows, levels, generator=source, dtype=torch.float64)
        for own, a, b in ((gain, first, second), (gain.T, second, first)):
            (plan,) = best_plans(own.unsqueeze(0), a.unsqueeze(0), b.unsqueeze(0))
            assert (plan >= 0).all()
            torch.testing.assert_close(plan.sum(1), a, rtol=0, atol=1e-12)
            torch.testing.assert_close(plan.sum(0), b, rtol=0, atol=1e-12)
            assert abs(float((own * plan).sum()) - by_program(own, a, b)) < 1e-9


def test_of_equal_margins_the_best_plan_is_the_best_assignment() -> None:
    source = torch.Generator().manual_seed(0)
    gain = torch.randn(6, 6, generator=source, dtype=torch.float64)
    even = torch.full((1, 6), 1 / 6, dtype=torch.float64)
    rows, columns = linear_sum_assignment(gain.numpy(), maximize=True)
    (plan,) = best_plans(gain.unsqueeze(0), even, even)
    assert abs(float((gain * plan).sum()) - float(gain[rows, columns].mean())) < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_vertices_hold_the_best_plan_whatever_the_gain(seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    first, second = simplex(3, source)[0], simplex(3, source)[0]
    for rows in ([1], [0, 2], [0, 1, 2]):
        corners = vertices(first, second, rows)
        assert corners is not None
        for _ in range(5):
            gain = torch.zeros(3, 3, dtype=torch.float64)
            gain[rows] = torch.randn(len(rows), 3, generator=source, dtype=torch.float64)
            most = max(float((gain * plan).sum()) for plan in corners)
            assert abs(most - by_program(gain, first, second)) < 1e-9


def test_vertices_are_listed_only_where_all_of_them_are_known() -> None:
    even = torch.full((6,), 1 / 6, dtype=torch.float64)
    assert vertices(even, even, [0]) is None
    assert vertices(even[:4] * 1.5, even[:4] * 1.5, [0, 1]) is None
    many = torch.full((40,), 1 / 40, dtype=torch.float64)
    assert vertices(many, many, [3]) is None, "40! orders are not even begun"


def test_a_cycle_cannot_have_what_each_of_its_pairs_could() -> None:
    """Three worlds, each pair paid for differing: of two levels at most two of three pairs differ at once."""
    even = torch.full((3, 2), 0.5, dtype=torch.float64)
    differ = 1 - torch.eye(2).double()
    alone = best_plans(differ.expand(3, 2, 2), even, even)
    assert float((alone * differ).sum()) == 3.0
    together = best_responses([differ] * 3, [(0, 1), (1, 2), (0, 2)], even)
    assert abs(sum(float((plan * differ).sum()) for plan in together) - 2.0) < 1e-9


def test_along_a_tree_the_joint_program_pays_what_its_pairs_do() -> None:
    source = torch.Generator().manual_seed(3)
    edges = [(0, 1), (0, 2), (2, 3)]
    known = simplex(3, source, 4)
    gains = torch.randn(3, 3, 3, generator=source, dtype=torch.float64)
    first, second = known[[a for a, _ in edges]], known[[b for _, b in edges]]
    apart = float((best_plans(gains, first, second) * gains).sum())
    plans = torch.stack(best_responses(list(gains), edges, known))
    assert abs(float((plans * gains).sum()) - apart) < 1e-9
    torch.testing.assert_close(plans.sum(2), first, rtol=0, atol=1e-9)
    torch.testing.assert_close(plans.sum(1), second, rtol=0, atol=1e-9)


def test_levels_that_cannot_be_are_left_out_of_response_functions() -> None:
    known = torch.tensor([[1.0, 0.0], [0.3, 0.7], [0.0, 1.0]], dtype=torch.float64)
    plans = best_responses([torch.eye(2).double()] * 2, [(0, 1), (1, 2)], known)
    torch.testing.assert_close(plans[0], torch.tensor([[0.3, 0.7], [0.0, 0.0]]).double())
    torch.testing.assert_close(plans[1], torch.tensor([[0.0, 0.3], [0.0, 0.7]]).double())
