"""``cfair.groups``: the rows of an audit from any table or arrays, and what it refuses."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import brier_score_loss, roc_auc_score

from cfair import groups
from cfair.auditing import Report, audit
from cfair.comparing import People, continuous_rows
from cfair.comparing.representation import DATA
from cfair.data import builtin_path
from cfair.errors import CfairError
from cfair.metrics.distance_correlation import distance_correlation
from cfair.pipeline import Options, fit
from cfair.report import to_survey_markdown

from school import people, school

N = 240


def table(seed: int = 0) -> pd.DataFrame:
    source = np.random.default_rng(seed)
    race = source.choice(["w", "b", "h"], N, p=[0.5, 0.3, 0.2])
    sex = source.choice(["m", "f"], N)
    score = 1 / (1 + np.exp(-source.normal(0.3 * (race == "w"), 1, N)))
    y = (source.random(N) < score).astype(int)
    frame = {"race": race, "sex": sex, "y": y, "score": score, "decision": (score >= 0.5).astype(int), "proxy": race + "1"}
    frame["id"] = [f"p{i}" for i in range(N)]
    return pd.DataFrame(frame | {"age": source.integers(18, 80, N), "w": source.integers(1, 4, N)})


def figures(report: Report, *, of_data: bool = True) -> dict[tuple[object, ...], tuple[object, ...]]:
    rows = [row for row in report.rows if of_data or row.predictor != DATA]
    return {(row.predictor, row.measure, row.attribute, row.group): (row.value, row.low, row.high, row.n) for row in rows}


def asked(data: object, **how: object) -> Report:
    return groups(data, **{"outcome": "y", "attributes": ["race", "sex"], "proxies": False} | how)  # type: ignore[arg-type]


def test_rows_are_those_of_an_audit_of_the_same_predictions() -> None:
    spec = school("bernoulli")
    _, everyone = people(spec, 400)
    run = fit(spec, everyone, Options(draws=2, predictors=("full",), uncertainty="none"))
    audited = audit(run.scm, run.predictors, everyone, draws=2, min_group_size=5)
    score = run.predictors["full"].deploy(everyone, everyone.n)
    words = {node: [spec.nodes[node].levels[int(i)] for i in everyone[node]] for node in ("race", "sex", "y")}
    frame = pd.DataFrame({**words, "full": score.numpy()})
    report = groups(
        frame, outcome="y", score="full", positive="pass", attributes=["race", "sex"], spec=spec, min_group_size=5, proxies=False
    )
    expected = {(row.predictor, row.measure, row.attribute, row.group): row for row in audited.rows if row.world is None}
    shared = [key for key in figures(report, of_data=False) if key in expected]
    assert {"accuracy", "brier", "selection_rate", "equalized_odds_ratio", "mean_residual", "log_loss"} <= {key[1] for key in shared}
    missed = {key[1] for key in expected if key not in figures(report)}
    assert not any(measure for measure in missed if not measure.startswith("gap_"))
    for key in shared:
        value = expected[key].value
        assert figures(report)[key][0] == (None if value is None else pytest.approx(value, abs=1e-12)), key


def test_metrics_are_those_of_scikit_learn() -> None:
    frame = table()
    found = figures(asked(frame, score="score", weights="w"))
    keep = frame["race"] == "b"
    own = {"y_true": frame["y"][keep], "sample_weight": frame["w"][keep]}
    assert found["score", "roc_auc", "race", "b"][0] == pytest.approx(roc_auc_score(y_score=frame["score"][keep], **own))
    assert found["score", "brier", "race", "b"][0] == pytest.approx(brier_score_loss(y_proba=frame["score"][keep], **own))


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrays", "tensors", "text", "categories"])
def test_however_the_columns_come_the_rows_are_the_same(kind: str, tmp_path: Path) -> None:
    frame = table()
    expected = figures(asked(frame, prediction="decision"))
    if kind in ("csv", "parquet"):
        path = tmp_path / f"people.{kind}"
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
        found = asked(path, prediction="decision")
    elif kind in ("arrays", "tensors"):
        y, decision = frame["y"].to_numpy(), frame["decision"].tolist()
        by = {"race": frame["race"], "sex": frame["sex"].tolist()}
        found = asked(None, outcome=torch.tensor(y) if kind == "tensors" else y, prediction=decision, attributes=by)
    else:
        odd = frame.astype({"y": float}).astype({"y": str, "decision": bool}) if kind == "text" else frame.astype({"y": "category"})
        found = asked(odd, prediction="decision")
    other = {(key[0] if key[0] == DATA else "decision", *key[1:]): value for key, value in figures(found).items()}
    assert other == expected


def test_weights_of_one_change_nothing_and_rows_of_weight_0_count_for_nothing() -> None:
    frame = table()
    plain = figures(asked(frame, prediction="decision"))
    for other, weights in ((frame, 2.0), (pd.concat([frame, table(1)]), [1.0] * N + [0.0] * N)):
        weighed = figures(asked(other.assign(w=weights), prediction="decision", weights="w"))
        for key, row in plain.items():
            assert weighed[key][0] == pytest.approx(row[0]), key
            assert weighed[key][3] == row[3], key


def test_the_positive_level_may_be_chosen_and_is_said() -> None:
    frame = table()
    first, second = asked(frame, prediction="decision", positive=0), asked(frame, prediction="decision")
    rate = ("decision", "selection_rate", "race", "b")
    assert figures(first)[rate][0] == pytest.approx(1 - figures(second)[rate][0])  # type: ignore[operator]
    assert "'y' is '0', as was asked for" in _said(first)
    assert "'y' is '1', the second of its two levels" in _said(second)


def test_a_threshold_parts_scores_and_its_default_is_said() -> None:
    frame = table()
    expected = figures(asked(frame, prediction="decision"))
    scored, said = asked(frame, score="score"), _said(asked(frame, score="score"))
    assert (
        figures(scored)["score", "equalized_odds_difference", "race", None]
        == expected["decision", "equalized_odds_difference", "race", None]
    )
    assert "0.5 or more, the default" in said
    higher = asked(frame.assign(decision=(frame["score"] >= 0.7).astype(int)), prediction="decision")
    own = figures(asked(frame, score="score", threshold=0.7))
    assert own["score", "selection_rate", "race", "b"] == figures(higher)["decision", "selection_rate", "race", "b"]


def test_several_levels_are_each_held_against_the_others() -> None:
    frame = table()
    classes = frame.assign(y=np.where(frame["age"] < 40, "young", np.where(frame["age"] < 60, "mid", "old")))
    classes["decision"] = classes["y"].sample(frac=1, random_state=0).to_numpy()
    found = figures(asked(classes, prediction="decision"))
    one = classes.assign(y=(classes["y"] == "old").astype(int), decision=(classes["decision"] == "old").astype(int))
    expected = figures(asked(one, prediction="decision"))
    for measure in ("selection_rate", "true_positive_rate", "base_rate"):
        assert found["decision", f"{measure}[old]", "race", "b"] == expected["decision", measure, "race", "b"]
    key = ("decision", "equalized_odds_difference", "race", None)
    assert found[key[0], f"{key[1]}[old]", *key[2:]] == expected[key]
    each = [found[key[0], f"{key[1]}[{level}]", *key[2:]][0] for level in ("mid", "old", "young")]
    assert found[key[0], f"{key[1]}[macro]", *key[2:]][0] == pytest.approx(sum(each) / 3)  # type: ignore[arg-type]
    rest = figures(asked(classes, prediction="decision", positive="old"))
    assert rest[key] == expected[key]


def test_a_number_is_compared_by_means_and_errors() -> None:
    frame = table().assign(y=lambda frame: frame["age"] * 1.5, decision=lambda frame: frame["age"] + 20.0)
    found = figures(asked(frame, prediction="decision"))
    own = frame[frame["race"] == "b"]
    assert found["decision", "mean_residual", "race", "b"][0] == pytest.approx((own["y"] - own["decision"]).mean())
    assert found["decision", "rmse", "race", "b"][0] == pytest.approx(((own["y"] - own["decision"]) ** 2).mean() ** 0.5)
    assert found[DATA, "mean_outcome", "race", "b"][0] == pytest.approx(own["y"].mean())


def test_without_predictions_the_data_alone_are_told_of() -> None:
    report = groups(table(), outcome="y", attributes=["race", "sex"])
    assert {row.predictor for row in report.rows} == {DATA}
    measures = {row.measure for row in report.rows}
    assert {
        "share",
        "effective_size",
        "base_rate",
        "smallest_detectable_gap",
        "proxy_auc",
        "proxy_auc[proxy]",
        "proxy_auc[age]",
    } <= measures
    found = figures(report)
    assert found[DATA, "proxy_auc[proxy]", "race", None][0] == 1
    singles = [row for row in report.rows if row.attribute == "race" and row.measure.startswith("proxy_auc[")]
    assert [row.value for row in singles] == sorted((row.value for row in singles), reverse=True, key=float)  # type: ignore[arg-type]
    assert singles[0].measure == "proxy_auc[proxy]"


def test_an_attribute_that_is_a_number_is_cut_into_bins() -> None:
    found = figures(asked(table(), attributes=["age"], bins={"age": [18, 30, 60, 80]}))
    ages = table()["age"]
    sizes = {"[18, 30)": (ages < 30).sum(), "[30, 60)": ((ages >= 30) & (ages < 60)).sum(), "[60, 80]": (ages >= 60).sum()}
    assert {key[3]: row[3] for key, row in found.items() if key[1] == "share"} == sizes


def test_an_attribute_that_is_a_number_needs_no_bins() -> None:
    frame = table()
    report = asked(frame, score="score", attributes=["race", "age"])
    found = figures(report)
    who = People(torch.tensor(frame["y"].to_numpy(dtype=float)), {"score": torch.tensor(frame["score"])})
    expected = list(continuous_rows(who, "age", torch.tensor(frame["age"].to_numpy(dtype=float))))
    assert {row.measure for row, _ in expected} >= {"distance_correlation_squared", "distance_correlation_within_outcome_p"}
    for row, _ in expected:
        assert found["score", row.measure, "age", None] == (row.value, row.low, row.high, row.n)
    own = distance_correlation(who.y, torch.tensor(frame["age"].to_numpy(dtype=float)))
    assert found[DATA, "distance_correlation_squared", "age", None][:3] == own
    assert not any(key[2] == "age" and key[3] is not None for key in found)
    alone = figures(asked(frame, score="score", attributes=["race"]))
    assert {key: row for key, row in found.items() if key[2] != "age"} == alone
    assert "'age' is a number: dependence on it" in _said(report)
    only = asked(frame, attributes=["age"])
    assert {row.measure for row in only.rows} == {"distance_correlation_squared", "distance_correlation_p"}


def test_with_bins_it_is_told_in_both_ways_and_predicts_the_other_attributes_as_a_number() -> None:
    frame = table()
    both = figures(asked(frame, prediction="decision", attributes=["age"], bins={"age": [18, 40, 80]}))
    assert both["decision", "selection_rate", "age", "[18, 40)"][0] == pytest.approx(frame["decision"][frame["age"] < 40].mean())
    assert both["decision", "distance_correlation_squared", "age", None][0] is not None
    carried = figures(groups(frame.assign(race=np.where(frame["age"] < 30, "w", "b")), outcome="y", attributes=["race", "age"]))
    assert carried[DATA, "proxy_auc[age]", "race", None][0] > 0.95  # type: ignore[operator]


def test_dependence_is_told_of_each_of_several_levels_and_of_numbers() -> None:
    frame = table().assign(level=lambda frame: np.where(frame["age"] < 40, "young", np.where(frame["age"] < 60, "mid", "old")))
    found = figures(asked(frame.assign(guess=frame["level"]), outcome="level", prediction="guess", attributes=["age"]))
    age = torch.tensor(frame["age"].to_numpy(dtype=float))
    own = distance_correlation(torch.tensor((frame["level"] == "old").to_numpy(dtype=float)), age)
    assert found["guess", "distance_correlation_squared[old]", "age", None][:3] == pytest.approx(own)
    assert found["guess", "distance_correlation_within_outcome_squared[old]", "age", None][0] is None  # given it, nothing is left to vary
    real = figures(asked(frame.assign(y=frame["age"] * 2.0), prediction="score", attributes=["age"]))
    assert real[DATA, "distance_correlation_squared", "age", None][0] == pytest.approx(1.0)
    assert real["score", "distance_correlation_squared", "age", None][0] == pytest.approx(
        distance_correlation(torch.tensor(frame["score"]), age).value
    )


def test_a_number_that_is_missing_is_refused_or_dropped_and_unequal_weights_are_said() -> None:
    frame = table().astype({"age": float})
    frame.loc[3, "age"] = np.nan
    with pytest.raises(CfairError, match="row 3"):
        asked(frame, attributes=["race", "age"])
    report = asked(frame, attributes=["race", "age"], missing="drop", weights="w", prediction="decision")
    assert report.data["dropped"] == 1
    assert (DATA, "missing_share[age]", "race", frame["race"][3]) in figures(report)
    assert "unequal weights, for which there is no unbiased estimate" in _said(report)


def test_rows_that_lack_a_value_are_dropped_when_asked_and_told_of_by_group() -> None:
    frame = table()
    frame.loc[frame["race"] == "b", "decision"] = np.nan
    frame.loc[:3, "race"] = None
    known = frame["race"].notna() & frame["decision"].notna()
    report = asked(frame, prediction="decision", missing="drop")
    kept = figures(asked(frame[known].astype({"decision": int}), prediction="decision"))
    assert {key: row for key, row in figures(report).items() if "missing" not in key[1]} == kept  # type: ignore[operator]
    assert report.data["dropped"] == int((~known).sum())
    assert figures(report)[DATA, "missing_share[decision]", "race", "b"][0] == 1
    assert figures(report)[DATA, "missing_share[decision]", "race", "w"][0] == 0


def test_a_reference_may_be_a_table_or_shares() -> None:
    frame, other = table(), pd.DataFrame({"race": ["w"] * 60 + ["b"] * 30 + ["x"] * 10, "sex": ["m", "f"] * 50})
    found = figures(asked(frame, reference=other))
    share = (frame["race"] == "b").mean()
    assert found[DATA, "share_minus_reference", "race", "b"][0] == pytest.approx(share - 0.3)
    assert found[DATA, "share_minus_reference", "race", "h"][0] == pytest.approx((frame["race"] == "h").mean())
    assert found[DATA, "share", "race", "x"][:2] == (0.0, 0.0)
    known = figures(asked(frame, reference={"race": {"w": 0.5, "b": 0.3, "h": 0.2}}))
    assert known[DATA, "share_reference", "race", "b"][:3] == (0.3, 0.3, 0.3)
    wider = [
        high - low
        for _, low, high, _ in (found[DATA, "share_minus_reference", "race", "b"], known[DATA, "share_minus_reference", "race", "b"])
    ]  # type: ignore[operator]
    assert wider[0] > wider[1]


def test_a_reference_tells_of_intersections_too() -> None:
    frame, other = table(), pd.DataFrame({"race": ["w"] * 60 + ["b"] * 30 + ["x"] * 10, "sex": ["m", "f"] * 50})
    other.loc[0, "sex"] = None
    found = figures(asked(frame, reference=other))
    share = ((frame["race"] == "b") & (frame["sex"] == "f")).mean()
    both = other.dropna()
    expected = ((both["race"] == "b") & (both["sex"] == "f")).mean()
    assert found[DATA, "share_reference", "race x sex", "b, f"][0] == pytest.approx(expected)
    assert found[DATA, "share_minus_reference", "race x sex", "b, f"][0] == pytest.approx(share - expected)
    assert found[DATA, "share", "race x sex", "x, f"][:2] == (0.0, 0.0)
    assert found[DATA, "share_reference", "race", "w"][0] == pytest.approx(0.6)
    shares = {f"{race}, {sex}": 1 / 6 for race in "wbh" for sex in "mf"}
    known = figures(asked(frame, reference={"race x sex": shares}))
    assert known[DATA, "share_minus_reference", "race x sex", "b, f"][0] == pytest.approx(share - 1 / 6)
    assert (DATA, "share_reference", "race", "b") not in known


def test_a_declared_level_that_nobody_has_is_said() -> None:
    spec = school("categorical")
    _, everyone = people(spec, 600)
    frame = pd.DataFrame({node: [spec.nodes[node].levels[int(i)] for i in everyone[node]] for node in ("race", "sex", "y")})
    assert "declared level" not in _said(asked(frame, spec=spec))
    said = _said(asked(frame[(frame["race"] != "h") & (frame["y"] != "honours")], spec=spec))
    assert "Nobody has race h, a declared level of an attribute" in said
    assert "Nobody has y honours, a declared level of the outcome" in said


def test_the_report_goes_to_json_and_back_and_to_a_frame() -> None:
    report = asked(table(), score="score", bins={}, weights="w")
    content = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert Report.from_json(content).rows == report.rows
    assert list(report.to_frame().columns) == ["predictor", "measure", "attribute", "group", "world", "value", "low", "high", "n"]
    assert content["model"]["positive"] == "1"


def test_a_declared_model_says_which_columns_should_tell_nothing() -> None:
    spec = school("bernoulli")
    _, everyone = people(spec, 1_000)
    frame = pd.DataFrame({node: everyone[node].numpy() for node in ("age", "grade")})
    for node in ("race", "sex", "y"):
        frame[node] = [spec.nodes[node].levels[int(i)] for i in everyone[node]]
    honest = groups(frame, outcome="y", attributes=["race"], spec=spec)
    assert "CONTRADICTED" not in _said(honest)
    assert "By the graph nothing can be told of 'race' from 'sex' or 'age'" in _said(honest)
    moved = frame.assign(age=frame["age"] + 6 * (frame["race"] == "b"))
    (contradicted,) = [
        each for each in groups(moved, outcome="y", attributes=["race"], spec=spec).assumptions if "CONTRADICTED" in each.text
    ]
    assert "'age' and 'race'" in contradicted.text


def judged_twice() -> pd.DataFrame:
    frame = table()
    return frame.assign(other=(frame["score"] >= 0.6).astype(int), raw=frame["score"] ** 2)


def test_several_predictions_are_each_measured_as_alone_and_compared_to_the_first() -> None:
    frame = judged_twice()
    both = asked(frame, prediction=["decision", "other"])
    alone = [asked(frame, prediction=name) for name in ("decision", "other")]
    expected = figures(alone[0]) | figures(alone[1])
    found = figures(both)
    assert {key: row for key, row in found.items() if "_minus_" not in str(key[1])} == expected
    less = {key: row for key, row in found.items() if "_minus_" in str(key[1])}
    assert {key[0] for key in less} == {"other"}
    for measure in ("demographic_parity_difference", "equalized_odds_difference", "predictive_parity_difference"):
        for attribute in ("race", "sex", "race x sex"):
            value, low, high, _ = less["other", f"{measure}_minus_decision", attribute, None]
            own, first = (found[name, measure, attribute, None][0] for name in ("other", "decision"))
            assert value == pytest.approx(own - first), (measure, attribute)  # type: ignore[operator]
            assert low < value < high  # type: ignore[operator]
    accuracy = [((frame["y"] == frame[name]).mean()) for name in ("other", "decision")]
    assert less["other", "accuracy_minus_decision", None, None][0] == pytest.approx(accuracy[0] - accuracy[1])
    assert both.model["predictors"] == alone[0].model["predictors"] | alone[1].model["predictors"]  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["names", "dict", "frame", "tuple", "arrays alone"])
def test_several_scores_come_as_names_or_as_values(kind: str) -> None:
    frame = judged_twice()
    expected = figures(asked(frame, score=["score", "raw"]))
    values = {name: frame[name].to_numpy() for name in ("score", "raw")}
    given = {"names": ["score", "raw"], "tuple": ("score", "raw"), "dict": values, "frame": frame[["score", "raw"]], "arrays alone": values}
    source = frame if kind in ("names", "tuple") else frame.drop(columns=["score", "raw"])
    found = asked(source, score=given[kind])
    if kind == "arrays alone":
        found = asked(None, outcome=frame["y"], attributes=frame[["race", "sex"]], score=values)
    assert figures(found) == expected
    assert found.options["score"] == ["score", "raw"]


def test_several_predictions_of_levels_and_of_numbers_are_compared() -> None:
    frame = judged_twice()
    frame["level"] = np.where(frame["age"] < 40, "young", np.where(frame["age"] < 60, "mid", "old"))
    source = np.random.default_rng(1)
    frame["a"], frame["b"] = (np.where(source.random(N) < right, frame["level"], "mid") for right in (0.8, 0.5))
    found = figures(asked(frame, outcome="level", prediction=["a", "b"]))
    key = "demographic_parity_difference"
    value = found["b", f"{key}_minus_a[old]", "race", None][0]
    assert value == pytest.approx(found["b", f"{key}[old]", "race", None][0] - found["a", f"{key}[old]", "race", None][0])  # type: ignore[operator]
    numbers = asked(frame.assign(y=frame["age"], p=frame["age"] + 1.0, q=40.0), prediction=["p", "q"])
    errors = figures(numbers)
    assert errors["q", "rmse_minus_p", None, None][0] == pytest.approx(errors["q", "rmse", None, None][0] - 1.0)  # type: ignore[operator]


def test_a_list_of_one_prediction_is_that_prediction() -> None:
    one, listed = asked(table(), prediction="decision"), asked(table(), prediction=["decision"])
    assert one.to_json() == listed.to_json()


MISTAKES: list[tuple[dict[str, object], str, str]] = [
    ({"outcome": "z"}, "there is no column 'z'", "did you mean|y"),
    ({"attributes": ["rcae"]}, "there is no column 'rcae'", "race"),
    ({"attributes": []}, "none is named", "--attributes"),
    ({"attributes": ["id"]}, "'id' has 240 levels", "merge some"),
    ({"attributes": ["age"], "bins": {"age": [30, 60]}}, "is in none of the bins", "18 to 79"),
    ({"attributes": ["age"], "bins": {"age": [60, 30]}}, "not two or more ascending", "age=0,30"),
    ({"bins": {"rcae": [0, 1]}}, "'rcae' is not one of the attributes", "race"),
    ({"attributes": ["y"]}, "'y' is already the outcome", "one role"),
    ({"prediction": "score"}, "is not a level of the outcome 'y'", "--score"),
    ({"prediction": "sex", "attributes": ["race"]}, "is not a level of the outcome 'y'", "0, 1"),
    ({"score": "proxy"}, "is not a number", ""),
    ({"score": "age"}, "the scores go from 18 to 79", "--threshold"),
    ({"score": "score", "threshold": 3.0}, "3 is outside the scores", "among"),
    ({"threshold": 0.5}, "there is no score", "--score"),
    ({"positive": "2"}, "'2' is not a level of the outcome", "use one of: 0, 1"),
    ({"kind": "levles"}, "is not one of its words", "levels"),
    ({"missing": "latent"}, "is not one of its words", "error, drop"),
    ({"constraints": ["equalised_odds"]}, "equalised_odds", "equalized_odds"),
    ({"min_group_size": 0}, "0 is below 1", "from 1"),
    ({"weights": "proxy"}, "is not a number", ""),
    ({"reference": {"rcae": {"w": 1.0}}}, "'rcae' is not one of the attributes", "race"),
    ({"reference": {"age": {"old": 1.0}}, "attributes": ["age"]}, "no attribute divides people", "--bins"),
    ({"attributes": ["sex"], "bins": {"sex": [0, 1]}}, "is not a number", "leave its bins out"),
    ({"attributes": ["age"], "bins": {"age": [0, 1]}}, "is in none of the bins", "18 to 79"),
    ({"reference": pd.DataFrame({"race": ["W", "B"], "sex": ["m", "f"]})}, "(B, W) is one of the people's (b, h, w)", "alike"),
    ({"reference": {"race x age": {"w": 1.0}}}, "nor all of them crossed", "race x sex"),
    ({"reference": {"race x sex": {"w, m": 1.0}}}, "leave out 'b, f'", "w, m"),
    ({"reference": {"race": {"w": 0.5, "b": 0.3, "h": 0.1}}}, "add up to 0.9", "share"),
    ({"reference": {"race": {"w": 0.7, "b": 0.3}}}, "leave out 'h'", "give one"),
    ({"outcome": "age", "score": "score"}, "has not two levels", "--prediction"),
    ({"outcome": "age", "prediction": "proxy"}, "is not a number", "the outcome is one"),
    ({"prediction": ["decision", "decison"]}, "there is no column 'decison'", "decision"),
    ({"prediction": ["decision", "y"]}, "'y' is already the outcome", "one role"),
    ({"prediction": ["decision", "age"], "score": "score"}, "not which belong together", "one prediction with its score"),
    ({"score": ["score", "age"]}, "the scores of 'age' go from 18 to 79", "--prediction"),
    ({"score": ["score", "age"], "threshold": 20}, "20 is outside the scores of 'score'", "--prediction"),
    ({"prediction": [f"p{k}" for k in range(41)]}, "41 are to be compared", "at most 40"),
    ({"outcome": {"y": "y", "age": "age"}}, "2 columns are given", "one"),
]


@pytest.mark.parametrize(("how", "problem", "mend"), MISTAKES, ids=[str(how) for how, _, _ in MISTAKES])
def test_a_mistake_is_one_clear_error_with_its_mend(how: dict[str, object], problem: str, mend: str) -> None:
    with pytest.raises(CfairError) as caught:
        asked(table(), **how)
    assert problem in caught.value.problem
    assert mend in caught.value.mend or any(each in caught.value.mend for each in mend.split("|"))


@pytest.mark.parametrize("column", ["y", "decision", "race", "w"])
def test_a_missing_value_names_its_rows(column: str) -> None:
    frame = table().astype({"y": float, "decision": float, "w": float})
    frame.loc[7, column] = np.nan
    with pytest.raises(CfairError, match="row 7"):
        asked(frame, prediction="decision", weights="w")


def test_outcomes_of_which_one_level_is_known_and_no_rows_are_refused() -> None:
    for frame in (table().assign(y="hired"), table().assign(y=0.5), table().assign(y=np.nan)):
        with pytest.raises(CfairError, match="the outcome is"):
            asked(frame)
    with pytest.raises(CfairError, match="has no rows"):
        asked(table()[:0])


@pytest.mark.parametrize("outcome", [0, 1, True])
def test_where_everyone_has_one_outcome_rates_have_a_value_or_the_reason_why_not(outcome: object) -> None:
    found = asked(table().assign(y=outcome), prediction="decision")
    rates = {(row.measure, row.group): row.value for row in found.rows if row.attribute == "sex"}
    known, unknown = ("false_positive_rate", "true_positive_rate") if not outcome else ("true_positive_rate", "false_positive_rate")
    for group in {group for measure, group in rates if measure == known}:
        assert rates[known, group] is not None
        assert rates[unknown, group] is None
    assert all(row.value is None or math.isfinite(row.value) for row in found.rows)
    assert any(unknown in str(each) and "undefined" in str(each) for each in found.assumptions)


def test_one_outcome_left_by_what_is_missing_is_measured_too() -> None:
    one_left = table().assign(decision=lambda frame: frame["y"].where(frame["y"] == 1))
    assert asked(one_left, prediction="decision", missing="drop").rows


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    frame = table()
    for how, problem in (
        ({"outcome": frame["y"][:9]}, "index"),
        ({"outcome": frame["y"].to_numpy()[:9]}, "9 values for 240 people"),
        ({"outcome": np.zeros((N, 2))}, "shape"),
    ):
        with pytest.raises(CfairError, match=problem):
            groups(frame, attributes=["race"], **how)  # type: ignore[arg-type]
    with pytest.raises(CfairError, match="beside a file"):
        groups("compas", outcome=frame["y"], attributes=["race"])
    with pytest.raises(CfairError, match="there is no table"):
        groups(outcome="y", attributes=["race"])


def test_hard_cases_have_true_numbers_or_reasons() -> None:
    frame = table()
    frame["many"] = [f"g{i % 60}" for i in range(N)]
    frame["tiny"] = ["a"] * (N - 3) + ["b"] * 3
    frame.loc[frame["race"] == "h", "y"] = 0  # a group without positives
    for how in ({"attributes": ["many"]}, {"attributes": ["tiny"]}, {"attributes": ["race"]}):
        report = asked(frame.assign(decision=1), prediction="decision", **how)  # a constant prediction
        assert json.dumps(report.to_json(), allow_nan=False)
    assert "Fewer than two groups by many have 30 people" in _said(asked(frame, prediction="decision", attributes=["many"]))
    assert "equal_opportunity_difference by race is undefined: " in _said(asked(frame, prediction="decision", attributes=["race"]))
    rows = {row.group for row in asked(frame, prediction="decision", attributes=["many"]).rows if row.measure == "selection_rate"}
    assert len(rows) == 60


@pytest.mark.parametrize("kind", ["prediction", "score", "level", "number", "data"])
def test_a_group_that_weighs_nothing_stands_there_with_a_reason(kind: str) -> None:
    frame = table().assign(w=lambda frame: 1.0 * (frame["race"] != "b"), level=lambda frame: pd.cut(frame["age"], 3, labels=list("xyz")))
    how: dict[str, dict[str, object]] = {
        "prediction": {"prediction": "decision"},
        "score": {"score": "score"},
        "level": {"outcome": "level", "prediction": frame["level"].sample(frac=1, random_state=0).to_numpy()},
        "number": {"outcome": "age", "prediction": "score"},
        "data": {},
    }
    report = asked(frame, weights="w", reference={"race": {"w": 0.6, "b": 0.2, "h": 0.2}}, proxies=True, **how[kind])
    assert json.dumps(report.to_json(), allow_nan=False)
    assert figures(report)[DATA, "share", "race", "b"][0] == 0
    if kind in ("prediction", "score"):
        assert "group 'b' has nobody of weight above 0" in _said(report)
        lighter = figures(asked(frame[frame["race"] != "b"], **how[kind]))
        key = (next(iter(how[kind].values())), "equalized_odds_difference", "race", None)
        assert figures(report)[key] == pytest.approx(lighter[key])
    assert to_survey_markdown(report)


def test_a_group_of_which_no_row_has_all_that_is_needed_is_named() -> None:
    frame = table().astype({"decision": float})
    frame.loc[frame["race"] == "b", "decision"] = np.nan
    assert "Every row with race b was among them" in _said(asked(frame, prediction="decision", missing="drop"))


def test_built_in_tables_are_found_by_name() -> None:
    report = groups("berkeley", outcome="admitted", attributes=["sex"], proxies=False)
    frame = pd.read_parquet(builtin_path("berkeley"))
    women = frame["sex"] == "female"
    assert figures(report)[DATA, "base_rate", "sex", "female"][0] == pytest.approx(frame["admitted"][women].mean())
    assert report.data["name"] == "berkeley"


def _said(report: Report) -> str:
    return " ".join(each.text for each in report.assumptions)
