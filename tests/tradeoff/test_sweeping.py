"""A mitigation at setting after setting of its dial."""

from dataclasses import replace

import pytest
import torch

from cfair.errors import QueryError
from cfair.interfaces import Columns
from cfair.mitigations import MITIGATIONS, Plan, settings_of
from cfair.pipeline import Options
from cfair.report import to_tradeoff_markdown
from cfair.spec import ModelSpec
from cfair.tradeoff import Point, curve, sweep

from school import people, school

OPTIONS = Options(predictors=("unaware", "latent"), uncertainty="none", draws=2)
PLAN = Plan(mitigation="penalty", constraints=("demographic_parity",), min_group_size=20)


@pytest.fixture(scope="module")
def known() -> tuple[ModelSpec, Columns]:
    scm, columns = people(school("bernoulli"), 1200)
    return scm.spec, columns


def values(rows: tuple[Point, ...], part: str, measure: str, mitigation: str = "penalty") -> list[float]:
    """Of a mitigation's points, by ascending setting."""
    own = [row for row in rows if (row.split, row.measure, row.mitigation) == (part, measure, mitigation)]
    return [row.value for row in sorted(own, key=lambda row: row.strength or 0.0) if row.value is not None]


@pytest.mark.parametrize("mitigation", ["penalty", pytest.param("lagrangian", marks=pytest.mark.slow), "threshold"])
def test_a_curve_goes_from_nothing_trained_in_to_hardly_any_difference(known: tuple[ModelSpec, Columns], mitigation: str) -> None:
    rows = sweep(*known, replace(PLAN, mitigation=mitigation), OPTIONS, points=4)
    differences = values(rows, "train", "demographic_parity_difference", mitigation)
    assert len(differences) == 4
    assert differences[-1] < 0.2 * differences[0]
    for part in ("train", "validation", "test"):
        for measure in ("accuracy", "demographic_parity_difference"):
            assert values(rows, part, measure, mitigation)[0] == pytest.approx(values(rows, part, measure, "unaware")[0], abs=0.003)


def test_counterfactual_predictors_stand_in_the_same_plane(known: tuple[ModelSpec, Columns]) -> None:
    rows = sweep(*known, PLAN, OPTIONS, points=2)
    assert values(rows, "test", "gap_reabducted", "latent")[0] < values(rows, "test", "gap_reabducted", "unaware")[0]
    assert {(row.split, row.measure) for row in rows if row.mitigation == "latent"} == {
        *((part, measure) for part in ("train", "validation", "test") for measure in ("accuracy", "demographic_parity_difference")),
        ("test", "gap_reabducted"),
    }
    assert all(row.strength is None and not row.pareto for row in rows if row.mitigation == "latent")


def test_the_same_seed_gives_the_same_curve(known: tuple[ModelSpec, Columns]) -> None:
    assert sweep(*known, PLAN, OPTIONS, points=2) == sweep(*known, PLAN, OPTIONS, points=2)


@pytest.mark.slow  # processes of their own
def test_several_splits_give_means_over_them(known: tuple[ModelSpec, Columns]) -> None:
    rows = sweep(*known, PLAN, replace(OPTIONS, splits=2), points=2)
    own = next(row for row in rows if row.strength and (row.split, row.measure) == ("test", "accuracy"))
    assert own.value is not None
    assert own.low is not None
    assert own.low < own.value


def test_what_makes_no_curve_is_refused(known: tuple[ModelSpec, Columns]) -> None:
    with pytest.raises(QueryError, match="make no curve"):
        sweep(*known, PLAN, OPTIONS, points=1)
    with pytest.raises(QueryError, match="thresholds move decisions"):
        sweep(*known, replace(PLAN, mitigation="threshold", constraints=("calibration",)), OPTIONS)


@pytest.mark.parametrize("mitigation", MITIGATIONS)
def test_settings_ascend_from_nothing(mitigation: str) -> None:
    found = settings_of(MITIGATIONS[mitigation], 5)
    assert found[0] == 0
    assert list(found) == sorted(set(found))
    assert len(found) == (5 if MITIGATIONS[mitigation].dial else 2)


def test_a_curve_of_fewer_than_two_groups_is_refused(known: tuple[ModelSpec, Columns]) -> None:
    with pytest.raises(QueryError, match="fewer than two of"):
        sweep(*known, replace(PLAN, min_group_size=100_000), OPTIONS, points=2)


def test_groups_that_take_no_part_are_named_and_so_are_settings_that_do_not_settle(
    known: tuple[ModelSpec, Columns], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, columns = known
    rare = columns["race"] == 2
    keep = torch.cat([rare.nonzero()[:20], (~rare).nonzero()]).squeeze(1)
    monkeypatch.setattr("cfair.mitigations.lagrangian.ROUNDS", 1)
    monkeypatch.setattr("cfair.mitigations.lagrangian.FURTHER", 0)
    made = curve(spec, columns.take(keep), replace(PLAN, mitigation="lagrangian", by=("race",)), OPTIONS, points=3)
    assert made.held == ("h",)
    assert 1.0 in made.unsettled
    assert "Took no part, being too small or without anybody of whom the constraint asks: h." in to_tradeoff_markdown(made)


def test_two_strengths_are_nothing_and_the_strongest() -> None:
    first, last = settings_of(MITIGATIONS["penalty"], 2)
    assert (first, last) == (0.0, pytest.approx(settings_of(MITIGATIONS["penalty"], 5)[-1]))
