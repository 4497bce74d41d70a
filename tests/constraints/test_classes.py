"""Several levels: each against all others, and averaged, against scikit-learn and by hand."""

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS, count, violation
from cfair.constraints.bootstrap import resampled
from cfair.constraints.classes import count_classes, levels_of, macro_rate, macro_violation, one_vs_rest
from cfair.constraints.tallies import positive_predictive_value, selection_rate, true_positive_rate

LEVELS, NAMES = ["low", "mid", "high", "top"], ["a", "b", "c"]
DECIDED = [name for name in CONSTRAINTS if CONSTRAINTS[name].of == "decisions"]


def people(n: int = 2_000) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outcomes, decisions, groups and weights."""
    source = torch.Generator().manual_seed(0)
    y, group = torch.randint(0, 4, (n,), generator=source), torch.randint(0, 3, (n,), generator=source)
    wrong = torch.rand(n, generator=source) < 0.3 + 0.1 * group
    return y, torch.where(wrong, torch.randint(0, 4, (n,), generator=source), y), group, torch.rand(n, generator=source).double() + 0.1


def test_counts_are_scikit_learns_confusion_matrices() -> None:
    y, decision, group, w = people()
    found = count_classes(y, decision, group, 3, 4, w)
    for g in range(3):
        own = group == g
        expected = sklearn.metrics.confusion_matrix(y[own], decision[own], labels=range(4), sample_weight=w[own])
        np.testing.assert_allclose(found.weight[g], expected, rtol=1e-12)
        np.testing.assert_array_equal(found.people[g], sklearn.metrics.confusion_matrix(y[own], decision[own], labels=range(4)))


def test_a_level_against_the_rest_is_what_counting_it_gives() -> None:
    y, decision, group, w = people()
    for k, own in enumerate(levels_of(count_classes(y, decision, group, 3, 4, w))):
        expected = count((y == k).double(), (decision == k).double(), group, 3, w)
        for here, there in ((own.people, expected.people), (own.weight, expected.weight), (own.square, expected.square)):
            torch.testing.assert_close(here, there)


def test_two_levels_are_the_binary_case() -> None:
    y, decision, group, w = people()
    y, decision = (y > 1).long(), (decision > 1).long()
    counts = count_classes(y, decision, group, 3, 2, w).weight
    torch.testing.assert_close(one_vs_rest(counts, 1), counts)
    torch.testing.assert_close(one_vs_rest(counts, 0), counts.flip(-1, -2))


def test_macro_rates_are_scikit_learns_with_the_spread_of_resampled_rows() -> None:
    y, decision, group, w = people()
    cells = count_classes(y, decision, group, 3, 4, w)
    for rate, metric in ((true_positive_rate, sklearn.metrics.recall_score), (positive_predictive_value, sklearn.metrics.precision_score)):
        found = macro_rate(rate, cells)
        for g in range(3):
            own = group == g
            expected = metric(y[own], decision[own], average="macro", sample_weight=w[own])
            assert found.value[g].item() == pytest.approx(expected, rel=1e-12)
            drawn = resampled(cells[torch.arange(3) == g], replicates=2_000, seed=1)
            each = torch.stack([torch.stack(rate(one_vs_rest(drawn, k))) for k in range(4)])
            spread = (each[:, 0] / each[:, 1]).mean(0).std().item()
            assert (found.high[g] - found.low[g]).item() == pytest.approx(2 * 1.96 * spread, rel=0.1)


@pytest.mark.parametrize("name", DECIDED)
def test_the_macro_violation_is_the_mean_of_the_levels(name: str) -> None:
    y, decision, group, _ = people()
    cells = count_classes(y, decision, group, 3, 4)
    each = [violation(CONSTRAINTS[name], own, NAMES) for own in levels_of(cells)]
    found = macro_violation(CONSTRAINTS[name], cells, NAMES, LEVELS)
    assert found.difference.value == pytest.approx(np.mean([own.difference.value for own in each]))
    assert found.ratio.value == pytest.approx(np.mean([own.ratio.value for own in each]))
    for extent in (found.difference, found.ratio):
        assert extent.low <= extent.value <= extent.high


def test_a_level_that_nobody_of_a_group_has_is_named() -> None:
    y, decision, group, _ = people()
    y = torch.where((group == 1) & (y == 3), 2, y)
    found = macro_violation(CONSTRAINTS["equal_opportunity"], count_classes(y, decision, group, 3, 4), NAMES, LEVELS)
    assert found.difference.value is None
    assert found.difference.reason == "of level 'top' against all others, group 'b' has no people with outcome 1"


def test_selection_rates_of_levels_add_up_to_1() -> None:
    y, decision, group, w = people()
    tallies = [selection_rate(own.weight) for own in levels_of(count_classes(y, decision, group, 3, 4, w))]
    rates = [successes / trials for successes, trials in tallies]
    torch.testing.assert_close(torch.stack(rates).sum(0), torch.ones(3).double())
