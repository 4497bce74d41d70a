"""Verdicts: Holm's correction over all checks, then the size of the effect."""

from itertools import permutations

import pytest

from cfair.diagnosis.judging import adjusted, judged, verdict_of
from cfair.diagnosis.records import Check


def by_definition(p: tuple[float, ...]) -> list[float]:
    """Holm's step-down procedure as he states it: the smallest level at which each hypothesis is rejected."""
    ordered = sorted(p)
    return [max(min(1.0, (len(p) - j) * ordered[j]) for j in range(ordered.index(each) + 1)) for each in p]


@pytest.mark.parametrize("p", list(permutations((0.001, 0.02, 0.3, 0.012))))
def test_holm_is_that_of_its_definition_in_any_order(p: tuple[float, ...]) -> None:
    assert adjusted(p) == pytest.approx(by_definition(p))


def test_holm_of_a_textbook_example() -> None:
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted([]) == []


def test_a_check_fails_only_where_it_is_detected_and_its_effect_is_large() -> None:
    assert verdict_of(0.009, tolerable=False) == "fails"
    assert verdict_of(0.009, tolerable=True) == "detected, small"
    assert verdict_of(0.01, tolerable=False) == "passes"


def test_the_worst_come_first_and_what_has_no_p_value_is_left_as_it_is() -> None:
    def check(p: float | None, effect: float) -> Check:
        return Check(check="residue", statistic="mean", node="x", n=9, p=p, effect=effect, tolerance=(-0.1, 0.1))

    given = [check(0.5, 0.0), check(None, 0.0), check(1e-9, 0.05), check(1e-9, 0.3), check(1e-9, -0.5)]
    done = judged(given)
    assert [each.verdict for each in done] == ["fails", "fails", "detected, small", "not checked", "passes"]
    assert [each.effect for each in done][:3] == [-0.5, 0.3, 0.05]
    assert done[0].p_holm == pytest.approx(4e-9)
