"""The straight line from a table to a run."""

from dataclasses import replace

import pytest
import torch
from holes import with_holes

from cfair.auditing import Report
from cfair.data import split
from cfair.errors import CfairError, DataError, QueryError
from cfair.interfaces import Columns
from cfair.pipeline import Options, fit
from cfair.scm import SCM
from cfair.spec import ModelSpec

from oracles import LINEAR, declare
from oracles import people as simulated
from school import OUTCOMES, columns_of, people, school

QUICK = Options(draws=4, min_group_size=5, uncertainty="none")


def learned(outcome: str = "gaussian") -> tuple[ModelSpec, Columns]:
    """People of the school, and its model with everything left to be learned."""
    graph = school(outcome).to_graph()
    for node in graph:
        graph.nodes[node].pop("parameters", None)
    return ModelSpec.from_graph(graph), people(school(outcome), 400)[1]


@pytest.mark.parametrize("outcome", [each if each == "bernoulli" else pytest.param(each, marks=pytest.mark.slow) for each in OUTCOMES])
def test_the_same_data_spec_and_seed_give_the_same_numbers(outcome: str) -> None:
    spec, columns = learned(outcome)
    work = replace(QUICK, uncertainty="laplace", parameter_draws=3)
    first, second = fit(spec, columns, work), fit(spec, columns, work)
    assert first.report == second.report
    assert fit(spec, columns, replace(QUICK, seed=1)).report.rows != first.report.rows


def test_the_callers_random_stream_is_untouched() -> None:
    spec, columns = learned()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fit(spec, columns, QUICK)
    assert torch.equal(torch.rand(1), expected)


def test_the_order_of_rows_changes_only_who_is_tested() -> None:
    spec, columns = learned()
    run = fit(spec, columns, QUICK)
    train, test = split(columns, spec, test_share=0.2, seed=0)
    shuffled = test.take(torch.randperm(test.n, generator=torch.Generator().manual_seed(0)))
    for predictor in run.predictors.values():
        before = dict(zip(test.rows.tolist(), predictor.deploy(test, test.n).tolist(), strict=True))
        after = dict(zip(shuffled.rows.tolist(), predictor.deploy(shuffled, test.n).tolist(), strict=True))
        assert before == pytest.approx(after, abs=1e-12)
    assert run.report.data["audited_rows"] == test.n
    assert run.report.data["training_rows"] == train.n


@pytest.mark.slow
def test_several_splits_give_means_and_keep_the_first_as_the_run() -> None:
    spec, columns = learned()
    one, three = fit(spec, columns, QUICK), fit(spec, columns, replace(QUICK, splits=3))
    assert torch.equal(one.predictors["full"].deploy(columns, columns.n), three.predictors["full"].deploy(columns, columns.n))
    parts = [fit(spec, columns, replace(QUICK, seed=1_000_003 * k)).report.rows[0].value for k in range(3)]
    row = three.report.rows[0]
    assert row.value == pytest.approx(sum(part or 0 for part in parts) / 3)
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.value < row.high


@pytest.mark.slow
def test_progress_never_goes_back_and_ends_at_1() -> None:
    spec, columns = learned()
    told: list[float] = []
    fit(spec, columns, replace(QUICK, splits=2, uncertainty="laplace", parameter_draws=2), progress=lambda what, share: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ({"test_share": 1.0}, "between 0 and 1"),
        ({"draws": 0}, "below 1"),
        ({"parameter_draws": 1}, "below 2"),
        ({"uncertainty": "laplas"}, "Did you mean 'laplace'"),
        ({"splits": 0}, "below 1"),
        ({"seed": -1}, "below 0"),
        ({"predictors": ()}, "none is named"),
        ({"predictors": ("latnt",)}, "Did you mean 'latent'"),
        ({"head": "lineer"}, "Did you mean 'linear'"),
        ({"engine": "magic"}, "is not an engine"),
    ],
)
def test_nonsense_options_are_refused(option: dict[str, object], problem: str) -> None:
    with pytest.raises(QueryError, match=problem):
        Options(**option)  # type: ignore[arg-type]


def test_what_this_version_cannot_do_is_refused_before_any_work() -> None:
    told: list[str] = []
    graph = school().to_graph()
    for name in ("grit", "luck", "care"):
        graph.add_node(name, mechanism="gaussian", latent=True)
        graph.add_edge(name, "grade")
    graph.nodes["grade"].pop("parameters")
    quadrature = replace(QUICK, engine="quadrature")
    with pytest.raises(QueryError, match="4 real latents hang together"):
        fit(ModelSpec.from_graph(graph), people(school(), 50)[1], quadrature, progress=lambda what, share: told.append(what))
    spec, columns = learned()
    with pytest.raises(QueryError, match="does not predict an outcome of kind 'real'"):
        fit(spec, columns, replace(QUICK, head="logistic"), progress=lambda what, share: told.append(what))
    alone = columns_of({**columns, "race": torch.zeros(columns.n, dtype=torch.float64)})
    with pytest.raises(DataError, match="race"):
        fit(spec, alone, QUICK, progress=lambda what, share: told.append(what))
    assert not told


def test_every_mistake_says_where_what_and_how_to_mend_it() -> None:
    with pytest.raises(CfairError) as caught:
        Options(draws=0)
    assert str(caught.value) == "draws: 0 is below 1. Use a whole number from 1"


def same_rows(here: Report, there: Report) -> None:
    """The same rows, numbers to 1e-9."""
    assert len(here.rows) == len(there.rows)
    for a, b in zip(here.rows, there.rows, strict=True):
        assert replace(a, value=None, low=None, high=None) == replace(b, value=None, low=None, high=None)
        for ours, theirs in ((a.value, b.value), (a.low, b.low), (a.high, b.high)):
            assert ours is theirs is None or ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_weights_of_1_give_the_run_that_no_weights_give(outcome: str) -> None:
    spec, columns = learned(outcome)
    weighted = replace(columns, weights=torch.ones(columns.n, dtype=torch.float64))
    same_rows(fit(spec, weighted, QUICK).report, fit(spec, columns, QUICK).report)


@pytest.mark.slow
def test_neither_the_unit_of_weights_nor_people_of_weight_0_change_a_run() -> None:
    spec, columns = learned("bernoulli")
    weights = torch.arange(columns.n).remainder(5).double()
    counted = columns.take(weights.nonzero()[:, 0])
    report = fit(spec, replace(columns, weights=weights), QUICK).report
    same_rows(fit(spec, replace(counted, weights=weights[weights > 0] * 4_000), QUICK).report, report)
    assert fit(spec, counted, QUICK).report.rows != report.rows
    assert report.data["training_rows"] + report.data["audited_rows"] == counted.n


def test_heads_learn_from_rows_completed_with_their_outcome_and_are_not_weakened() -> None:
    """Half of the rows lack m; guessed without the outcome, its coefficient would be halved towards that of what explains m."""
    whole = simulated(SCM(LINEAR), 1_500, seed=3)
    columns = with_holes(whole, {"m": range(0, whole.n, 2)})
    run = fit(LINEAR, columns, replace(QUICK, predictors=("full", "unaware")))
    a, m = run.predictors["full"].fitted.coefficients.tolist()
    assert a == pytest.approx(2.0, abs=5 * 0.15)
    assert m == pytest.approx(-1.0, abs=5 * 0.035)
    alone = whole["m"] - whole["m"].mean()
    expected = float(alone @ whole["y"] / alone.square().sum())  # of y on m alone, in the rows before they lost it
    assert run.predictors["unaware"].fitted.coefficients.tolist() == [pytest.approx(expected, abs=5 * 0.03)]


def test_rows_without_an_outcome_are_learned_from_and_not_audited() -> None:
    spec, columns = learned()
    run = fit(spec, with_holes(columns, {"y": range(0, 400, 4), "grade": range(0, 400, 10)}), QUICK)
    audited, unscored, trained = (run.report.data[name] for name in ("audited_rows", "audited_rows_without_outcome", "training_rows"))
    assert (trained, audited) == (320, 80 - int(str(unscored)))
    assert int(str(unscored)) > 0
    assert all(row.n is None or row.n <= int(str(audited)) for row in run.report.rows)


def test_what_cannot_be_integrated_out_is_refused_before_any_learning() -> None:
    nodes: dict[str, dict[str, object]] = {
        "a": {"mechanism": "bernoulli", "levels": ["n", "y"]},
        "x": {"mechanism": "poisson"},
        "y": {"mechanism": "gaussian", "parents": ["x", "a"]},
    }
    columns = columns_of({"a": torch.tensor([0.0, 1.0] * 50), "x": torch.arange(100.0), "y": torch.arange(100.0)})
    told: list[str] = []
    with pytest.raises(QueryError, match="missing values of 'x' have observed effects, and a count is not integrated out"):
        fit(declare(nodes), with_holes(columns, {"x": [3]}), QUICK, progress=lambda what, share: told.append(what))
    assert not told


def test_a_way_to_draw_parameters_that_cannot_be_had_is_refused_before_any_work() -> None:
    """Where it was asked for by name; left to itself it is "none" there, and the report says so."""
    spec, (_, columns) = school(), people(school(), 80)
    with pytest.raises(QueryError, match="engine 'nuts' draws the parameters itself"):
        fit(spec, columns, replace(QUICK, engine="nuts", uncertainty="laplace"), progress=lambda what, share: pytest.fail(what))
    grade = columns["grade"].clone()
    grade[0] = torch.nan
    holes = replace(columns, coded={**columns.coded, "grade": grade}, missing={"grade": grade.isnan()})
    with pytest.raises(QueryError, match="parameters are drawn from whole rows, and some lack values"):
        fit(spec, holes, replace(QUICK, uncertainty="laplace"), progress=lambda what, share: pytest.fail(what))
