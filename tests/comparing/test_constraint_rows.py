"""Rows of group constraints: a number for everything, or why there is none."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from cfair.comparing import Division, People, Row, constraint_rows, curves_of
from cfair.comparing.rows import Said
from cfair.constraints import CONSTRAINTS
from cfair.constraints.definition import Definition

ALL = tuple(CONSTRAINTS)


def rows(
    y: Sequence[float] | Tensor, score: Sequence[float] | Tensor, group: Sequence[int] | Tensor, names: Sequence[str], **more: object
) -> list[Said]:
    """The rows of one predictor in one division."""
    y, score = (torch.as_tensor(each, dtype=torch.float64) for each in (y, score))
    weights = more.pop("weights", None)
    division = Division("race", tuple(names), torch.as_tensor(group))
    asked = {"constraints": ALL, "min_group_size": 1, "replicates": 200, **more}
    return list(constraint_rows(People(y, {"p": score}, weights), [division], **asked))  # type: ignore[arg-type]


def drawn(n: int = 600, groups: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    group = torch.randint(0, groups, (n,), generator=source)
    score = torch.sigmoid(1.5 * torch.randn(n, generator=source, dtype=torch.float64) + 0.3 * group - 0.5)
    return torch.bernoulli(score, generator=source), score, group


def honest(found: Sequence[Said]) -> None:
    """Every row has a finite number, or a reason why it has none; intervals hold their values."""
    for row, reason in found:
        assert (row.value is None) == (reason is not None), (row, reason)
        assert all(end is None or math.isfinite(end) for end in (row.value, row.low, row.high)), row
        assert row.low is None or row.high is None or row.value is None or row.low <= row.value <= row.high, row
        assert row.n is not None


def by(found: Sequence[Said], measure: str, group: str | None = None) -> Row:
    (row,) = [row for row, _ in found if (row.measure, row.group) == (measure, group)]
    return row


def reason(found: Sequence[Said], measure: str, group: str | None = None) -> str | None:
    (text,) = [text for row, text in found if (row.measure, row.group) == (measure, group)]
    return text


def test_everything_is_said_of_every_group_and_of_every_pair() -> None:
    found = rows(*drawn(), "abc")
    honest(found)
    assert len({(row.measure, row.group) for row, _ in found}) == len(found)
    pairs = [row.group for row, _ in found if row.measure == "demographic_parity_pair"]
    assert pairs == ["b - a", "c - a", "c - b"]
    a, b = by(found, "selection_rate", "a"), by(found, "selection_rate", "b")
    assert by(found, "demographic_parity_pair", "b - a").value == pytest.approx(b.value - a.value)
    measures = {row.measure for row, _ in found}
    assert {"equalized_odds_pair[y=0]", "equalized_odds_pair[y=1]", "treatment_equality_share_difference"} <= measures
    assert {f"{name}_p" for name in ALL} <= measures
    assert {f"{name}_difference" for name in ALL} <= measures
    odds = by(found, "false_negatives_per_false_positive", "a").value
    share = by(found, "false_negative_share", "a").value
    assert share == pytest.approx(odds / (1 + odds))
    assert by(found, "selection_rate_shrunken", "a").value != a.value


def test_a_group_without_positives_says_so_and_the_others_are_compared() -> None:
    y, score, group = drawn()
    y = torch.where(group == 1, 0.0, y)
    found = rows(y, score, group, "abc")
    honest(found)
    assert reason(found, "equal_opportunity_difference") == "group 'b' has no people with outcome 1"
    assert reason(found, "true_positive_rate", "b") == "group 'b' has no people with outcome 1"
    assert by(found, "equal_opportunity_pair", "c - a").value is not None
    assert by(found, "demographic_parity_difference").value is not None
    assert by(found, "true_positive_rate_shrunken", "b").value is not None


def test_a_group_without_false_positives_has_no_ratio_of_errors_but_a_share() -> None:
    y, score, group = drawn()
    y = torch.where((group == 1) & (score >= 0.5), 1.0, y)
    found = rows(y, score, group, "abc")
    honest(found)
    assert reason(found, "treatment_equality_difference") == "group 'b' has no false positives to divide by"
    assert reason(found, "false_negatives_per_false_positive", "b") == "group 'b' has no false positives to divide by"
    assert by(found, "treatment_equality_share_difference").value is not None
    inverse = rows(y, score, group, "abc", definition=Definition(errors="FP/FN"))
    assert by(inverse, "treatment_equality_difference").value is not None


def test_a_group_of_three_a_constant_prediction_and_one_class_only() -> None:
    y, score, group = drawn()
    three = torch.where(torch.arange(600) < 3, 3, group)
    honest(rows(y, score, three, "abcd"))
    large = rows(y, score, three, "abcd", min_group_size=30)
    assert by(large, "selection_rate", "d").n == 3
    assert not any(" - " in (row.group or "") and "d" in (row.group or "") for row, _ in large)
    constant = rows(y, torch.full_like(score, 0.3), group, "abc")
    honest(constant)
    assert by(constant, "demographic_parity_difference").value == 0
    assert by(constant, "demographic_parity_p").value == 1
    assert reason(constant, "demographic_parity_ratio") == "no group has a positive decision among people"
    honest(rows(torch.ones(600), score, group, "abc"))
    honest(rows(torch.zeros(600), torch.ones(600), group, "abc"))


def test_people_of_weight_0_and_groups_of_them() -> None:
    y, score, group = drawn()
    found = rows(y, score, group, "abc", weights=torch.where(group == 2, 0.0, 1.0).double())
    honest(found)
    assert reason(found, "selection_rate", "c") == "group 'c' has nobody of weight above 0"
    without = rows(y[group < 2], score[group < 2], group[group < 2], "ab")
    for row, _ in without:
        assert by(found, row.measure, row.group).value == pytest.approx(row.value, abs=0.05 if "_p" in row.measure else 1e-9)


def test_sixty_groups_are_all_there() -> None:
    found = rows(*drawn(6_000, 60), [f"g{k}" for k in range(60)])
    honest(found)
    assert sum(row.measure == "selection_rate" for row, _ in found) == 60
    assert sum(row.measure == "demographic_parity_pair" for row, _ in found) == 1_770


def test_one_group_and_nobody() -> None:
    y, score, group = drawn()
    alone = rows(y, score, group * 0, "a")
    honest(alone)
    assert reason(alone, "demographic_parity_difference") == "fewer than two groups have people"
    assert by(alone, "calibration_p").value is not None
    honest(rows(y, score, group, "abc", min_group_size=10_000))


def test_decisions_and_scores_of_another_unit_have_no_calibration() -> None:
    y, score, group = drawn()
    decisions = rows(y, (score > 0.5).double(), group, "abc")
    assert "decisions" in str(reason(decisions, "calibration_difference"))
    unit = rows(y, score * 10, group, "abc", threshold=5.0)
    assert reason(unit, "calibration_difference") == "scores are not probabilities"
    for measure in ("demographic_parity_difference", "equalized_odds_p"):
        assert by(unit, measure).value == by(rows(y, score, group, "abc"), measure).value == by(decisions, measure).value


def test_the_same_seed_says_the_same_and_the_global_stream_is_untouched() -> None:
    before = torch.get_rng_state()
    assert rows(*drawn(), "abc", seed=3) == rows(*drawn(), "abc", seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_groups_are_told_apart_where_they_differ_and_not_where_they_do_not() -> None:
    y, score, group = drawn(6_000)
    same = rows(y, score, torch.arange(6_000) % 3, "abc")
    for name in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        assert by(same, f"{name}_difference").low == 0
        assert by(same, f"{name}_p").value > 0.05
    apart = rows(y, score, group, "abc")
    assert by(apart, "demographic_parity_difference").low > 0
    assert by(apart, "demographic_parity_p").value < 0.05


def test_several_levels_are_each_compared_with_the_rest_and_averaged() -> None:
    source = torch.Generator().manual_seed(1)
    y, group = torch.randint(0, 3, (900,), generator=source).double(), torch.randint(0, 3, (900,), generator=source)
    p = torch.softmax(2 * torch.nn.functional.one_hot(y.long(), 3) + torch.randn(900, 3, generator=source, dtype=torch.float64), -1)
    levels = ("low", "mid", "high")
    found = rows(y, p, group, "abc", levels=levels)
    honest(found)
    by_position = rows(y, p.argmax(-1).double(), group, "abc", levels=levels)
    for row, _ in by_position:
        assert by(found, row.measure, row.group) == row
    alone = rows((y == 1).double(), (p.argmax(-1) == 1).double(), group, "abc")
    for measure in ("demographic_parity_difference", "equalized_odds_p", "predictive_parity_ratio"):
        assert by(found, f"{measure}[mid]").value == by(alone, measure).value
    differences = [by(found, f"equalized_odds_difference[{level}]").value for level in levels]
    assert by(found, "equalized_odds_difference[macro]").value == pytest.approx(sum(each or 0 for each in differences) / 3)
    ps = [by(found, f"equalized_odds_p[{level}]").value or 0 for level in levels]
    assert by(found, "equalized_odds_p[macro]").value == min(1, 3 * min(ps))
    assert by(found, "calibration_error[low]", "a").value is not None


def test_curves_are_given_for_each_predictor_and_group() -> None:
    y, score, group = drawn()
    found = curves_of(People(y, {"p": score}), Division("race", ("a", "b", "c"), group))
    assert found["p"].observed.shape == (3, 10)
