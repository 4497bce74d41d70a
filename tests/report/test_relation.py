"""What is said of group differences beside counterfactual gaps, on constructed models whose answers are known."""

import pandas as pd
import pytest
import torch
from rich.console import Console

from cfair import groups
from cfair.auditing import Report, audit
from cfair.auditing.sources import Model
from cfair.report import to_markdown, to_survey, to_table
from cfair.report.figures import figures_of
from cfair.report.impossibility import impossible
from cfair.report.relation import together
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import simulate

from school import columns_of

N = 4_000


def linear(*, resolving: tuple[str, ...] = (), cause: bool = False, direct: float = 1.0, indirect: float = -1.0) -> ModelSpec:
    """c (only if it causes a) -> a -> m -> y, a -> y and c -> y, all weights known: y = direct·a + m + c + u, m = indirect·a + u."""
    parents = ["c"] if cause else []
    nodes = {
        "c": {"mechanism": "gaussian", "parameters": {"intercept": 0.0, "scale": 1.0}},
        "a": {
            "mechanism": "bernoulli",
            "levels": ["n", "p"],
            "parents": parents,
            "parameters": {"intercept": 0.0, "weights": dict.fromkeys(parents, 1.0)},
        },
        "m": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=p": indirect}, "scale": 1.0}},
        "y": {
            "mechanism": "gaussian",
            "parents": ["a", "m", "c"],
            "parameters": {"intercept": 0.0, "weights": {"a=p": direct, "m": 1.0, "c": 1.0}, "scale": 1.0},
        },
    }
    return ModelSpec.model_validate({"name": "line", "protected": ["a"], "outcome": "y", "resolving": resolving, "nodes": nodes})


def direct_and_indirect(frame: pd.DataFrame) -> pd.Series:
    """E[y | a, m], c left out."""
    return (frame["a"] == "p") * 1.0 + frame["m"]


def little_and_noise(frame: pd.DataFrame) -> pd.Series:
    return (frame["a"] == "p") * 0.2 + frame["m"]


def by_cause(frame: pd.DataFrame) -> pd.Series:
    return frame["c"]


def up_and_down(frame: pd.DataFrame) -> pd.Series:
    return (frame["a"] == "p") * frame["c"]


def audited(spec: ModelSpec, model: Model, n: int = N) -> Report:
    scm = SCM(spec)
    world = simulate(scm, n, seed=0)
    return audit(scm, {"line": model}, columns_of({node: world.values[node][0] for node in spec.observed}), draws=1)


def said(report: Report) -> str:
    console = Console(width=400, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(to_table(report) if "splits" not in report.options else to_survey(report))
    return " ".join(captured.get().split())


def test_direct_and_indirect_influences_that_cancel_are_pointed_out() -> None:
    report = audited(linear(resolving=("m",)), direct_and_indirect)
    (found,) = together(figures_of(report), "line", "a")
    assert not found.differ  # 1 along a -> y, -1 along a -> m -> y
    assert found.gap == pytest.approx(1)
    sign = 1.0 if found.other == "p" else -1.0
    assert found.signed == pytest.approx(sign)
    assert abs(found.left + sign) < 5 * 2 / N**0.5  # by what was held: −1, and sampling
    for text in (said(report), to_markdown(report)):
        assert "HIDDEN by a under line: mean predictions of the groups cannot be told apart" in text
        assert "along paths that the DAG does not call unfair (through m)" in text
        assert "is cancelled by" in text


def test_moves_up_and_down_that_a_groups_mean_hides_are_pointed_out() -> None:
    text = said(audited(linear(), up_and_down))
    assert "HIDDEN by a under line" in text
    assert "some up and some down" in text


def test_groups_that_differ_though_nobody_moves_do_so_by_what_the_attribute_did_not_cause() -> None:
    report = audited(linear(cause=True), by_cause)
    (found,) = together(figures_of(report), "line", "a")
    assert (found.gap, found.group, found.other) == (0, "n", "p")
    assert found.low > 0
    assert found.left == found.difference
    assert "NOT MOVED by a under line: nobody's prediction moves" in said(report)
    assert "by what 'a' did not cause (what causes it: c)" in said(report)


def test_groups_that_differ_without_a_reason_in_the_graph_are_said_to() -> None:
    spec, scm = linear(), SCM(linear())
    world = simulate(scm, N, seed=0)
    columns = {node: world.values[node][0] for node in spec.observed}
    columns["c"] = columns["c"] + columns["a"]  # in the table, not in the model
    text = said(audit(scm, {"line": by_cause}, columns_of(columns), draws=1))
    assert "in which nothing causes 'a', gives no reason but chance" in text
    assert "CONTRADICTED: the graph has no open path between 'c' and 'a'" in text


def test_what_agrees_is_shown_and_not_pointed_out() -> None:
    report = audited(linear(indirect=0.5), direct_and_indirect)
    (found,) = together(figures_of(report), "line", "a")
    assert abs(found.left) < 5 * 2 / N**0.5  # of a root without held paths, moving people accounts for all
    assert "How group differences and counterfactual gaps relate" in said(report)
    assert "HIDDEN" not in said(report)
    assert "NOT MOVED" not in said(report)


def test_a_difference_that_few_people_cannot_show_is_not_said_to_be_hidden() -> None:
    text = said(audited(linear(direct=0.2, indirect=0.0), little_and_noise, n=150))
    assert "TOO FEW by a under line" in text
    assert "is within the interval of the difference" in text
    assert "HIDDEN" not in text


def test_a_threshold_that_hides_a_difference_is_named_as_such() -> None:
    fixed = {"intercept": 0.0, "weights": {}}
    nodes = {
        "a": {"mechanism": "bernoulli", "levels": ["n", "p"], "parameters": fixed},
        "b": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parents": ["a"], "parameters": {**fixed, "weights": {"a=p": 0.1}}},
    }
    spec = ModelSpec.model_validate({"name": "cut", "protected": ["a"], "outcome": "b", "nodes": nodes})
    scm = SCM(spec)
    world = simulate(scm, N, seed=0)
    columns = columns_of({node: world.values[node][0] for node in spec.observed})
    report = audit(scm, {"line": lambda frame: 0.1 + 0.2 * (frame["a"] == "p")}, columns, draws=1)
    assert "HIDDEN by a under line: decisions of the groups cannot be told apart" in said(report)
    assert "their mean predictions do differ" in said(report)


def rated(*cells: tuple[int, int, int, int]) -> Report:
    """A report of people counted as (y=0 refused, y=0 selected, y=1 refused, y=1 selected) in each group."""
    counts = torch.tensor(cells).flatten()
    place = torch.repeat_interleave(torch.arange(len(counts)), counts)
    frame = pd.DataFrame({"g": (place // 4).numpy(), "y": (place // 2 % 2).numpy(), "decision": (place % 2).numpy()})
    return groups(frame, outcome="y", prediction="decision", attributes=["g"], proxies=False)


def test_the_impossibility_is_said_with_the_rates_that_chouldechova_asks_for() -> None:
    report = rated((1800, 200, 200, 300), (700, 400, 400, 600))  # predictive value 0.6 and true positives 0.6 in both
    (text,) = impossible(figures_of(report), "g")
    assert "Base rates by g differ: 0.200 (0) and 0.476 (1)" in text
    assert "cannot both hold" in text
    assert (
        "Were the predictive value 0.600 and the true positive rate 0.600 in both groups, as they are in the mean under decision, the"
        in text
    )
    assert "would have to be 0.100 and 0.364, where decision has 0.100 and 0.364" in text  # equal predictive values: theirs are these


def test_it_is_not_said_where_base_rates_may_agree_or_groups_are_small() -> None:
    assert list(impossible(figures_of(rated((60, 20, 10, 10), (58, 20, 12, 10))), "g")) == []
    assert list(impossible(figures_of(rated((60, 20, 10, 10), (2, 0, 12, 10))), "g")) == []


def test_rates_beyond_one_are_called_what_they_are() -> None:
    (text,) = impossible(figures_of(rated((500, 300, 10, 90), (20, 10, 100, 870))), "g")
    assert "which is more than 1, where decision has" in text


def test_a_constant_decision_gives_no_figures_to_ask_for() -> None:
    (text,) = impossible(figures_of(rated((0, 500, 0, 100), (0, 100, 0, 500))), "g")
    assert "cannot both hold" in text
    assert "would have to be" not in text
