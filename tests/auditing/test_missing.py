"""Audits of people who lack values."""

from functools import cache

import pytest
import torch
from holes import with_holes

from cfair.auditing import Report, audit
from cfair.errors import DataError
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor
from cfair.predictors import PREDICTORS
from cfair.predictors.incomplete import deploy
from cfair.scm import SCM
from cfair.worlds import counterfactual

from school import people, school

ALL = ("constant", "full", "unaware", "nondescendants", "latent", "residual")
N, DRAWS = 120, 8
HOLES = {"grade": range(30), "age": range(20, 50), "visits": range(45, 60), "y": range(100, 120), "salary": range(90, 95)}


@cache
def audited() -> tuple[SCM, dict[str, Predictor], Columns, Report]:
    scm, train = people(school(), 400)
    worlds = [abduct(scm, train, draws=4)]
    predictors = {name: PREDICTORS[name](scm).fit(worlds, train["y"]) for name in ALL}
    test = with_holes(people(school(), N, seed=1)[1], HOLES)
    return scm, predictors, test, audit(scm, predictors, test, draws=DRAWS, min_group_size=10)


def found(report: Report, predictor: str, measure: str, group: str | None = None, world: str | None = None) -> float:
    attribute = "race" if group else None
    key = (predictor, measure, attribute, group, world)
    (value,) = [row.value for row in report.rows if (row.predictor, row.measure, row.attribute, row.group, row.world) == key]
    assert value is not None
    return value


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_accuracy_is_that_of_the_deployed_map_on_whoever_has_an_outcome(name: str) -> None:
    scm, predictors, test, report = audited()
    scored = test.take(torch.arange(100))
    error = deploy(scm, predictors[name], scored) - scored["y"]
    assert found(report, name, "rmse") == pytest.approx(float(error.square().mean().sqrt()), rel=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_gaps_are_over_draws_of_what_is_missing(name: str) -> None:
    scm, predictors, test, report = audited()
    predictor = predictors[name]
    scored = test.take(torch.arange(100))
    factual = abduct(scm, scored, draws=DRAWS)
    after = counterfactual(scm, factual, {"race": "h"})
    black = scored["race"] == 1
    moves = (predictor.predict(after) - predictor.predict(factual))[:, black]
    assert found(report, name, "gap_same_noise", "b", "race=h") == pytest.approx(float(moves.abs().mean()), abs=1e-13)

    def again(values: dict[str, torch.Tensor]) -> torch.Tensor:
        rows = {node: values[node].expand(DRAWS, 100).reshape(-1) for node in predictor.needs}
        return predictor.deploy(rows, DRAWS * 100).reshape(DRAWS, 100)

    moves = (again(dict(after.values)) - again(dict(factual.values)))[:, black]
    assert found(report, name, "gap_reabducted", "b", "race=h") == pytest.approx(float(moves.abs().mean()), abs=1e-9)


def test_what_is_invariant_in_a_model_stays_so() -> None:
    report = audited()[3]
    for row in report.rows:
        declared = row.measure == "gap_same_noise" and row.predictor in ("constant", "nondescendants", "latent")
        if declared or row.measure == "gap_own_model":
            assert abs(row.value or 0.0) <= 1e-9


def test_the_report_says_how_many_values_are_missing_and_where() -> None:
    scm, predictors, test, _ = audited()
    report = audit(scm, {"full": predictors["full"]}, test, draws=2)
    assert report.data["missing"] == {"grade": 30, "age": 30, "visits": 15, "y": 20, "salary": 5}
    assert report.data["audited_rows"] == 100
    assert report.data["audited_rows_without_outcome"] == 20
    together = report.data["missing_together"]
    assert isinstance(together, list)
    assert sum(kind["audited_rows"] for kind in together) == 65  # type: ignore[index, call-overload, misc]
    assert {"nodes": ["grade", "age"], "audited_rows": 10} in [dict(kind, nodes=sorted(kind["nodes"], reverse=True)) for kind in together]  # type: ignore[arg-type, index, call-overload]
    (said,) = [each.text for each in report.assumptions if each.name == "missing"]
    assert said.startswith("Missing values (30 of grade, 30 of age, 15 of visits, 20 of y, 5 of salary) are missing at random")


def test_nobody_with_an_outcome_is_a_mistake() -> None:
    scm, predictors, test, _ = audited()
    with pytest.raises(DataError, match="no audited person has an outcome"):
        audit(scm, predictors, test.take(torch.arange(100, 120)), draws=2)
