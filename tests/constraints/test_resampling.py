"""Tables drawn anew, permuted people, critical values, shrunken rates: against rows, enumeration and other libraries."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import betabinom, studentized_range
from torch import Tensor

from cfair.constraints import CONSTRAINTS, Cells, count
from cfair.constraints.bootstrap import descriptive_interval, resampled
from cfair.constraints.pairwise import pairwise, sample
from cfair.constraints.permutation import permuted
from cfair.constraints.shrinkage import shrunken
from cfair.constraints.simultaneous import largest_of, max_t
from cfair.constraints.tallies import selection_rate, true_positive_rate
from cfair.constraints.thresholds import at_thresholds, nearest_thresholds
from cfair.errors import QueryError


def people(n: int = 400, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(0, 3, (n,), generator=source)
    y = torch.bernoulli(0.3 + 0.1 * group.double(), generator=source)
    return y, torch.bernoulli(0.2 + 0.4 * y + 0.05 * group, generator=source), group


@pytest.mark.parametrize("weighted", [False, True])
def test_resampled_counts_are_distributed_as_resampled_rows(weighted: bool) -> None:
    y, decision, group = people()
    w = torch.rand(400, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * (1 + y) if weighted else None
    cells = count(y, decision, group, 3, w)
    drawn = CONSTRAINTS["equalized_odds"].rates(resampled(cells, replicates=4_000, seed=2))
    source = torch.Generator().manual_seed(3)
    rows = [torch.randint(400, (400,), generator=source) for _ in range(4_000)]
    counted = [count(y[own], decision[own], group[own], 3, None if w is None else w[own]).weight for own in rows]
    by_rows = CONSTRAINTS["equalized_odds"].rates(torch.stack(counted))
    spread = by_rows.std(0)
    assert ((drawn.mean(0) - by_rows.mean(0)).abs() <= 5 * spread * math.sqrt(2 / 4_000)).all()
    assert ((drawn.std(0) / spread - 1).abs() <= 5 * math.sqrt(2 / (2 * 4_000)) + 0.02).all()


def test_unweighted_tables_keep_their_number_of_people_and_have_multinomial_variances() -> None:
    cells = Cells.of(torch.tensor([[[50.0, 20], [5, 0]], [[300, 100], [70, 55]]]).double())
    drawn = resampled(cells, replicates=20_000, seed=1)
    assert (drawn.sum((-1, -2, -3)) == 600).all()
    share = cells.weight / 600
    assert ((drawn.mean(0) - cells.weight).abs() <= 5 * (cells.weight * (1 - share) / 20_000).sqrt() + 1e-12).all()
    some = cells.weight > 0
    assert ((drawn.var(0)[some] / (cells.weight * (1 - share))[some] - 1).abs() <= 5 * math.sqrt(3 / 20_000)).all()
    assert (drawn[:, 0, 1, 1] == 0).all(), "an empty cell stays empty"


def test_weighted_cells_have_variance_of_squared_weights() -> None:
    cells = Cells(torch.full((1, 2, 2), 30.0).double(), torch.full((1, 2, 2), 60.0).double(), torch.full((1, 2, 2), 200.0).double())
    drawn = resampled(cells, replicates=20_000, seed=1)
    assert drawn.var(0).flatten().tolist() == pytest.approx([200.0] * 4, rel=5 * math.sqrt(2.2 / 20_000))


def test_the_descriptive_interval_never_holds_0_at_equality_and_pairwise_ones_do() -> None:
    cells = Cells.of(torch.tensor([[60.0, 40], [0, 0]]).double().expand(3, 2, 2))
    low, high = descriptive_interval(CONSTRAINTS["demographic_parity"], cells)
    assert 0 < low < high
    pairs = pairwise(CONSTRAINTS["demographic_parity"], cells).difference
    assert ((pairs.low < 0) & (pairs.high > 0)).all()


@pytest.mark.parametrize("groups", [2, 3, 5, 10, 30])
def test_the_critical_value_of_equal_variances_is_tukeys(groups: int) -> None:
    expected = studentized_range.ppf(0.95, groups, 1e6) / math.sqrt(2)
    for seed in range(3):
        assert max_t([torch.full((groups,), 0.3).double()], seed=seed) == pytest.approx(expected, rel=0.01)


def test_the_critical_value_is_the_quantile_of_the_largest_difference() -> None:
    variances = [torch.tensor([0.1, 1.0, 10.0, 1.0]).double(), torch.tensor([3.0, 0.01]).double()]
    source = torch.Generator().manual_seed(0)
    largest = torch.zeros(200_000).double()
    for variance in variances:
        drawn = torch.randn(200_000, len(variance), generator=source, dtype=torch.float64) * variance.sqrt()
        for a, b in combinations(range(len(variance)), 2):
            largest = torch.maximum(largest, (drawn[:, a] - drawn[:, b]).abs() / (variance[a] + variance[b]).sqrt())
    assert (largest <= max_t(variances)).double().mean().item() == pytest.approx(0.95, abs=0.004)
    assert max_t(variances) <= largest_of(7)
    assert max_t([each.flip(0) for each in reversed(variances)]) == max_t(variances)
    assert max_t([torch.ones(2).double()]) == pytest.approx(1.959963984540054)
    assert max_t([torch.zeros(3).double()]) == pytest.approx(1.959963984540054)


def test_the_permutation_p_value_is_that_of_all_exchanges() -> None:
    """Every way to hand seven people's decisions to groups of three, two and two."""
    table = torch.tensor([[[0.0, 3], [0, 0]], [[1, 1], [0, 0]], [[2, 0], [0, 0]]]).double()
    decisions, sizes = [1, 1, 1, 1, 0, 0, 0], (3, 2, 2)

    def largest(groups: tuple[list[int], ...]) -> float:
        rates = [sum(own) / len(own) for own in groups]
        return max(abs(rates[a] - rates[b]) / math.sqrt(1 / sizes[a] + 1 / sizes[b]) for a, b in combinations(range(3), 2))

    seen, far, all_of_them = largest(([1, 1, 1], [1, 0], [0, 0])), 0, 0
    for first in combinations(range(7), 3):
        rest = [k for k in range(7) if k not in first]
        for second in combinations(rest, 2):
            third = [k for k in rest if k not in second]
            all_of_them += 1
            far += largest(tuple([decisions[k] for k in own] for own in (first, second, third))) >= seen - 1e-12
    found = permuted(CONSTRAINTS["demographic_parity"], Cells.of(table), replicates=20_000)
    assert found == pytest.approx(far / all_of_them, abs=5 * math.sqrt(0.25 / 20_000))


def test_permuting_within_the_stratum_is_blind_to_base_rates() -> None:
    """True positive rates are equal, base rates are not: everybody permuted would say that groups differ."""
    table = torch.tensor([[[800.0, 100], [40, 60]], [[100, 20], [400, 600]]]).double()
    assert permuted(CONSTRAINTS["equal_opportunity"], Cells.of(table)) == 1
    assert permuted(CONSTRAINTS["demographic_parity"], Cells.of(table)) == pytest.approx(1 / 1001)


def test_as_many_people_of_equal_weight_tell_what_equal_weights_tell() -> None:
    counts = torch.tensor([[[50.0, 20], [5, 9]], [[300, 100], [70, 55]]]).double()
    plain = sample(Cells.of(counts), selection_rate)
    torch.testing.assert_close(plain.trials, counts.sum((-1, -2)))
    heavy = sample(Cells(counts, counts * 7, counts * 49), selection_rate)
    torch.testing.assert_close(heavy.trials, plain.trials)
    uneven = sample(Cells(counts, counts * 2, counts * 5), selection_rate)
    assert (uneven.trials < plain.trials).all()


def test_shrunken_rates_have_the_likeliest_prior() -> None:
    source = np.random.default_rng(0)
    n = source.integers(5, 300, size=12)
    s = source.binomial(n, source.beta(4, 8, size=12))

    def unlikely(at: tuple[float, float]) -> float:
        mean, strength = 1 / (1 + math.exp(-at[0])), math.exp(at[1])
        return -float(betabinom.logpmf(s, n, mean * strength, (1 - mean) * strength).sum())

    logit, log = minimize(unlikely, (0.0, 2.0), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).x
    mean, strength = 1 / (1 + math.exp(-logit)), math.exp(log)
    found = shrunken(torch.from_numpy(s).double(), torch.from_numpy(n).double())
    np.testing.assert_allclose(found.value, (s + mean * strength) / (n + strength), rtol=2e-3)
    assert ((found.low < found.value) & (found.value < found.high)).all()


def test_shrunken_rates_lie_between_the_raw_ones_and_small_groups_move_most() -> None:
    s, n = torch.tensor([1.0, 30, 600, 0]).double(), torch.tensor([2.0, 100, 1_000, 0]).double()
    found = shrunken(s, n)
    raw = s / n
    assert (found.value[:3] >= raw[:3].min()).all()
    assert (found.value[:3] <= raw[:3].max()).all()
    assert (found.value[1] - raw[1]).abs() > (found.value[2] - raw[2]).abs()
    assert found.value[3].isfinite(), "a group without trials has the prior's mean"
    for successes in (torch.zeros(3).double(), n[:3]):
        ends = torch.stack(shrunken(successes, n[:3]))
        assert ends.isfinite().all()
        assert ((ends >= 0) & (ends <= 1)).all()


def test_thresholds_of_groups_are_read_off_the_counts() -> None:
    source = torch.Generator().manual_seed(0)
    group = torch.randint(0, 3, (900,), generator=source)
    score = torch.rand(900, generator=source, dtype=torch.float64) + 0.2 * group
    y = torch.bernoulli((score / 2).clamp(max=1), generator=source)
    found = at_thresholds(y, score, group, 3)
    assert found.cells.weight.shape == (901, 3, 2, 2)
    thresholds, rates = nearest_thresholds(found, true_positive_rate, 0.5)
    for g in range(3):
        own = (group == g) & (y == 1)
        assert rates[g].item() == pytest.approx((score[own] >= thresholds[g]).double().mean().item())
        assert abs(rates[g].item() - 0.5) <= 0.5 / int(own.sum()) + 1e-12
    assert nearest_thresholds(found, selection_rate, 0.0)[0].isinf().all(), "infinity selects nobody"
    nobody = at_thresholds(y * (group > 0), score, group, 3)
    assert nearest_thresholds(nobody, true_positive_rate, 0.5)[0].isnan().tolist() == [True, False, False]
    with pytest.raises(QueryError, match="is not a number"):
        at_thresholds(y, score * torch.nan, group, 3)
