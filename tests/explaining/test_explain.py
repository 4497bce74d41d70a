"""One person in other worlds, against the audit's own worlds and by hand."""

import json
from functools import cache
from io import StringIO

import pytest
import torch
from rich.console import Console

from cfair.errors import DataError, QueryError
from cfair.explaining import Explanation, explain
from cfair.explaining.ranges import over_draws
from cfair.explaining.records import Range
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor
from cfair.predictors import PREDICTORS
from cfair.report import to_explanation
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual

from school import OUTCOMES, people, school

NAMES = ("constant", "full", "unaware", "latent", "residual")


@cache
def fitted(outcome: str = "gaussian", **graph: object) -> tuple[SCM, dict[str, Predictor], Columns]:
    declared = school(outcome).to_graph()
    declared.graph.update(graph)
    scm, columns = people(ModelSpec.from_graph(declared), 400)
    worlds = [abduct(scm, columns, draws=2)]
    return scm, {name: PREDICTORS[name](scm).fit(worlds, columns["y"]) for name in NAMES}, columns


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", NAMES)
def test_the_change_is_that_of_the_deployed_map_and_its_paths_add_up_to_it(name: str, outcome: str) -> None:
    scm, predictors, columns = fitted(outcome)
    found = explain(scm, predictors, columns, 3, predictor=name, draws=40)
    person, level = columns.take(slice(3, 4)), scm.spec.nodes["race"].levels[int(columns["race"][3])]
    others = [at for at in ("w", "b", "h") if at != level]
    assert [world.world for world in found.worlds[:2]] == [f"race={at}" for at in others]
    assert found.prediction == pytest.approx(float(predictors[name].deploy(person, 1)), abs=1e-14)
    factual = abduct(scm, person, draws=40)
    for world, at in zip(found.worlds[:2], others, strict=True):
        after = counterfactual(scm, factual, {"race": at})
        rows = {node: after.values[node].reshape(-1) for node in predictors[name].needs}
        predicted = predictors[name].deploy(rows, 40)
        assert world.prediction.value == pytest.approx(float(predicted.mean()), abs=1e-9)
        assert world.change.value == pytest.approx(float(predicted.mean()) - found.prediction, abs=1e-9)
        assert sum(share.contribution.value for share in world.paths) == pytest.approx(world.change.value, abs=1e-9)
        assert world.bounds is not None
        assert world.bounds.low - 1e-9 <= world.change.value <= world.bounds.high + 1e-9
        assert all(share.path[0] == "race" and share.path[-1] == "prediction" for share in world.paths)
        moved = {node.node: node for node in world.nodes}
        assert moved["visits"].number is not None
        assert moved["visits"].number.value == pytest.approx(float(after.values["visits"].mean()), abs=1e-12)
        assert moved["visits"].factual == float(person["visits"])
        assert moved["race"].levels == {at: 1.0}
        assert "age" not in moved


def test_no_rounding_puts_a_mean_beyond_draws_that_are_all_one() -> None:
    for number in torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64).tolist():
        assert over_draws(torch.full((400,), number, dtype=torch.float64)) == Range(number, number, number)


def test_a_predictor_of_level_1_and_a_constant_never_move() -> None:
    scm, predictors, columns = fitted()
    (world,) = explain(scm, predictors, columns, 0, predictor="constant", worlds=[{"sex": "f", "race": "h"}], draws=8).worlds
    assert (world.world, world.change.value, world.paths) == ("race=h,sex=f", 0.0, ())


def test_a_linear_predictor_moves_by_its_coefficients_along_each_path() -> None:
    scm, predictors, columns = fitted()
    row = int((columns["race"] == 0).nonzero()[0])
    (world,) = explain(scm, predictors, columns, row, predictor="full", worlds=[{"race": "b"}], draws=16).worlds
    person = columns.take(slice(row, row + 1))
    grade = {"race": columns["race"][:1] * 0, **{node: person[node] for node in predictors["full"].needs}}
    by = float(predictors["full"].deploy({**grade, "grade": person["grade"] - 0.4}, 1) - predictors["full"].deploy(person, 1))
    told = {share.path: share.contribution.value for share in world.paths}
    assert told["race", "grade", "prediction"] == pytest.approx(by, abs=1e-9)
    direct = {**grade, "race": torch.ones(1, dtype=torch.float64)}
    expected = float(predictors["full"].deploy(direct, 1) - predictors["full"].deploy(person, 1))
    assert told["race", "prediction"] == pytest.approx(expected, abs=1e-9)


def test_shares_of_too_many_paths_are_those_of_the_edges_into_the_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    scm, predictors, columns = fitted()
    exact = explain(scm, predictors, columns, 5, predictor="full", draws=8).worlds[0]
    monkeypatch.setattr("cfair.explaining.contributions.MOST_PATHS", 1)
    short = explain(scm, predictors, columns, 5, predictor="full", draws=8).worlds[0]
    assert {share.path for share in short.paths} == {
        ("race", "prediction"),
        ("...", "grade", "prediction"),
        ("...", "visits", "prediction"),
        ("...", "track", "prediction"),
    }
    assert sum(share.contribution.value for share in short.paths) == pytest.approx(exact.change.value, abs=1e-12)


def test_held_nodes_stay_and_no_path_leads_through_them() -> None:
    scm, predictors, columns = fitted(resolving=("grade",))
    (world,) = explain(
        scm, predictors, columns, 2, predictor="full", worlds=[{"sex": "f" if columns["sex"][2] == 0 else "m"}], draws=8
    ).worlds
    assert "grade" not in {node.node for node in world.nodes}
    assert not any("grade" in share.path for share in world.paths)
    assert sum(share.contribution.value for share in world.paths) == pytest.approx(world.change.value, abs=1e-12)


def test_it_is_the_same_each_time_and_is_told_in_words_and_in_json() -> None:
    scm, predictors, columns = fitted("bernoulli")
    found = explain(scm, predictors, columns, 7, predictor="unaware", draws=30, seed=3)
    assert found == explain(scm, predictors, columns, 7, predictor="unaware", draws=30, seed=3)
    document = json.loads(json.dumps(found.to_json()))
    assert document["worlds"][0]["change"]["value"] == found.worlds[0].change.value
    assert document["event"] == "pass"
    assert 0 <= document["worlds"][0]["flips"] <= 1
    assert _words(found).startswith("school: row 7")


def test_what_is_said_claims_no_more_than_the_model() -> None:
    scm, predictors, columns = fitted()
    for name in NAMES:
        words = _words(explain(scm, predictors, columns, 1, predictor=name, draws=20)).lower()
        assert "fair" not in words.replace("cfair", "")
        assert "cannot be seen in any data" in words
    still = _words(explain(scm, predictors, columns, 1, predictor="constant", worlds=[{"race": "h"}], draws=20))
    assert "The prediction would be the same" in still


def test_a_row_that_looks_like_nobody_is_said_to() -> None:
    scm, predictors, columns = fitted()
    few = columns.take((columns["race"] != 2).nonzero().squeeze(-1))
    row = int(few.rows[0])
    (world,) = explain(scm, predictors, few, row, predictor="full", worlds=[{"race": "h"}], draws=8).worlds
    assert world.outside is None
    assert world.why == "only 0 people of the table are in that group"
    (world,) = explain(scm, predictors, columns, row, predictor="full", worlds=[{"race": "h"}], draws=8).worlds
    assert world.outside is not None


def test_what_cannot_be_explained_is_refused() -> None:
    scm, predictors, columns = fitted()
    with pytest.raises(QueryError, match="there is no predictor 'ful'"):
        explain(scm, predictors, columns, 0, predictor="ful")
    with pytest.raises(QueryError, match="none is at position 400"):
        explain(scm, predictors, columns, 400)
    with pytest.raises(QueryError, match="'grade' is not a protected attribute"):
        explain(scm, predictors, columns, 0, worlds=[{"grade": 1.0}])
    with pytest.raises(QueryError, match="'x' is not one of its levels"):
        explain(scm, predictors, columns, 0, worlds=[{"race": "x"}])
    with pytest.raises(QueryError, match="say nothing"):
        explain(scm, predictors, columns, 0, draws=1)
    with pytest.raises(DataError, match="it was left out"):
        explain(scm, predictors, columns.take(slice(1, None)), 0)


def _words(found: Explanation) -> str:
    written = StringIO()
    Console(width=120, file=written).print(to_explanation(found))
    return written.getvalue()
