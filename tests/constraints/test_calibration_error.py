"""Calibration by group, against enumeration, simulation and what is planted."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from cfair.constraints.calibration_error import calibrated, calibration_curve, calibration_error, expected_error, raw_error
from cfair.constraints.scores import bin_scores
from cfair.errors import QueryError


def people(n: int, seed: int = 0, groups: int = 3, off: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Outcomes, scores and groups; outcomes of the last group are ``off`` logits from their scores."""
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(0, groups, (n,), generator=source)
    logit = 1.5 * torch.randn(n, generator=source, dtype=torch.float64) - 0.7 + 0.4 * group
    truth = torch.where(group == groups - 1, logit + off, logit)
    return torch.bernoulli(truth.sigmoid(), generator=source), logit.sigmoid(), group


def test_bins_have_equal_counts_and_never_part_ties() -> None:
    score = torch.tensor([0.1] * 30 + [0.2] * 5 + [0.3] * 65).double()
    y = torch.zeros(100).double()
    bins = bin_scores(y, score, torch.zeros(100).long(), 1).binned
    assert bins.people.tolist() == [[0, 30, 0, 5, 0, 0, 65, 0, 0, 0]]
    distinct = torch.linspace(0.01, 0.99, 353, dtype=torch.float64)
    sizes = bin_scores(torch.zeros(353).double(), distinct, torch.zeros(353).long(), 1).binned.people
    assert sizes.sum() == 353
    assert sizes.max() - sizes.min() <= 1


def test_a_score_that_is_no_probability_is_refused() -> None:
    with pytest.raises(QueryError, match="calibration needs probabilities"):
        bin_scores(torch.zeros(2), torch.tensor([0.5, 1.5]), torch.zeros(2).long(), 1)


def test_whole_weights_bin_and_err_as_so_many_people_do() -> None:
    y, score, group = people(500)
    often = torch.randint(0, 4, (500,), generator=torch.Generator().manual_seed(1))
    weighted = bin_scores(y, score, group, 3, often.double())
    repeated = bin_scores(*(each.repeat_interleave(often) for each in (y, score, group)), 3)
    torch.testing.assert_close(weighted.weight, repeated.weight)
    torch.testing.assert_close(raw_error(weighted), raw_error(repeated))
    halved = bin_scores(y, score, group, 3, often.double() / 7)
    for measure in (raw_error, expected_error, lambda each: calibration_error(each).low, lambda each: calibrated(each)[1]):
        torch.testing.assert_close(measure(halved), measure(weighted))


def test_the_expectation_is_that_of_a_perfect_score() -> None:
    """Against every combination of outcomes of one bin, weighed by its probability, in the limit of many people, and by simulation."""
    score = torch.full((14,), 0.4).double()
    scored = bin_scores(torch.zeros(14).double(), score, torch.zeros(14).long(), 1)
    exact = sum(math.comb(14, k) * 0.4**k * 0.6 ** (14 - k) * abs(k - 14 * 0.4) / 14 for k in range(15))
    assert expected_error(scored).item() == pytest.approx(exact, rel=0.02)  # de Moivre's normal limit, at fourteen people
    y, score, group = people(3_000)
    source = torch.Generator().manual_seed(2)
    drawn = torch.stack([raw_error(bin_scores(torch.bernoulli(score, generator=source), score, group, 3)) for _ in range(400)])
    error = drawn.std(0) / math.sqrt(len(drawn))
    expected = expected_error(bin_scores(y, score, group, 3))
    assert ((drawn.mean(0) - expected).abs() <= 5 * error + 0.005 * expected).all()


@pytest.mark.parametrize(("n", "rate", "published"), [(14_695, 0.1136, 0.0065), (353, 0.1275, 0.043)])
def test_the_expectation_is_of_the_published_size(n: int, rate: float, published: float) -> None:
    """Adult's women and its smallest race: a score as uninformative as their base rate has the largest expectation that one can have."""
    score = rate + torch.linspace(-1e-6, 1e-6, n, dtype=torch.float64)
    found = expected_error(bin_scores(torch.zeros(n).double(), score, torch.zeros(n).long(), 1)).item()
    assert found == pytest.approx(math.sqrt(2 / math.pi * 10 / n * rate * (1 - rate)), rel=1e-3)
    assert found == pytest.approx(published, rel=0.05)


def test_a_perfect_scores_debiased_error_has_mean_0_and_covers_0() -> None:
    source, values, covered = torch.Generator().manual_seed(3), [], []
    for _ in range(300):
        _, score, group = people(1_500, seed=0)
        found = calibration_error(bin_scores(torch.bernoulli(score, generator=source), score, group, 3))
        values.append(found.value)
        covered.append((found.low <= 0) & (found.high >= 0))
    drawn = torch.stack(values)
    assert (drawn.mean(0).abs() <= 5 * drawn.std(0) / math.sqrt(300) + 0.001).all()
    assert torch.stack(covered).double().mean() >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / 900)


def test_a_planted_miscalibration_of_one_group_is_found_there() -> None:
    y, score, group = people(1_500, off=0.7)
    scored = bin_scores(y, score, group, 3)
    found, (p, each) = calibration_error(scored), calibrated(scored)
    assert found.low[2] > 0
    assert (found.low[:2] <= 0).all()
    assert p == pytest.approx(1 / 1001)
    assert each[2] == pytest.approx(1 / 1001)
    assert (each[:2] > 0.05).all()
    many = bin_scores(*people(600_000, off=0.7), 3)
    truth = raw_error(many)[2]
    assert found.low[2] <= truth <= found.high[2]


def test_the_p_value_is_exact_where_few_people_make_enumeration_possible() -> None:
    score = torch.tensor([0.2, 0.4, 0.7, 0.9]).double()
    for outcome in ([1.0, 1, 0, 0], [0.0, 0, 1, 1], [1.0, 0, 0, 1]):
        y = torch.tensor(outcome).double()
        scored = bin_scores(y, score, torch.zeros(4).long(), 1)
        raw = raw_error(scored).item()
        exact = 0.0
        for drawn in product([0.0, 1.0], repeat=4):
            drew = torch.tensor(drawn).double()
            chance = torch.where(drew == 1, score, 1 - score).prod().item()
            exact += chance * (raw_error(bin_scores(drew, score, torch.zeros(4).long(), 1)).item() >= raw - 1e-12)
        found, _ = calibrated(scored, replicates=4_000)
        assert found == pytest.approx(exact, abs=5 * math.sqrt(0.25 / 4_000))


def test_the_curve_gives_each_bins_score_share_and_interval() -> None:
    y, score, group = people(2_000)
    curve = calibration_curve(bin_scores(y, score, group, 3))
    assert (curve.score.diff(dim=-1) > 0).all()
    assert ((curve.low <= curve.observed) & (curve.observed <= curve.high)).all()
    assert curve.people.sum() == 2_000
    one = calibration_curve(bin_scores(y, torch.full_like(score, 0.3), group, 3))
    assert one.observed.isnan().sum() == 27, "one bin a group has people"


def test_hard_cases_have_numbers_or_say_that_they_have_none() -> None:
    y, score, group = people(40)
    certain = bin_scores(y, y.clone(), group, 4)
    assert raw_error(certain)[:3].tolist() == [0, 0, 0]
    assert calibration_error(certain).value[:3].tolist() == [0, 0, 0]
    assert calibrated(certain)[0] == 1
    assert calibrated(certain)[1][3].isnan(), "the last group has nobody"
    wrong = bin_scores(y, 1 - y, group, 3)
    assert raw_error(wrong).tolist() == [1, 1, 1]
    assert calibrated(wrong)[0] == pytest.approx(1 / 1001)
    nobody = bin_scores(y[:0], score[:0], group[:0], 3)
    assert calibrated(nobody)[0] is None
