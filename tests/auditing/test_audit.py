"""The audit, against numbers computed another way."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch

from cfair.auditing import Report, audit
from cfair.auditing.assumptions import assumptions
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual

from school import OUTCOMES, people, school

ALL = ("constant", "full", "unaware", "nondescendants", "latent", "residual")
N, DRAWS = 300, 8


@cache
def audited(outcome: str) -> tuple[SCM, dict[str, Predictor], Columns, Report]:
    scm, train = people(school(outcome), 500)
    worlds = [abduct(scm, train, draws=4)]
    predictors = {name: PREDICTORS[name](scm).fit(worlds, train["y"]) for name in ALL}
    _, test = people(school(outcome), N, seed=1)
    return scm, predictors, test, audit(scm, predictors, test, draws=DRAWS, min_group_size=10)


def found(report: Report, predictor: str, measure: str, attribute: str, group: str | None = None, world: str | None = None) -> float:
    key = (predictor, measure, attribute, group, world)
    (value,) = [row.value for row in report.rows if (row.predictor, row.measure, row.attribute, row.group, row.world) == key]
    assert value is not None
    return value


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", ALL)
def test_the_gap_of_one_pair_is_the_mean_over_that_group_of_how_far_draws_move(name: str, outcome: str) -> None:
    scm, predictors, test, report = audited(outcome)
    factual = abduct(scm, test, draws=DRAWS)
    after = counterfactual(scm, factual, {"race": "h"})
    black = test["race"] == 1
    moves = (predictors[name].predict(after) - predictors[name].predict(factual))[:, black]
    assert found(report, name, "gap_same_noise", "race", "b", "race=h") == pytest.approx(float(moves.abs().mean()), abs=1e-14)
    assert found(report, name, "gap_same_noise_signed", "race", "b", "race=h") == pytest.approx(float(moves.mean()), abs=1e-14)


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", ALL)
def test_the_reabducted_gap_is_the_deployed_map_on_the_counterfactual_rows(name: str, outcome: str) -> None:
    scm, predictors, test, report = audited(outcome)
    factual = abduct(scm, test, draws=DRAWS)
    after = counterfactual(scm, factual, {"race": "b", "sex": "f"})
    chosen = (test["race"] == 0) & (test["sex"] == 0)
    rows = {node: after.values[node].reshape(-1) for node in scm.spec.evidence}
    moves = predictors[name].deploy(rows, DRAWS * N).reshape(DRAWS, N) - predictors[name].deploy(test, N)
    expected = float(moves[:, chosen].abs().mean())
    assert found(report, name, "gap_reabducted", "race x sex", "w, m", "race=b,sex=f") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_gaps_are_exactly_0_where_a_predictor_claims_it(outcome: str) -> None:
    _, predictors, _, report = audited(outcome)
    frame = report.to_frame()
    claimed = [name for name, predictor in predictors.items() if predictor.invariant_in == "declared"]
    same = frame[frame["measure"].isin(["gap_same_noise", "gap_same_noise_worst"])]
    assert (same[same["predictor"].isin(claimed)]["value"] == 0).all()
    assert (same[same["predictor"] == "full"]["value"] > 0).all()
    own = frame[frame["measure"] == "gap_own_model"]
    assert set(own["predictor"]) == {"residual"}
    assert (own["value"] <= 1e-9).all()


def test_the_worst_pair_is_the_largest_among_groups_that_are_large_enough() -> None:
    scm, predictors, test, _ = audited("gaussian")
    sizes = torch.bincount(test["race"].long()).tolist()
    report = audit(scm, {"residual": predictors["residual"]}, test, draws=2, min_group_size=sizes[1] + 1)
    pairs = [row for row in report.rows if row.measure == "gap_same_noise" and row.attribute == "race"]
    assert {row.group: row.n for row in pairs} == dict(zip("wbh", sizes, strict=True)), "small groups are shown"
    assert max(pairs, key=lambda row: row.value or 0).group != "w", "the largest of all is a small group's"
    assert found(report, "residual", "gap_same_noise_worst", "race") == max(row.value or 0 for row in pairs if row.group == "w")


@pytest.mark.slow
def test_the_block_size_changes_no_number() -> None:
    scm, predictors, test, whole = audited("bernoulli")
    small = audit(scm, predictors, test, draws=DRAWS, min_group_size=10, block_rows=7)
    for a, b in zip(whole.rows, small.rows, strict=True):
        assert replace(a, value=None, low=None, high=None) == replace(b, value=None, low=None, high=None)
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), abs=1e-9)


def test_resolving_nodes_keep_their_factual_values() -> None:
    declared = school().to_graph()
    declared.graph["resolving"] = ["grade", "visits", "track"]
    scm, columns = people(ModelSpec.from_graph(declared), 100)
    unaware = PREDICTORS["unaware"](scm).fit([abduct(scm, columns, draws=2)], columns["y"])
    report = audit(scm, {"unaware": unaware}, columns, draws=2)
    assert all(row.value == 0 for row in report.rows if row.measure.startswith("gap_"))


def test_only_what_lies_on_an_unfair_path_moves() -> None:
    declared = school().to_graph()
    declared.graph["unfair_paths"] = [["race", "grade", "track"]]
    scm, columns = people(ModelSpec.from_graph(declared), 400)
    assert scm.spec.held == ("visits",)
    unaware = PREDICTORS["unaware"](scm).fit([abduct(scm, columns, draws=2)], columns["y"])
    report = audit(scm, {"unaware": unaware}, columns, draws=6)
    factual, white = abduct(scm, columns, draws=6), columns["race"] == 0
    after = counterfactual(scm, factual, {"race": "b", "visits": columns["visits"]})
    moves = (unaware.predict(after) - unaware.predict(factual))[:, white]
    assert float(moves.abs().mean()) > 0
    assert found(report, "unaware", "gap_same_noise", "race", "w", "race=b") == pytest.approx(float(moves.abs().mean()), abs=1e-14)
    said = next(each.text for each in report.assumptions if each.name == "unfair_paths")
    assert said.startswith("Only influence along race -> grade -> track is called unfair: visits off these paths keeps its factual values.")


def test_group_measures_are_those_of_the_group_alone() -> None:
    _, predictors, test, report = audited("bernoulli")
    women = test["sex"] == 1
    y, y_hat = test["y"][women], predictors["unaware"].deploy(test, N)[women]
    expected = {
        "mean_prediction": y_hat.mean(),
        "mean_residual": (y - y_hat).mean(),
        "selection_rate": (y_hat >= 0.5).double().mean(),
        "base_rate": y.mean(),
        "true_positive_rate": (y_hat >= 0.5).double()[y == 1].mean(),
        "false_positive_rate": (y_hat >= 0.5).double()[y == 0].mean(),
        "positive_predictive_value": y[y_hat >= 0.5].mean(),
    }
    for measure, value in expected.items():
        assert found(report, "unaware", measure, "sex", "f") == pytest.approx(float(value))


def test_constraints_compare_groups_as_their_rates_do() -> None:
    _, _, _, report = audited("bernoulli")
    rates = [found(report, "full", "selection_rate", "race", group) for group in "wbh"]
    assert found(report, "full", "demographic_parity_difference", "race") == pytest.approx(max(rates) - min(rates))
    assert found(report, "full", "demographic_parity_ratio", "race") == pytest.approx(min(rates) / max(rates))
    assert found(report, "constant", "demographic_parity_difference", "race") == 0


def test_a_report_survives_json_and_says_what_it_assumed() -> None:
    for outcome in OUTCOMES:
        report = audited(outcome)[3]
        text = json.dumps(report.to_json(), allow_nan=False)
        assert json.dumps(Report.from_json(json.loads(text)).to_json()) == text
        assert {"graph", "independence", "coupling", "evidence", "priors", "point_estimates"} <= {each.name for each in report.assumptions}
        assert "fair" not in " ".join(f"{each.text} {each.tested}" for each in report.assumptions).replace("cfair", "").lower()


def test_what_cannot_be_audited_is_refused_before_any_work() -> None:
    scm, predictors, test, _ = audited("gaussian")
    with pytest.raises(QueryError, match="Did you mean 'rmse'"):
        audit(scm, predictors, test, metrics=["rmsee"])
    with pytest.raises(QueryError, match="does not measure predictions of a real outcome"):
        audit(scm, predictors, test, metrics=["brier"])
    with pytest.raises(QueryError, match="group constraints need an outcome with levels"):
        audit(scm, predictors, test, constraints=["demographic_parity"])
    with pytest.raises(QueryError, match="no protected attribute that is a number"):
        audit(scm, predictors, test, points={"race": [1.0]})


@pytest.mark.slow
def test_a_block_that_a_world_leaves_as_it_is_has_no_gap_there() -> None:
    scm, predictors, test, _ = audited("gaussian")
    test = test.take(torch.arange(0, test.n, 5))
    alone = audit(scm, predictors, test, draws=2, block_rows=1)
    together = audit(scm, predictors, test.take((test["race"] * 2 + test["sex"]).argsort()), draws=2, block_rows=50)
    for predictor in ALL:
        first, second = (found(each, predictor, "gap_reabducted", "race", "w", "race=b") for each in (alone, together))
        assert first == pytest.approx(second, abs=1e-12)


def test_with_a_resolving_node_level_3_stays_invariant_in_its_own_model() -> None:
    declared = school().to_graph()
    declared.graph["resolving"] = ["grade"]
    scm, columns = people(ModelSpec.from_graph(declared), 300)
    residual = PREDICTORS["residual"](scm).fit([abduct(scm, columns, draws=2)], columns["y"])
    assert residual.sees == ("age", "residual[visits]", "residual[track]")
    report = audit(scm, {"residual": residual}, columns, draws=2)
    assert all((row.value or 0) <= 1e-9 for row in report.rows if row.measure.startswith("gap_own_model"))


def test_a_report_says_what_it_could_not_measure() -> None:
    scm, predictors, test, _ = audited("bernoulli")
    few = audit(scm, {"full": predictors["full"]}, test.take((test["race"] < 2).nonzero().squeeze(-1)[:40]), draws=2, min_group_size=1_000)
    said = {each.name: each.text for each in few.assumptions}
    assert "h: what is said of that world rests on the model alone" in said["absent_level"]
    assert "1000 audited people: no worst pair" in said["small_groups"]
    assert "fewer than two groups have people" in said["undefined"]
    assert not [row for row in few.rows if row.measure.endswith("_worst")]


def test_intervals_of_few_people_stay_where_the_measure_can_be() -> None:
    scm, predictors, test, _ = audited("bernoulli")
    few = audit(scm, predictors, test.take(torch.arange(8)), draws=2)
    for row in few.rows:
        if row.measure in ("accuracy", "brier", "log_loss") and row.low is not None:
            assert row.low >= 0
            assert row.measure == "log_loss" or (row.high or 0) <= 1


def test_independence_is_claimed_only_where_the_graph_has_it() -> None:
    declared = school().to_graph()
    for node in ("race", "sex"):
        declared.nodes[node].pop("parameters")
    declared.add_edge("talent", "race")
    spec = ModelSpec.from_graph(declared)
    scm = SCM(spec)
    _, _, test, report = audited("gaussian")
    texts = {each.name: each.text for each in assumptions(scm, {}, test.facts, ())}
    assert "independent of sex." in texts["independence"]
    assert "independent of race and sex." in {each.name: each.text for each in report.assumptions}["independence"]


def test_an_invariance_that_does_not_hold_is_not_called_checked_without_a_word() -> None:
    scm, predictors, test, report = audited("gaussian")
    moved = [replace(row, value=0.01) if row.measure == "gap_own_model" else row for row in report.rows]
    said = [each.tested or "" for each in assumptions(scm, predictors, test.facts, moved) if each.name == "invariance"]
    assert any("the claim does not hold as computed" in each for each in said)
    assert not any("does not hold" in (each.tested or "") for each in report.assumptions)
