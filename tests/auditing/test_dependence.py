"""Protected attributes that are numbers: how far predictions depend on them, in audits and their reports."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from cfair import read_table
from cfair.auditing import Report
from cfair.metrics.distance_correlation import distance_correlation
from cfair.pipeline import Options, Run, fit
from cfair.report import to_markdown, to_table
from cfair.spec import ModelSpec

N = 400
LEVELS = {"bernoulli": ["low", "high"], "categorical": ["low", "mid", "high"]}


@cache
def fitted(mechanism: str) -> tuple[Run, pd.DataFrame]:
    levels, source = LEVELS[mechanism], np.random.default_rng(0)
    nodes = {
        "age": {"mechanism": "gaussian"},
        "x": {"mechanism": "gaussian", "parents": ["age"]},
        "y": {"mechanism": mechanism, "levels": levels, "parents": ["age", "x"]},
    }
    spec = ModelSpec.model_validate({"name": "aged", "protected": ["age"], "outcome": "y", "nodes": nodes})
    frame = pd.DataFrame({"age": source.normal(40, 10, N)})
    frame["x"] = source.normal(size=N) + frame["age"] / 20
    place = (frame["x"] + source.normal(size=N) - 1).astype(int).clip(0, len(levels) - 1)
    frame["y"] = np.array(levels)[place]
    options = Options(draws=2, predictors=("full", "constant"), uncertainty="none", test_share=0.5)
    return fit(spec, read_table(frame, spec), options), frame


def value(report: Report, predictor: str, measure: str) -> float | None:
    (row,) = [row for row in report.rows if (row.predictor, row.measure, row.attribute) == (predictor, measure, "age")]
    return row.value


@pytest.mark.parametrize("mechanism", LEVELS)
def test_dependence_on_a_number_is_told_of_every_outcome(mechanism: str) -> None:
    run, _ = fitted(mechanism)
    for suffix in [""] if mechanism == "bernoulli" else [f"[{level}]" for level in LEVELS[mechanism]]:
        assert value(run.report, "full", f"distance_correlation_squared{suffix}") is not None
        assert value(run.report, "constant", f"distance_correlation_squared{suffix}") is None  # also where it was rounded


def test_of_several_levels_it_is_that_of_the_probability_of_each() -> None:
    run, frame = fitted("categorical")
    predicted = run.predict(frame, predictor="full")
    held = {row.measure: row for row in run.report.rows if row.predictor == "full" and row.measure.startswith("distance_correlation_sq")}
    whole = distance_correlation(torch.tensor(predicted["prediction[high]"].to_numpy()), torch.tensor(frame["age"].to_numpy())).value
    found = held["distance_correlation_squared[high]"]
    assert found.low is not None
    assert found.high is not None
    assert whole is not None
    assert found.low - 0.1 < whole < found.high + 0.1  # the audited half against everyone


@pytest.mark.parametrize("mechanism", LEVELS)
def test_both_reports_show_it(mechanism: str) -> None:
    run, _ = fitted(mechanism)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(to_table(run.report))
    for text in (captured.get(), to_markdown(run.report)):
        _, found, rest = text.partition("Dependence on age")
        assert found
        assert "undefined" in rest[:1_200]
