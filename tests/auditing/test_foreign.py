"""Models from elsewhere: what they are given, what is made of their answers, and what is refused before any world is made."""

from collections.abc import Callable
from io import StringIO

import numpy as np
import pandas as pd
import pytest
import torch
from hiring import HIRING, READ, hiring
from rich.console import Console
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from cfair.auditing import External, Report, audit
from cfair.data import read_table
from cfair.errors import CfairError, CodeError, DataError, QueryError
from cfair.inference import abduct
from cfair.predictors import PREDICTORS
from cfair.report import to_markdown, to_table
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual

N, DRAWS = 240, 4


def pipeline(table: pd.DataFrame) -> Pipeline:
    """Boosted trees on one-hot codes of the owner's own columns."""
    coded = make_column_transformer((OneHotEncoder(), ["region", "sex", "race", "member"]), remainder="passthrough")
    return make_pipeline(coded, HistGradientBoostingClassifier(max_iter=15)).fit(table[READ], table["hired"])


def value(report: Report, predictor: str, measure: str, attribute: str, group: str, world: str) -> float:
    key = (predictor, measure, attribute, group, world)
    (found,) = [row.value for row in report.rows if (row.predictor, row.measure, row.attribute, row.group, row.world) == key]
    assert found is not None
    return found


def test_a_pipeline_has_the_gap_that_scoring_each_world_by_hand_has() -> None:
    scm, table, columns = hiring(N)
    model = pipeline(table)
    report = audit(scm, {"m": model}, columns, draws=DRAWS)
    factual = abduct(scm, columns, draws=DRAWS)
    after = counterfactual(scm, factual, {"sex": "1", "race": columns["race"]})
    women, before = (table["sex"] == 2).to_numpy(), model.predict_proba(table[READ])[:, 1]
    moved = []
    for d in range(DRAWS):
        world = table[READ].assign(sex=1, grade=after.values["grade"][d].numpy(), gaps=after.values["gaps"][d].long().numpy())
        moved.append(np.abs(model.predict_proba(world)[:, 1] - before)[women])
    assert value(report, "m", "gap_same_noise", "sex", "2", "sex=1") == pytest.approx(np.mean(moved), abs=1e-12)
    assert value(report, "m", "gap_reabducted", "sex", "2", "sex=1") == value(report, "m", "gap_same_noise", "sex", "2", "sex=1")


def test_a_function_gets_rows_in_the_types_order_and_values_of_the_owners_table() -> None:
    scm, table, columns = hiring(N)
    seen: list[pd.DataFrame] = []

    def model(frame: pd.DataFrame) -> pd.Series:
        seen.append(frame.copy())
        return frame["grade"] * 0.1

    audit(scm, {"m": External(model, "score")}, columns, draws=2)
    for frame in seen:
        assert list(frame.columns) == READ
        assert frame.dtypes.equals(table[READ].dtypes)
    pd.testing.assert_frame_equal(seen[0], table[READ].head(5))
    assert {True, False} == set(seen[-1]["member"])
    assert set(seen[-1]["sex"]) == {1, 2}


def test_equal_rows_are_scored_once_and_how_people_are_blocked_changes_nothing() -> None:
    scm, _, columns = hiring(60)
    rows: list[int] = []

    def model(frame: pd.DataFrame) -> np.ndarray:
        assert len(frame) == 5 or not frame.duplicated().any()  # the first five rows are tried as they are
        rows.append(len(frame))
        return (0.2 + 0.5 * frame["member"] + 0.1 * (frame["region"] == "n")).to_numpy()

    scored = Few(model)
    whole = audit(scm, {"m": scored}, columns, draws=3)
    assert max(rows) <= 12  # member, region and sex only
    parts = audit(scm, {"m": scored}, columns, draws=3, block_rows=7)
    pd.testing.assert_frame_equal(whole.to_frame(), parts.to_frame(), rtol=1e-12)


class Few:
    """An estimator that names few columns."""

    feature_names_in_ = np.array(["member", "region", "sex"], dtype=object)

    def __init__(self, model: Callable[[pd.DataFrame], np.ndarray]) -> None:
        self.predict = model


def test_an_estimator_without_probabilities_is_read_by_its_labels() -> None:
    scm, table, columns = hiring(N)
    model = make_pipeline(make_column_transformer((OneHotEncoder(), ["race"]), ("passthrough", ["grade"])), RidgeClassifier())
    model.fit(table[["race", "grade"]], table["hired"])
    report = audit(scm, {"m": model}, columns, draws=DRAWS)
    (accuracy,) = [row.value for row in report.rows if row.measure == "accuracy" and row.attribute is None]
    assert accuracy == pytest.approx((model.predict(table[["race", "grade"]]) == table["hired"]).mean())


def test_classes_0_and_1_are_the_first_and_the_second_level_and_the_report_says_so() -> None:
    scm, table, columns = hiring(N)
    numbers = LogisticRegression().fit(table[["grade", "gaps"]], table["hired"] == "yes")
    words = LogisticRegression().fit(table[["grade", "gaps"]], table["hired"])
    report = audit(scm, {"numbers": numbers, "words": words}, columns, draws=2)
    frame = report.to_frame().set_index("predictor")
    np.testing.assert_allclose(frame.loc["numbers", "value"].astype(float), frame.loc["words", "value"].astype(float), rtol=1e-6)
    assert "its classes false and true were read as no and yes" in " ".join(each.text for each in report.assumptions)


def test_class_probabilities_have_gaps_per_class_and_their_total_variation_distance() -> None:
    scm, _, columns = hiring(N)

    def three(frame: pd.DataFrame) -> pd.DataFrame:
        scores = np.column_stack([np.zeros(len(frame)), frame["grade"], 0.5 * frame["gaps"]])
        odds = np.exp(scores)
        return pd.DataFrame(odds / odds.sum(1, keepdims=True), columns=["low", "mid", "high"])

    report = audit(scm, {"m": three}, columns, draws=DRAWS)
    factual = abduct(scm, columns, draws=DRAWS)
    after = counterfactual(scm, factual, {"race": "b", "sex": columns["sex"]})
    rows = [
        pd.DataFrame({node: world.values[node][d].numpy() for node in ("grade", "gaps")})
        for d in range(DRAWS)
        for world in (factual, after)
    ]
    moves = np.stack([three(rows[2 * d + 1]).to_numpy() - three(rows[2 * d]).to_numpy() for d in range(DRAWS)])[
        :, (columns["race"] == 0).numpy()
    ]
    for k, level in enumerate(["low", "mid", "high"]):
        assert value(report, f"m[{level}]", "gap_same_noise", "race", "w", "race=b") == pytest.approx(
            np.abs(moves[..., k]).mean(), abs=1e-12
        )
        assert value(report, f"m[{level}]", "gap_same_noise_signed", "race", "w", "race=b") == pytest.approx(
            moves[..., k].mean(), abs=1e-12
        )
    distance = np.abs(moves).sum(-1).mean() / 2
    assert value(report, "m", "gap_same_noise", "race", "w", "race=b") == pytest.approx(distance, abs=1e-12)
    assert not [row for row in report.rows if row.predictor == "m" and row.measure.endswith("_signed")]
    assert not [row for row in report.rows if row.measure in ("accuracy", "mean_residual", "demographic_parity_difference")]
    assert "accuracy is not measured" in to_markdown(report)


def test_two_classes_have_the_total_variation_of_one_probability() -> None:
    scm, table, columns = hiring(N)
    model = LogisticRegression().fit(table[["grade", "gaps"]], table["hired"])
    one = audit(scm, {"m": model}, columns, draws=2)
    two = audit(scm, {"m": lambda frame: np.round(model.predict_proba(frame[["grade", "gaps"]]), 12)}, columns, draws=2)
    key = ("m", "gap_same_noise", "sex", "1", "sex=2")
    assert value(one, *key) == pytest.approx(value(two, *key), abs=1e-10)


def test_a_score_has_gaps_in_its_own_unit_and_no_accuracy_but_the_rank_of_it() -> None:
    scm, _, columns = hiring(N)
    report = audit(scm, {"s": lambda frame: 300 + 100 * frame["grade"]}, columns, draws=2)
    measures = {row.measure for row in report.rows}
    assert {"roc_auc", "mean_prediction", "gap_same_noise"} <= measures
    assert not measures & {"accuracy", "brier", "mean_residual", "selection_rate"}
    assert value(report, "s", "gap_same_noise", "race", "w", "race=b") == pytest.approx(50.0, abs=1e-9)  # 100 of the grade's own -0.5
    assert "in the unit of its own score" in to_markdown(report)


def test_answers_beyond_probabilities_are_said_to_have_been_read_as_a_score_unless_they_were_called_one() -> None:
    scm, _, columns = hiring(N)
    said, called = (
        to_markdown(audit(scm, {"s": model}, columns, draws=2))
        for model in (lambda frame: 0.1 * frame["grade"], External(lambda frame: 0.1 * frame["grade"], "score"))
    )
    assert "beyond probabilities, and were read as a score" in said
    assert "beyond probabilities" not in called


def test_gaps_of_models_from_elsewhere_are_not_said_to_be_abducted_anew_or_of_a_model_of_their_own() -> None:
    scm, table, columns = hiring(N)
    report = audit(scm, {"m": pipeline(table)}, columns, draws=2)
    written = StringIO()
    Console(width=120, file=written).print(to_table(report))
    for text in (written.getvalue(), to_markdown(report)):
        assert "Counterfactual gaps" in text
        assert "re-abducted" not in text
        assert "working model" not in text


def test_one_attribute_alone_has_the_rows_that_it_has_among_all() -> None:
    scm, table, columns = hiring(N)
    model = pipeline(table)
    whole = audit(scm, {"m": model}, columns, draws=DRAWS).to_frame()
    alone = audit(scm, {"m": model}, columns, draws=DRAWS, attributes=["race"]).to_frame()
    gaps = whole[(whole["attribute"] == "race") & whole["measure"].str.startswith("gap_")].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone[alone["measure"].str.startswith("gap_")].reset_index(drop=True), gaps, rtol=1e-12)
    assert set(alone["attribute"].dropna()) == {"race"}


def test_a_carried_column_stays_everyones_own_in_every_world_and_the_report_says_so() -> None:
    scm, table, columns = hiring(N)
    known: dict[int, pd.Series] = {int(row["id"]): row for _, row in table.iterrows()}

    def model(frame: pd.DataFrame) -> np.ndarray:
        assert all(known[i]["region"] == region for i, region in zip(frame["id"], frame["region"], strict=True))
        return 0.5 + 0.01 * frame["grade"].clip(-9, 9).to_numpy()

    report = audit(scm, {"m": model}, columns, draws=2, carry=table[["id"]])
    assert "id: carried unchanged into every world, as if no protected attribute caused any of it." in [a.text for a in report.assumptions]
    assert "id" not in report.not_used


def test_people_who_lack_a_value_are_audited_by_what_their_draws_complete() -> None:
    scm, table, _ = hiring(N)
    columns = read_table(table.assign(grade=table["grade"].where(table.index % 5 != 0)), HIRING, missing="latent")
    report = audit(scm, {"m": lambda frame: 100 * frame["grade"]}, columns, draws=3)
    assert value(report, "m", "gap_same_noise", "race", "w", "race=b") == pytest.approx(50.0, abs=1e-9)


def test_our_own_predictors_and_others_stand_in_one_report_with_the_time_that_each_took() -> None:
    scm, table, columns = hiring(N)
    own = PREDICTORS["full"](scm).fit([abduct(scm, columns, draws=1)], columns["hired"])
    alone = audit(scm, {"full": own}, columns, draws=2)
    both = audit(scm, {"full": own, "m": pipeline(table)}, columns, draws=2)
    frame = both.to_frame()
    kept = frame[(frame["predictor"] == "full") & ~frame["measure"].str.endswith("_worst")]
    ours = alone.to_frame()
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), ours[~ours["measure"].str.endswith("_worst")].reset_index(drop=True))
    assert "seconds" not in alone.data
    assert both.data["seconds"]["models"]["m"] > 0  # type: ignore[index, call-overload]
    text = to_markdown(both)
    assert "reads: region, sex, race, grade, gaps, member; nothing is claimed" in text
    assert "scoring by models from elsewhere" in text


def nan_after(frame: pd.DataFrame) -> np.ndarray:
    return np.where(np.arange(len(frame)) == 2, np.nan, 0.5)


GENERATOR = np.random.default_rng(0)
BAD: dict[str, tuple[object, type[CfairError], str]] = {
    "the outcome": (lambda frame: frame["hired"], QueryError, "it wants the column 'hired', which is the outcome"),
    "an undeclared column": (lambda frame: frame[["id", "sex"]].sum(1), QueryError, "it wants the column 'id', of which the model"),
    "no column": (lambda frame: frame["salary"], QueryError, "it wants the column 'salary', which worlds do not have"),
    "NaN": (nan_after, CodeError, r"it returned NaN or infinity for 1 of 5 rows \(of those given, 2\)"),
    "too few": (lambda frame: np.zeros(len(frame) - 1), CodeError, r"it returned an array of shape \(4,\) for 5 rows"),
    "one value": (lambda _: 0.5, CodeError, "it returned one value for 5 rows"),
    "a cube": (lambda frame: np.zeros((len(frame), 2, 2)), CodeError, r"array of shape \(5, 2, 2\) for 5 rows"),
    "words": (lambda frame: ["maybe"] * len(frame), CodeError, "'maybe', which is neither a number nor a level"),
    "a word among numbers": (
        lambda frame: np.array([0.5, "maybe", *[0.5] * (len(frame) - 2)], dtype=object),
        CodeError,
        "'maybe', which is neither a number nor a level",
    ),
    "no probabilities": (
        lambda frame: np.ones((len(frame), 2)),
        CodeError,
        "5 of 5 rows are no probabilities of classes: one adds up to 2",
    ),
    "another answer beside others": (
        lambda frame: frame["grade"] - frame["grade"].mean(),
        CodeError,
        "of the same row beside others: it draws at random, or mixes rows",
    ),
    "a random answer": (lambda frame: GENERATOR.random(len(frame)), CodeError, "it draws at random, or mixes rows"),
    "an exception": (lambda _: 1 / 0, CodeError, "scoring 5 rows raised ZeroDivisionError"),
    "no model": (3, QueryError, "a int is neither a function of a DataFrame nor a fitted estimator"),
    "an array's": (LinearRegression().fit(np.eye(2), [0, 1]), QueryError, "fitted on an array of 2 columns without names"),
    "other classes": (LogisticRegression().fit(pd.DataFrame({"grade": [0, 1.0]}), ["cat", "dog"]), QueryError, "its classes are cat, dog"),
    "a column more": (LinearRegression().fit(pd.DataFrame({"id": [0, 1]}), [0, 1]), QueryError, "it wants the column 'id'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_audited_is_one_clear_error_before_any_world_is_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, error, message = BAD[name]
    scm, _, columns = hiring(50)
    monkeypatch.setattr("cfair.auditing.gaps.abduct", lambda *_, **__: pytest.fail("a world was made"))
    with pytest.raises(error, match=message) as raised:
        audit(scm, {"m": model}, columns, draws=2)  # type: ignore[dict-item]
    assert raised.value.mend


def test_an_attribute_with_one_level_is_refused_before_any_world_is_made() -> None:
    scm, table, _ = hiring(80)
    columns = read_table(table[table["race"] == "w"], HIRING)
    with pytest.raises(DataError, match="the protected attribute is 'w' in every audited row"):
        audit(scm, {"m": lambda frame: frame["grade"]}, columns)
    audit(scm, {"m": lambda frame: frame["grade"]}, columns, draws=1, attributes=["sex"])


def test_a_probability_that_leaves_its_range_in_another_world_is_refused() -> None:
    scm, table, columns = hiring(N)
    low, high = table["grade"].min(), table["grade"].max()
    with pytest.raises(CodeError, match="it gave probabilities of factual rows, and"):
        audit(scm, {"m": lambda frame: (frame["grade"] - low) / (high - low)}, columns, draws=2)


def red_car(n: int) -> tuple[SCM, pd.DataFrame]:
    """X = λ_A·A + λ_U·U, and Y = 2U + noise: colour moves X, and only U causes Y (Kusner et al. 2017, the red car)."""
    source = np.random.default_rng(0)
    a, u = source.integers(0, 2, n), source.normal(size=n)
    table = pd.DataFrame({"a": np.where(a == 1, "red", "blue"), "x": 1.5 * a + 0.8 * u, "y": 2 * u + source.normal(size=n)})
    nodes = {
        "a": {"mechanism": "bernoulli", "levels": ["blue", "red"], "parameters": {"intercept": 0.0, "weights": {}}},
        "x": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=red": 1.5}, "scale": 0.8}},
        "y": {"mechanism": "gaussian", "parents": ["x", "a"]},
    }
    return SCM(ModelSpec.model_validate({"protected": ["a"], "outcome": "y", "nodes": nodes})), table


def test_the_red_car_moves_a_predictor_on_x_alone_and_not_the_population_regression_on_x_and_a() -> None:
    scm, table = red_car(20_000)
    is_red = (table["a"] == "red").to_numpy().astype(float)
    design = np.column_stack([np.ones(len(table)), table["x"], is_red])
    weights, rest, *_ = np.linalg.lstsq(design, table["y"])
    covariance = np.linalg.inv(design.T @ design) * rest[0] / (len(table) - 3)
    direction = np.array([0, 1.5, 1.0])  # what changing a moves: x by 1.5, the indicator by 1
    error = float(np.sqrt(direction @ covariance @ direction))
    alone = np.polyfit(table["x"], table["y"], 1)
    population = 2 / 0.8
    models = {
        "population": lambda frame: population * (frame["x"] - 1.5 * (frame["a"] == "red")),
        "both": lambda frame: weights[0] + weights[1] * frame["x"] + weights[2] * (frame["a"] == "red"),
        "alone": lambda frame: alone[1] + alone[0] * frame["x"],
    }
    report = audit(scm, models, read_table(table, scm.spec), draws=1)
    gaps = {name: value(report, name, "gap_same_noise", "a", "blue", "a=red") for name in models}
    assert gaps["population"] < 1e-12
    assert gaps["both"] < 5 * error
    assert gaps["alone"] > 20 * error


def test_a_torch_module_behind_a_function_is_a_model() -> None:
    scm, _, columns = hiring(40)
    module = torch.nn.Linear(2, 1, dtype=torch.float64)
    report = audit(scm, {"m": lambda frame: module(torch.tensor(frame[["grade", "gaps"]].to_numpy(dtype=float)))}, columns, draws=1)
    assert value(report, "m", "gap_same_noise", "race", "w", "race=b") > 0


def test_a_report_without_any_measure_of_accuracy_can_be_printed() -> None:
    scm, _, columns = hiring(200)
    report = audit(scm, {"m": lambda frame: np.full((len(frame), 3), 1 / 3)}, columns, draws=2, metrics=())
    written = StringIO()
    Console(width=120, file=written).print(to_table(report))
    assert "Counterfactual gaps" in written.getvalue()
    assert "## Counterfactual gaps" in to_markdown(report)
