"""Predictors of a run in which constraints are trained: what they read, where they are invariant, and that they are kept."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cfair.auditing import audit
from cfair.auditing.decomposed import TERMS, decomposed
from cfair.constraints import CONSTRAINTS
from cfair.effects import decompose
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.interfaces import Columns, World
from cfair.mitigations import MITIGATIONS, Constrained, Plan, check_plan, plans
from cfair.pipeline import Options, fit
from cfair.predictors import PREDICTORS
from cfair.report import to_markdown
from cfair.scm import SCM
from cfair.store import Run, load, save

from school import people, school

N = 600
LIKE = Plan(mitigation="", constraints=(), min_group_size=20)
QUICK = {"threshold", "recalibration", "reweighing"}
PAIRS = [
    pytest.param(mitigation, constraint, marks=() if mitigation in QUICK else pytest.mark.slow)
    for mitigation in MITIGATIONS
    for constraint in CONSTRAINTS
    if MITIGATIONS[mitigation].refuses(CONSTRAINTS[constraint]) is None
]


@pytest.fixture(scope="module")
def known() -> tuple[SCM, Columns, list[World]]:
    scm, columns = people(school("bernoulli"), N)
    return scm, columns, [abduct(scm, columns.take(part), draws=3) for part in torch.arange(N).split(400)]


@pytest.fixture(scope="module")
def run() -> Run:
    """Predictors by mitigations of each stage."""
    scm, columns = people(school("bernoulli"), N)
    options = Options(
        predictors=("unaware",),
        uncertainty="none",
        draws=3,
        constraints=("demographic_parity", "calibration"),
        mitigations=("threshold", "recalibration", "reweighing"),
        min_group_size=20,
    )
    return fit(scm.spec, columns, options)


def constrained(known: tuple[SCM, Columns, list[World]], **changes: object) -> Constrained:
    scm, columns, worlds = known
    plan = check_plan(scm.spec, replace(LIKE, **{"mitigation": "threshold", "constraints": ("demographic_parity",), **changes}))  # type: ignore[arg-type]
    return Constrained(scm, plan).fit(worlds, columns["y"])


@pytest.mark.parametrize(("mitigation", "constraint"), PAIRS)
def test_every_pair_answers_row_by_row_as_in_a_batch_and_a_copy_answers_alike(
    known: tuple[SCM, Columns, list[World]], mitigation: str, constraint: str
) -> None:
    scm, columns, _ = known
    predictor = constrained(known, mitigation=mitigation, constraints=(constraint,), by=("sex",))
    rows = {node: columns[node][:40] for node in predictor.needs}
    found = predictor.deploy(rows, 40)
    alone = torch.cat([predictor.deploy({node: values[i : i + 1] for node, values in rows.items()}, 1) for i in range(40)])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-12)
    assert torch.equal(predictor.kept().deploy(rows, 40), found)
    twin = Constrained(scm, Plan.from_json(predictor.plan.to_json()))
    twin.restore(predictor.fitted.state_dict())
    assert torch.equal(twin.deploy(rows, 40), found)


def test_a_head_trained_anew_sees_what_it_saw_and_claims_what_it_claimed(known: tuple[SCM, Columns, list[World]]) -> None:
    scm, columns, _ = known
    predictor = constrained(known, mitigation="reweighing", features="latent")
    assert predictor.sees == predictor.base.sees
    assert predictor.invariant_in == "declared"
    report = audit(scm, {"own": predictor}, columns, draws=3, min_group_size=20)
    gaps = [row.value for row in report.rows if row.measure == "gap_same_noise"]
    assert gaps
    assert max(value for value in gaps if value is not None) == 0


def test_thresholds_by_group_need_the_group_and_claim_nothing(known: tuple[SCM, Columns, list[World]]) -> None:
    predictor = constrained(known, features="latent")
    assert predictor.invariant_in is None
    assert set(predictor.plan.by) <= set(predictor.needs)
    assert set(predictor.plan.by) <= set(predictor.sees)
    without = constrained(known, features="latent", reads_group=False)
    assert without.invariant_in == "declared"
    assert without.needs == without.base.needs


def test_a_run_may_be_asked_for_thresholds_that_do_not_read_the_group() -> None:
    scm, columns = people(school("bernoulli"), 200)
    asked = {"constraints": ("demographic_parity",), "mitigations": ("threshold",), "by": ("sex",), "reads_group": False}
    run = fit(scm.spec, columns, Options(predictors=("unaware",), uncertainty="none", draws=2, **asked))  # type: ignore[arg-type]
    assert run.predictors["threshold.demographic_parity"].needs == run.predictors["unaware"].needs


def test_a_person_in_another_world_is_held_to_the_threshold_of_that_group(known: tuple[SCM, Columns, list[World]]) -> None:
    _, columns, worlds = known
    predictor = constrained(known, features="full")
    moved = replace(worlds[0], values={**worlds[0].values, "sex": 1 - worlds[0].values["sex"]})
    rows = {node: (1 - columns[node] if node == "sex" else columns[node])[:400] for node in predictor.needs}
    torch.testing.assert_close(predictor.predict(moved)[0], predictor.deploy(rows, 400), rtol=0, atol=1e-12)


def test_a_run_with_constraints_is_kept_and_read_back_bit_for_bit(run: Run, tmp_path: Path) -> None:
    _, columns = people(school("bernoulli"), 50, seed=5)
    assert {"reweighing.demographic_parity", "threshold.demographic_parity", "recalibration.calibration"} < set(run.predictors)
    back = load(save(run, tmp_path / "run"))
    assert list(back.predictors) == list(run.predictors)
    for name, predictor in run.predictors.items():
        rows = {node: columns[node] for node in predictor.needs}
        assert torch.equal(back.predictors[name].deploy(rows, 50), predictor.deploy(rows, 50))


def test_a_report_says_how_each_was_trained_and_which_pairs_cannot_be_had(run: Run) -> None:
    trained, refused = run.report.data["trained_in"], run.report.data["refused"]
    assert isinstance(trained, dict)
    assert isinstance(refused, list)
    record = trained["threshold.demographic_parity"]
    assert isinstance(record, dict)
    log = record["log"]
    assert isinstance(log, list)
    first, last = ([line["violations"] for line in log if isinstance(line, dict)][i] for i in (0, -1))
    assert last["demographic_parity"] < first["demographic_parity"]  # type: ignore[index, call-overload, operator]
    assert any(str(each).startswith("threshold.calibration: thresholds move decisions") for each in refused)
    assert "threshold.calibration" not in run.predictors


def test_what_nothing_can_train_in_is_refused_before_any_work() -> None:
    spec = school("bernoulli")
    for constraints, mitigations, problem in (
        (("calibration",), ("lagrangian",), "cannot bound errors of all deciles"),
        (("calibration", "demographic_parity"), ("recalibration",), "aims at calibration"),
        (("demographic_parity",), (), "no mitigations"),
        ((), ("lagrangian",), "no constraints"),
        (("parity",), ("lagrangian",), "not a constraint"),
        (("demographic_parity",), ("lagrange",), "not known"),
    ):
        with pytest.raises(QueryError, match=problem):
            plans(spec, constraints, mitigations, LIKE)
    with pytest.raises(QueryError, match="outcome of two levels"):
        plans(school("gaussian"), ("demographic_parity",), ("lagrangian",), LIKE)
    with pytest.raises(QueryError, match="not a protected attribute"):
        plans(spec, ("demographic_parity",), ("lagrangian",), replace(LIKE, by=("y",)))
    scm, columns = people(spec, 60)
    with pytest.raises(QueryError, match="trains heads of the kind logistic"):
        fit(scm.spec, columns, Options(head="boosted", constraints=("demographic_parity",), mitigations=("penalty",)))


def test_several_at_once_are_listed_as_not_trained_where_one_alone_can_be() -> None:
    spec = school("bernoulli")
    found, refused = plans(spec, ("demographic_parity", "demographic_parity+equal_opportunity"), ("reduction", "lottery"), LIKE)
    assert len(found) == 3
    assert refused == (
        "reduction.demographic_parity+equal_opportunity: 'reduction' trains one constraint in, and demographic_parity and "
        "equal_opportunity are asked for together",
    )


def test_a_constraint_named_twice_is_one() -> None:
    plan = check_plan(school("bernoulli"), replace(LIKE, mitigation="threshold", constraints=("demographic_parity",) * 2))
    assert plan.constraints == ("demographic_parity",)


def test_maps_of_each_group_are_refused_before_any_work_where_the_group_is_not_read() -> None:
    with pytest.raises(QueryError, match="not to be read at prediction time"):
        check_plan(school("bernoulli"), replace(LIKE, mitigation="recalibration", constraints=("calibration",), reads_group=False))


def test_one_comparison_holds_all_predictors_with_what_their_predictions_are_made_of(run: Run) -> None:
    """Terms as of ``decompose`` with all its parts, of the same people and noise; tv is its sum."""
    found = {(row.predictor, row.measure): row for row in run.report.rows if row.measure in TERMS}
    text = to_markdown(run.report)
    table = text[text.index("## One comparison") :].split("\n\n")[2].splitlines()
    assert {line.split(" | ")[0].removeprefix("| ") for line in table[2:]} == run.predictors.keys()
    for name in run.predictors:
        tv, direct, indirect, spurious = (found[name, term].value for term in TERMS)
        assert None not in (tv, direct, indirect, spurious)
        assert tv == pytest.approx(direct - indirect - spurious, abs=1e-12)  # type: ignore[operator]
    assert found["unaware", "ctf_de"].value == 0  # it does not read the group
    assert found["threshold.demographic_parity", "ctf_de"].value != 0
    assert found["reweighing.demographic_parity", "ctf_de"].value == 0


def test_without_parts_a_decomposition_has_the_same_terms(known: tuple[SCM, Columns, list[World]]) -> None:
    scm, columns, _ = known
    (attribute,) = scm.spec.protected[:1]
    start, end = scm.spec.nodes[attribute].levels[:2]
    whole, terms = (decompose(scm, columns, attribute=attribute, start=start, end=end, draws=3, parts=parts) for parts in (True, False))
    assert whole.terms == terms.terms
    assert whole.paths
    assert not terms.paths
    assert not terms.mediators
    assert not any("not told apart" in sentence for sentence in terms.said)


@pytest.mark.slow
def test_progress_with_constraints_never_goes_back_and_ends_at_1() -> None:
    scm, columns = people(school("bernoulli"), 300)
    told: list[float] = []
    options = Options(
        predictors=("unaware",), uncertainty="none", draws=2, constraints=("demographic_parity",), mitigations=("threshold",), splits=2
    )
    fit(scm.spec, columns, options, progress=lambda what, share: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_group_of_whom_nobody_is_held_out_is_not_taken_apart(known: tuple[SCM, Columns, list[World]]) -> None:
    scm, columns, worlds = known
    predictors = {"unaware": PREDICTORS["unaware"](scm).fit(worlds, columns["y"])}
    race = columns["race"].long()
    largest = int(torch.bincount(race).argmax())

    def rows(people: Columns) -> list[tuple[str | None, str | None]]:
        found = decomposed(scm, predictors, people, attributes=("race",), known=columns, draws=2, seed=0, progress=lambda share: None)
        return [(row.group, row.world) for row in found]

    levels = scm.spec.nodes["race"].levels
    assert rows(columns.take((race == largest).nonzero().squeeze(1))) == []
    others = rows(columns.take((race != largest).nonzero().squeeze(1)))
    assert len(others) == len(TERMS)
    assert all(levels[largest] not in (group, (world or "").removeprefix("race=")) for group, world in others)
