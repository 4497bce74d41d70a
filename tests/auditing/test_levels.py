"""Audits of outcomes with several levels, against numbers computed another way."""

import json
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from holes import with_holes
from sklearn import metrics as sklearn
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from cfair.auditing import Report, audit
from cfair.data import read_table, to_frame
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual

from school import SEVERAL, people, school

ALL = ("constant", "full", "unaware", "nondescendants", "latent", "residual")
LEVELS = ("fail", "pass", "honours")
N, DRAWS = 300, 8

Audited = tuple[SCM, dict[str, Predictor], Columns, Report]


@cache
def audited(outcome: str) -> Audited:
    scm, train = people(school(outcome), 500)
    worlds = [abduct(scm, train, draws=4)]
    predictors = {name: PREDICTORS[name](scm).fit(worlds, train["y"]) for name in ALL}
    _, test = people(school(outcome), N, seed=1)
    return scm, predictors, test, audit(scm, predictors, test, draws=DRAWS, min_group_size=10)


def found(
    report: Report, predictor: str, measure: str, attribute: str | None = None, group: str | None = None, world: str | None = None
) -> float:
    key = (predictor, measure, attribute, group, world)
    (value,) = [row.value for row in report.rows if (row.predictor, row.measure, row.attribute, row.group, row.world) == key]
    assert value is not None
    return value


def moved(name: str, outcome: str) -> tuple[Tensor, Tensor]:
    """Same-noise and re-abducted moves (draws, people, levels) of those of race b who are put into h."""
    scm, predictors, test, _ = audited(outcome)
    factual = abduct(scm, test, draws=DRAWS)
    after = counterfactual(scm, factual, {"race": "h"})
    black = test["race"] == 1
    same = predictors[name].predict(after) - predictors[name].predict(factual)
    rows = {node: after.values[node].reshape(-1) for node in scm.spec.evidence}
    again = predictors[name].deploy(rows, DRAWS * N).reshape(DRAWS, N, 3) - predictors[name].deploy(test, N)
    return same[:, black], again[:, black]


@pytest.mark.parametrize(("name", "outcome"), list(product(ALL, SEVERAL)))
def test_gaps_are_total_variation_distances_and_those_of_each_level_changes_of_its_probability(name: str, outcome: str) -> None:
    report, place = audited(outcome)[3], ("race", "b", "race=h")
    for gap, moves in zip(("gap_same_noise", "gap_reabducted"), moved(name, outcome), strict=True):
        assert found(report, name, gap, *place) == pytest.approx(float(moves.abs().sum(-1).mean()) / 2, abs=1e-9)
        for k, level in enumerate(LEVELS):
            assert found(report, f"{name}[{level}]", gap, *place) == pytest.approx(float(moves[..., k].abs().mean()), abs=1e-9)
            assert found(report, f"{name}[{level}]", f"{gap}_signed", *place) == pytest.approx(float(moves[..., k].mean()), abs=1e-9)
    assert not [row for row in report.rows if row.predictor == name and row.measure.endswith("_signed")]


@pytest.mark.parametrize("outcome", SEVERAL)
def test_gaps_are_exactly_0_where_a_predictor_claims_it_level_by_level(outcome: str) -> None:
    _, predictors, _, report = audited(outcome)
    frame = report.to_frame()
    claimed = [name for name, predictor in predictors.items() if predictor.invariant_in == "declared"]
    claimed += [f"{name}[{level}]" for name, level in product(claimed, LEVELS)]
    same = frame[frame["measure"].isin(["gap_same_noise", "gap_same_noise_worst"])]
    assert (same[same["predictor"].isin(claimed)]["value"] == 0).all()
    assert (same[same["predictor"].isin(["full", *(f"full[{level}]" for level in LEVELS)])]["value"] > 0).all()
    own = frame[frame["measure"] == "gap_own_model"]
    assert set(own["predictor"]) == {"residual", *(f"residual[{level}]" for level in LEVELS)}
    assert (own["value"] <= 1e-9).all()


@pytest.mark.parametrize("outcome", SEVERAL)
def test_accuracy_is_scikit_learns_and_differences_are_paired(outcome: str) -> None:
    _, predictors, test, report = audited(outcome)
    y = test["y"].numpy()
    for name, predictor in predictors.items():
        p = predictor.deploy(test, N).numpy()
        assert found(report, name, "accuracy") == pytest.approx(sklearn.accuracy_score(y, p.argmax(1)), abs=1e-12)
        assert found(report, name, "log_loss") == pytest.approx(sklearn.log_loss(y, p), rel=1e-12)
        assert found(report, name, "roc_auc") == pytest.approx(sklearn.roc_auc_score(y, p, multi_class="ovr"), rel=1e-12)
        assert found(report, name, "brier") == pytest.approx(((np.eye(3)[y.astype(int)] - p) ** 2).sum(1).mean(), rel=1e-12)
    apart = found(report, "unaware", "brier") - found(report, "full", "brier")
    assert found(report, "unaware", "brier_minus_full") == pytest.approx(apart, abs=1e-14)
    assert ("ranked_probability_score" in {row.measure for row in report.rows}) == (outcome == "ordinal")


def test_each_level_of_each_group_has_its_mean_probability_and_residual() -> None:
    _, predictors, test, report = audited("categorical")
    p, own = predictors["full"].deploy(test, N), test["race"] == 1
    for k, level in enumerate(LEVELS):
        mean, share = float(p[own, k].mean()), float((test["y"][own] == k).double().mean())
        assert found(report, f"full[{level}]", "mean_prediction", "race", "b") == pytest.approx(mean, abs=1e-12)
        assert found(report, f"full[{level}]", "mean_residual", "race", "b") == pytest.approx(share - mean, abs=1e-12)
    right = (p.argmax(-1) == test["y"])[own].double().mean()
    assert found(report, "full", "accuracy", "race", "b") == pytest.approx(float(right), abs=1e-12)


def rates(test: Columns, decision: Tensor, level: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Selection, true and false positive rates of one level against the rest by race, counted one after the other: (rates, races)."""
    races = [test["race"] == race for race in range(3)]
    chosen, has = decision == level, test["y"] == level
    return np.array([[float(chosen[race & who].double().mean()) for race in races] for who in (has | ~has, has, ~has)])


@pytest.mark.parametrize("outcome", SEVERAL)
def test_constraints_hold_of_each_level_against_the_rest_and_macro_is_their_mean(outcome: str) -> None:
    _, predictors, test, report = audited(outcome)
    decision = predictors["full"].deploy(test, N).argmax(-1)
    spans = []
    for k, level in enumerate(LEVELS):
        selected, true, false = rates(test, decision, k)
        assert found(report, "full", f"selection_rate[{level}]", "race", "h") == pytest.approx(selected[2], abs=1e-12)
        assert found(report, "full", f"false_positive_rate[{level}]", "race", "h") == pytest.approx(false[2], abs=1e-12)
        spans.append([np.ptp(selected), np.ptp(true), max(np.ptp(true), np.ptp(false)), selected.min() / selected.max()])
        for name, expected in zip(MEASURES, spans[-1], strict=True):
            assert found(report, "full", f"{name}[{level}]", "race") == pytest.approx(expected, abs=1e-12)
    for name, expected in zip(MEASURES, np.mean(spans, 0), strict=True):
        assert found(report, "full", f"{name}[macro]", "race") == pytest.approx(expected, abs=1e-12)
    macro = np.mean([rates(test, decision, k)[1] for k in range(3)], 0)
    assert found(report, "full", "true_positive_rate[macro]", "race", "b") == pytest.approx(macro[1], abs=1e-12)


MEASURES = ("demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference", "demographic_parity_ratio")


def test_a_level_that_nobody_is_decided_for_has_no_ratio_and_the_report_says_why() -> None:
    _, predictors, test, report = audited("categorical")
    always = int(predictors["constant"].deploy(test, N)[0].argmax())
    never = LEVELS[(always + 1) % 3]
    undefined = [row for row in report.rows if row.predictor == "constant" and row.measure == "demographic_parity_ratio[macro]"]
    assert undefined
    assert all(row.value is None for row in undefined)
    said = " ".join(each.text for each in report.assumptions if each.name == "undefined")
    assert (
        f"demographic_parity_ratio[{never}] by race is undefined: no group has a positive decision among people; outcome 1 is {never}"
        in said
    )
    assert "A mean over levels, [macro], is undefined where the measure is of one level." in said


def test_a_decision_flips_where_the_likeliest_level_of_the_mean_over_draws_is_another() -> None:
    scm, predictors, test, report = audited("categorical")
    after = counterfactual(scm, abduct(scm, test, draws=DRAWS), {"race": "h"})
    rows = {node: after.values[node].reshape(-1) for node in scm.spec.evidence}
    mean = predictors["unaware"].deploy(rows, DRAWS * N).reshape(DRAWS, N, 3).mean(0)
    flips = (mean.argmax(-1) != predictors["unaware"].deploy(test, N).argmax(-1))[test["race"] == 1].double().mean()
    assert flips > 0
    assert found(report, "unaware", "flip_rate", "race", "b", "race=h") == pytest.approx(float(flips), abs=1e-12)
    assert not [row for row in report.rows if row.measure == "flip_rate" and "[" in row.predictor]


def test_a_model_from_elsewhere_with_the_outcomes_levels_is_measured_as_our_own_is() -> None:
    scm, train = people(school("categorical"), 400)
    table = to_frame(scm.spec, people(school("categorical"), N, seed=1)[1])
    columns = read_table(table, scm.spec)
    seen, fitted = ["age", "grade"], to_frame(scm.spec, train)
    own = PREDICTORS["unaware"](scm, features=seen).fit([abduct(scm, train, draws=1)], train["y"])
    order = list(LEVELS)

    def ours(frame: pd.DataFrame) -> pd.DataFrame:
        values = {node: torch.tensor(frame[node].to_numpy(), dtype=torch.float64) for node in seen}
        return pd.DataFrame(own.deploy(values, len(frame)).numpy()[:, ::-1], columns=order[::-1])

    model = LogisticRegression(max_iter=500).fit(fitted[seen], fitted["y"])
    report = audit(scm, {"own": own, "theirs": ours, "sklearn": model}, columns, draws=3)
    frame = report.to_frame()
    frame = frame[~frame["measure"].str.endswith("_worst") & ~frame["measure"].str.contains("_minus_")]
    parts = [
        frame[frame["predictor"].str.startswith(name)].assign(predictor=lambda part, n=name: part["predictor"].str.removeprefix(n))
        for name in ("own", "theirs")
    ]
    keys = ["predictor", "measure", "attribute", "group", "world"]
    mine, other = (part.sort_values(keys, kind="stable").reset_index(drop=True) for part in parts)
    pd.testing.assert_frame_equal(mine, other, rtol=1e-9, atol=1e-12)
    accuracy = (model.predict(table[seen]) == table["y"]).mean()
    assert found(report, "sklearn", "accuracy") == pytest.approx(accuracy, abs=1e-12)
    assert not [each for each in report.assumptions if each.name == "not_measured"]


def test_a_categorical_outcome_of_two_levels_is_audited_as_a_binary_one() -> None:
    graph = school("bernoulli").to_graph()
    y = graph.nodes["y"]
    y["parameters"] = {"pass": {"intercept": y["parameters"]["intercept"], "weights": dict(y["parameters"]["weights"])}}
    y["mechanism"] = "categorical"
    two = ModelSpec.from_graph(graph)
    reports = []
    for spec in (school("bernoulli"), two):
        scm, columns = SCM(spec), people(school("bernoulli"), N)[1]
        worlds = [abduct(scm, columns, draws=2)]
        predictors = {name: PREDICTORS[name](scm).fit(worlds, columns["y"]) for name in ("full", "latent")}
        reports.append(audit(scm, predictors, columns, draws=3))
    pd.testing.assert_frame_equal(reports[0].to_frame(), reports[1].to_frame(), rtol=1e-9, atol=1e-12)
    assert reports[1].model["outcome_kind"] == "binary"


@pytest.mark.slow
def test_block_size_changes_no_number_and_json_has_no_nan() -> None:
    scm, predictors, test, report = audited("categorical")
    again = audit(scm, predictors, test, draws=DRAWS, min_group_size=10, block_rows=70)
    pd.testing.assert_frame_equal(report.to_frame(), again.to_frame(), rtol=1e-9, atol=1e-12)
    assert Report.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report


def test_worst_gaps_of_each_level_are_bounded_over_couplings() -> None:
    scm, predictors, test, _ = audited("categorical")
    report = audit(scm, {"full": predictors["full"]}, test, draws=2, min_group_size=10, bounds=5, attributes=["sex"])
    rows = {row.predictor: row for row in report.rows if row.measure == "gap_over_couplings"}
    assert set(rows) == {f"full[{level}]" for level in LEVELS}
    assert all((row.low or 0) <= (row.value or 0) <= (row.high or 0) for row in rows.values())


def test_the_people_whose_predictions_move_most_are_named_by_the_distance_over_all_levels() -> None:
    scm, predictors, test, _ = audited("categorical")
    report = audit(scm, {"full": predictors["full"]}, test, draws=2, name_most_moved=2)
    named = report.data["most_moved"]
    assert isinstance(named, dict)
    assert set(named) == {"full"}
    first, second = named["full"]  # type: ignore[misc]
    assert 1 >= first["change"] >= second["change"] > 0  # type: ignore[index, call-overload]


@pytest.mark.parametrize("name", ["unaware", "latent", "residual"])
def test_people_who_lack_values_are_audited_by_what_their_draws_complete(name: str) -> None:
    scm, predictors, test, _ = audited("categorical")
    holed = with_holes(test.take(torch.arange(60)), {"grade": range(0, 60, 3)})
    report = audit(scm, {name: predictors[name]}, holed, draws=4, min_group_size=3)
    frame = report.to_frame()
    assert frame[frame["measure"] == "accuracy"]["value"].notna().all()
    if predictors[name].invariant_in is not None:
        claimed = "gap_same_noise" if predictors[name].invariant_in == "declared" else "gap_own_model"
        assert frame[frame["measure"] == claimed]["value"].max() <= 1e-9


def test_metrics_that_do_not_suit_levels_are_refused() -> None:
    scm, predictors, test, _ = audited("categorical")
    with pytest.raises(QueryError, match="'ranked_probability_score' does not measure predictions of a category outcome"):
        audit(scm, predictors, test, metrics=["ranked_probability_score"])
    with pytest.raises(QueryError, match="Did you mean 'brier'"):
        audit(scm, predictors, test, metrics=["briar"])
