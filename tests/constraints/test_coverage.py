"""Whether intervals cover and tests reject as often as they say: 2,000 simulated tables of each kind."""

import logging
import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from cfair.constraints import CONSTRAINTS, Cells, Constraint
from cfair.constraints.calibration_error import calibrated, calibration_error
from cfair.constraints.pairwise import pairwise
from cfair.constraints.permutation import permuted
from cfair.constraints.scores import bin_scores

pytestmark = pytest.mark.slow

LOG = logging.getLogger(__name__)  # --log-cli-level=INFO shows the figures

TABLES = 2_000
DECIDED = [name for name in CONSTRAINTS if CONSTRAINTS[name].of == "decisions"]
LARGE, SMALL = (200, 300, 600), (30, 30, 30)
BASE = torch.tensor([0.3, 0.45, 0.6]).double()  # unequal base rates
EQUAL, APART = torch.tensor([0.5, 0.5, 0.5]).double(), torch.tensor([0.35, 0.5, 0.6]).double()
ODD = torch.tensor([0.25, 0.3, 0.2]).double()


def cells_of(tpr: Tensor, fpr: Tensor, base: Tensor) -> Tensor:
    """The probability of each cell, shape (3, 2, 2), of groups with such rates."""
    return torch.stack([torch.stack([(1 - base) * (1 - fpr), (1 - base) * fpr], -1), torch.stack([base * (1 - tpr), base * tpr], -1)], -2)


def with_ppv(ppv: Tensor, selected: Tensor, base: Tensor) -> Tensor:
    """The same of groups of whom ``selected`` are selected, with outcome 1 in a share ``ppv``."""
    hit, missed = selected * ppv, base - selected * ppv
    return torch.stack([torch.stack([1 - selected - missed, selected - hit], -1), torch.stack([missed, hit], -1)], -2)


def with_errors(share: Tensor, errors: Tensor, base: Tensor) -> Tensor:
    """The same of groups of whom ``errors`` are decided wrongly, a share of which are false negatives."""
    missed, false = share * errors, (1 - share) * errors
    return torch.stack([torch.stack([1 - base - false, false], -1), torch.stack([missed, base - missed], -1)], -2)


def tables_of(name: str, rate: Tensor) -> Tensor:
    """Probabilities of cells under which the constraint's rates are ``rate``, other gaps and base rates being unequal."""
    return {
        "demographic_parity": lambda: with_ppv(torch.tensor([0.5, 0.7, 0.8]).double(), rate, BASE),
        "equal_opportunity": lambda: cells_of(rate, ODD, BASE),
        "equalized_odds": lambda: cells_of(rate, rate / 2, BASE),
        "predictive_parity": lambda: with_ppv(rate, ODD, BASE),
        "treatment_equality": lambda: with_errors(rate, torch.tensor([0.3, 0.4, 0.35]).double(), BASE),
    }[name]()


def drawn(cells: Tensor, sizes: tuple[int, ...], tables: int, seed: int = 0) -> Tensor:
    """Counts of so many people of each group, shape (tables, groups, 2, 2)."""
    source = np.random.default_rng(seed)
    groups = [source.multinomial(n, own.flatten().numpy(), size=tables) for n, own in zip(sizes, cells, strict=True)]
    return torch.from_numpy(np.stack(groups, 1)).double().reshape(tables, -1, 2, 2)


def coverage(constraint: Constraint, cells: Tensor, sizes: tuple[int, ...], scale: str = "difference") -> float:
    """The share of tables in which all pairs' intervals hold the true differences at once."""
    truth = constraint.rates(cells)
    covered, usable = 0, 0  # a pair with a group without false positives has no interval that could miss
    for table in drawn(cells, sizes, TABLES):
        pairs = pairwise(constraint, Cells.of(table))
        true = truth[:, pairs.later] - truth[:, pairs.earlier] if scale == "difference" else truth[:, pairs.later] / truth[:, pairs.earlier]
        _, low, high = getattr(pairs, scale)
        known = ~low.isnan()
        usable += bool(known.all())
        covered += bool((((low <= true + 1e-12) & (true <= high + 1e-12)) | ~known).all())
    assert usable > (0.99 if min(sizes) >= 200 else 0.8) * TABLES
    return covered / TABLES


@pytest.mark.parametrize("rate", [EQUAL, APART], ids=["equal", "apart"])
@pytest.mark.parametrize("name", DECIDED)
def test_simultaneous_intervals_cover_in_groups_of_200_and_more(name: str, rate: Tensor) -> None:
    found = coverage(CONSTRAINTS[name], tables_of(name, rate), LARGE)
    LOG.info("coverage %.4f", found)
    assert 0.925 <= found <= 0.985


@pytest.mark.parametrize("rate", [EQUAL, APART], ids=["equal", "apart"])
@pytest.mark.parametrize("name", DECIDED)
def test_simultaneous_intervals_cover_in_groups_of_30(name: str, rate: Tensor) -> None:
    found = coverage(CONSTRAINTS[name], tables_of(name, rate), SMALL)
    LOG.info("coverage %.4f", found)
    assert found >= 0.90


@pytest.mark.parametrize("rate", [0.02, 0.98])
def test_simultaneous_intervals_cover_rates_near_0_and_1(rate: float) -> None:
    for sizes in (LARGE, SMALL):
        found = coverage(CONSTRAINTS["equal_opportunity"], cells_of(torch.full((3,), rate).double(), ODD, BASE), sizes)
        LOG.info("coverage %.4f", found)
        assert found >= 0.925


def test_the_log_ratio_of_errors_covers() -> None:
    for rate in (EQUAL, APART):
        found = coverage(CONSTRAINTS["treatment_equality"], tables_of("treatment_equality", rate), LARGE, "ratio")
        LOG.info("coverage %.4f", found)
        assert 0.925 <= found <= 0.985


@pytest.mark.parametrize("name", DECIDED)
def test_the_permutation_test_has_its_size(name: str) -> None:
    tables = drawn(tables_of(name, EQUAL), LARGE, TABLES, seed=1)
    p = [permuted(CONSTRAINTS[name], Cells.of(table), seed=seed) for seed, table in enumerate(tables)]
    size = sum(each is not None and each <= 0.05 for each in p) / TABLES
    LOG.info("size %.4f", size)
    assert 0.035 <= size <= 0.065


@pytest.mark.parametrize("name", DECIDED)
def test_with_unequal_weights_intervals_cover_and_the_test_has_its_size(name: str) -> None:
    """Weights of 1 and 3 go with the outcome; people are drawn so that the weighted table has the rates."""
    weights = torch.tensor([[1.0, 3.0], [3.0, 1.0]]).double()
    covered, rejected = {"equal": 0, "apart": 0}, 0
    for kind, rate in (("equal", EQUAL), ("apart", APART)):
        cells = tables_of(name, rate)
        sampled = cells / weights / (cells / weights).sum((-2, -1), keepdim=True)
        truth = CONSTRAINTS[name].rates(cells)
        for seed, table in enumerate(drawn(sampled, (300, 450, 900), TABLES, seed=2)):
            own = Cells(table, table * weights, table * weights.square())
            pairs = pairwise(CONSTRAINTS[name], own)
            true = truth[:, pairs.later] - truth[:, pairs.earlier]
            covered[kind] += bool(((pairs.difference.low <= true + 1e-12) & (true <= pairs.difference.high + 1e-12)).all())
            if kind == "equal":
                p = permuted(CONSTRAINTS[name], own, seed=seed)
                rejected += p is not None and p <= 0.05
    LOG.info("covered %s, rejected %d, of %d", covered, rejected, TABLES)
    assert 0.925 <= covered["equal"] / TABLES <= 0.985
    assert 0.925 <= covered["apart"] / TABLES <= 0.985
    assert 0.035 <= rejected / TABLES <= 0.065


def scored(sizes: Mapping[int, int], shift: float, source: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Outcomes, scores and groups; the last group's outcomes are ``shift`` logits off its scores."""
    group = torch.cat([torch.full((n,), g) for g, n in sizes.items()])
    logit = 1.2 * torch.randn(len(group), generator=source, dtype=torch.float64) - 0.8 + 0.3 * group
    truth = torch.where(group == max(sizes), logit + shift, logit)
    return torch.bernoulli(truth.sigmoid(), generator=source), logit.sigmoid(), group


@pytest.mark.parametrize("sizes", [LARGE, SMALL])
def test_calibration_errors_cover_0_and_the_test_has_its_size_where_scores_are_true(sizes: tuple[int, ...]) -> None:
    source = torch.Generator().manual_seed(3)
    rejected, covered, value, spread = 0, 0, torch.zeros(3).double(), torch.zeros(3).double()
    for seed in range(TABLES):
        y, score, group = scored(dict(enumerate(sizes)), 0.0, source)
        own = bin_scores(y, score, group, 3)
        p, _ = calibrated(own, seed=seed)
        rejected += p is not None and p <= 0.05
        error = calibration_error(own)
        covered += int(((error.low <= 0) & (error.high >= 0)).sum())
        value, spread = value + error.value, spread + error.value.square()
    LOG.info("rejected %d of %d, covered 0 in %d of %d, mean %s", rejected, TABLES, covered, 3 * TABLES, (value / TABLES).tolist())
    assert 0.035 <= rejected / TABLES <= 0.065
    assert covered / TABLES / 3 >= 0.925
    error = (spread / TABLES - (value / TABLES).square()).sqrt() / math.sqrt(TABLES)
    within = bool(((value / TABLES).abs() <= 5 * error + 0.003).all())
    if sizes == SMALL and not within:
        pytest.xfail("in groups of 30, bins of three, the normal limit leaves a mean of 0.011 where 0 is right")
    assert within


def test_intervals_of_calibration_errors_cover_the_error_of_a_score_that_is_off() -> None:
    source, sizes = torch.Generator().manual_seed(4), dict(enumerate(LARGE))
    many = dict.fromkeys(sizes, 200_000)
    for shift in (0.1, 0.3, 0.7):
        truth = calibration_error(bin_scores(*scored(many, shift, source), 3)).value[2].item()
        errors = [calibration_error(bin_scores(*scored(sizes, shift, source), 3)) for _ in range(TABLES // 4)]
        covered = sum(e.low[2].item() <= truth <= e.high[2].item() for e in errors) / len(errors)
        mean = sum(each.value[2].item() for each in errors) / len(errors)
        LOG.info("%.1f logits: coverage %.4f, error %.4f, mean estimate %.4f", shift, covered, truth, mean)
        assert covered >= 0.925
