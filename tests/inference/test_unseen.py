"""Declared levels that nobody has among the rows from which a model is learned."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cfair import audit, learn, load, read_table
from cfair.auditing import Report
from cfair.inference.unseen import unseen_levels
from cfair.pipeline import Options, fit
from cfair.spec import ModelSpec
from cfair.store import save

N = 300
NODES = {
    "race": {"mechanism": "categorical", "levels": ["w", "b", "h"]},
    "x": {"mechanism": "gaussian", "parents": ["race"]},
    "y": {"mechanism": "categorical", "levels": ["low", "mid", "high"], "parents": ["race", "x"]},
}
SPEC = ModelSpec.model_validate({"name": "few", "protected": ["race"], "outcome": "y", "nodes": NODES})


def table(races: str = "wb", outcomes: tuple[str, ...] = ("low", "mid")) -> pd.DataFrame:
    source = np.random.default_rng(0)
    return pd.DataFrame({"race": source.choice(list(races), N), "x": source.normal(size=N), "y": source.choice(outcomes, N)})


def warnings(report: Report) -> list[str]:
    return [each.text for each in report.assumptions if each.name == "unseen_level"]


def test_levels_that_somebody_has_are_not_named() -> None:
    assert unseen_levels(SPEC, read_table(table(), SPEC)) == {"race": ("h",), "y": ("high",)}
    assert unseen_levels(SPEC, read_table(table("wbh", ("low", "mid", "high")), SPEC)) == {}


def test_a_run_says_so_and_so_does_every_later_audit_with_its_model(tmp_path: Path) -> None:
    run = fit(SPEC, read_table(table(), SPEC), Options(draws=2, predictors=("constant",), uncertainty="none"))
    (attribute, outcome) = warnings(run.report)
    assert "learned has race h, a declared level of a protected attribute" in attribute
    assert "learned has y high, a declared level of the outcome" in outcome
    assert run.report.data["unseen_levels"] == {"race": ["h"], "y": ["high"]}
    save(run, tmp_path / "run")
    again = load(tmp_path / "run")
    assert warnings(audit(again.scm, again.predictors, read_table(table("wbh"), SPEC), draws=2)) == [attribute, outcome]


@pytest.mark.parametrize("races", ["wb", "wbh"])
def test_an_audit_of_any_model_says_it_too(races: str) -> None:
    columns = read_table(table(races, ("low", "mid", "high")), SPEC)
    report = audit(learn(SPEC, columns), {"rule": lambda frame: (frame["x"] > 0).map({True: "mid", False: "low"})}, columns, draws=2)
    assert len(warnings(report)) == ("h" not in races)
