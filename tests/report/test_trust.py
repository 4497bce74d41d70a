"""The gap of frozen predictors comes first, with its two errors apart and what it says."""

import re
from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest
from rich.console import Console

from cfair.auditing import Report
from cfair.auditing.splits import over_splits
from cfair.pipeline import Options, fit
from cfair.report import to_markdown, to_table
from cfair.spec import ModelSpec

from school import people, school

TITLE = "the figures to trust first"


@cache
def learned(uncertainty: str = "laplace", outcome: str = "gaussian", splits: int = 1) -> Report:
    """The school's report, everything left to be learned."""
    graph = school(outcome).to_graph()
    for node in graph:
        graph.nodes[node].pop("parameters", None)
    options = Options(draws=2, parameter_draws=3, uncertainty=uncertainty, splits=splits, predictors=("constant", "full", "latent"))
    return fit(ModelSpec.from_graph(graph), people(school(outcome), 300)[1], replace(options, min_group_size=5)).report


def in_words(report: Report) -> str:
    console = Console(width=200, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(to_table(report))
    return " ".join(captured.get().split())


@pytest.mark.parametrize("outcome", ["gaussian", "bernoulli"])
def test_it_comes_before_the_gaps_in_the_learned_model(outcome: str) -> None:
    for text in (in_words(learned(outcome=outcome)), to_markdown(learned(outcome=outcome))):
        assert text.index(TITLE) < text.index("noise unchanged;" if "noise unchanged;" in text else "Same noise: their noise")
        assert "near 0 for latent by construction" in text
        assert "unless another reading is given" in text


def printed_as(text: str, value: float | None) -> bool:
    """Whether ``text`` is ``value`` rounded to the digits that it shows."""
    half = Decimal(5).scaleb(int(Decimal(text.strip()).as_tuple().exponent) - 1)
    return value is not None and abs(float(text) - value) <= float(half) * (1 + 1e-9)


def test_every_figure_is_that_of_its_pair() -> None:
    report = learned()
    text = to_markdown(report)
    part = text[text.index(TITLE) : text.index("## Counterfactual gaps\n")]
    lines = {tuple(cell.strip() for cell in line.split("|")[1:3]): line.split("|")[3:-1] for line in part.splitlines() if "|" in line}
    pairs = [row for row in report.rows if (row.predictor, row.measure, row.attribute) == ("latent", "gap_frozen", "sex")]
    worst = max(pairs, key=lambda row: row.value or 0)
    assert printed_as(re.findall(r"[\d.]+", lines["latent", "gap"][1])[0], worst.value)
    for error in ("parameter", "sampling"):
        measure = f"gap_frozen_{error}_error"
        (row,) = [row for row in report.rows if row.predictor == "latent" and (row.measure, row.world) == (measure, worst.world)]
        assert printed_as(lines["latent", f"{error} error"][1], row.value)
    assert [cell.strip() for cell in lines["constant", "gap"]] == ["0", "0", "0"]
    assert ("constant", "sampling error") not in lines


def test_without_draws_of_parameters_nothing_is_said_of_them() -> None:
    report = learned("none")
    assert not [row for row in report.rows if "frozen" in row.measure or (row.measure.endswith("_error") and "parameter" in row.measure)]
    for text in (in_words(report), to_markdown(report)):
        assert TITLE not in text
        assert "unless another reading is given" not in text
        assert "the most probable given the training rows: intervals cover the sampling of people, not the model." in text


def test_the_assumptions_say_which_numbers_know_that_parameters_are_uncertain() -> None:
    (said,) = [each for each in learned().assumptions if each.name == "point_estimates"]
    assert "in worlds of drawn parameters" in said.text
    assert said.tested is not None
    assert "Pareto shape" in said.tested


def test_draws_that_are_not_to_be_trusted_are_said_to_be_so_beside_the_figures() -> None:
    report = learned()
    drawn = report.model["uncertainty"]
    assert isinstance(drawn, dict)
    assert (drawn["method"], drawn["draws"]) == ("laplace", 64)
    why = "the weights of the parameter draws of y have a k-hat of 0.91, above the 0.45 up to which they can be trusted"
    told, silent = (replace(report, model={**report.model, "uncertainty": {**drawn, "doubt": each}}) for each in (why, None))
    for in_full in (in_words, to_markdown):
        text = " ".join(in_full(told).split())
        assert text.index(TITLE) < text.index(f"NOT TO BE TRUSTED HERE: {why}. What was learned") < text.index("sampling error: the")
        assert "NOT TO BE TRUSTED" not in in_full(silent)


def test_a_doubt_of_any_split_is_that_of_them_all() -> None:
    report = learned()
    drawn = report.model["uncertainty"]
    assert isinstance(drawn, dict)
    sure, unsure = (replace(report, model={**report.model, "uncertainty": {**drawn, "doubt": each}}) for each in (None, "few"))
    for reports, doubt in (((sure, sure), None), ((sure, unsure), "few"), ((unsure, sure), "few")):
        together = over_splits(reports, test_share=0.2, min_group_size=5).model["uncertainty"]
        assert isinstance(together, dict)
        assert together["doubt"] == doubt


@pytest.mark.slow
def test_over_splits_the_interval_is_said_to_be_over_them() -> None:
    report = learned(splits=2)
    assert "95 % intervals over 2 random splits; sampling error" in in_words(report)
    worst = {row.predictor: row.value for row in report.rows if row.measure == "gap_frozen_worst" and row.attribute == "sex"}
    for name, value in worst.items():
        assert value == max(
            row.value or 0 for row in report.rows if (row.predictor, row.measure, row.attribute) == (name, "gap_frozen", "sex")
        )


def test_the_options_can_be_repeated_from_the_report() -> None:
    assert "--uncertainty laplace --parameter-draws 3 --draws 2" in in_words(learned())
