"""One mitigation at setting after setting of its dial, measured on training, validation and test rows."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from joblib import Parallel, delayed

from cfair.auditing import audit
from cfair.auditing.crossing import crossing_of
from cfair.comparing import People, constraint_rows, overall_rows
from cfair.data import check_variation, split
from cfair.errors import QueryError
from cfair.interfaces import Columns, Predictor
from cfair.mitigations import MITIGATIONS, Constrained, Plan, Trained, check_plan, group_names, settings_of
from cfair.pipeline import Options, Progress, check, learned, split_seed, worlds_of
from cfair.predictors import PREDICTORS
from cfair.predictors.incomplete import deploy
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.threads import with_threads
from cfair.tradeoff.points import GAP, Part, Point, over_splits, with_front

__all__ = ["Curve", "check_sweep", "curve", "sweep"]

VALIDATION = 0.25  # share of the people not tested by whom points are chosen
REPLICATES = 400  # tables that are drawn anew for an interval

Measured: TypeAlias = tuple[str, Part, str, float | None, float | None, float | None]  # predictor, part, measure, value, low, high


class Curve(NamedTuple):
    """The points of a trade-off, and how they were trained.

    Args:
        points: rows of measures.
        held: groups that took no part in some split, being too small or without anybody of whom the constraint asks.
        unsettled: settings at which training did not settle in some split.
    """

    points: tuple[Point, ...]
    held: tuple[str, ...]
    unsettled: tuple[float, ...]


def sweep(
    spec: ModelSpec, columns: Columns, plan: Plan, options: Options | None = None, *, points: int = 20, progress: Progress | None = None
) -> tuple[Point, ...]:
    """The points of ``curve``, alone: see there."""
    return curve(spec, columns, plan, options, points=points, progress=progress).points


@with_threads
def curve(
    spec: ModelSpec, columns: Columns, plan: Plan, options: Options | None = None, *, points: int = 20, progress: Progress | None = None
) -> Curve:
    """Train one mitigation at ``points`` settings of its dial, and measure each on training, validation and test rows.

    A quarter of the people who are not tested are kept to choose points by. Predictors without constraints are measured beside them: the
    same plane holds accuracy, group differences and counterfactual gaps.

    Args:
        spec: the declared model.
        columns: people with every observed node, and perhaps their weights.
        plan: what is trained in, by what and for whom; its strength and tolerance are not read.
        options: draws, splits, predictors for comparison, and the rest as of ``fit``; what it says of constraints is not read.
        points: settings, from nothing trained in on; a mitigation without a dial has two.
        progress: called with what is being done and the share of the work that is done.

    Returns:
        Rows of measures, of several splits their means, with intervals of Nadeau & Bengio (2003); who took no part; what did not settle.

    Raises:
        QueryError: the model, the plan or the options ask for something that cannot be done.
        DataError: an attribute has one level in the table, or the outcome does not vary.
        FitError: learning or inference did not reach an answer.
    """
    options = replace(options or Options(uncertainty="none"), constraints=(), mitigations=())
    plan = check_sweep(spec, columns, plan, options, points)
    tell, k = progress or (lambda what, share: None), options.splits
    if k == 1:
        alone = _of_split(spec, columns, plan, options, points, tell)
        return alone._replace(points=tuple(with_front(alone.points)))
    tell(f"{k} splits", 0.0)
    parts = [replace(options, seed=split_seed(options.seed, each)) for each in range(k)]
    jobs = (delayed(_of_split)(spec, columns, plan, own, points, None) for own in parts)
    found: list[Curve] = Parallel(n_jobs=min(k, os.cpu_count() or 1))(jobs)
    mean = over_splits([each.points for each in found], options.test_share, (1 - VALIDATION) * (1 - options.test_share))
    held, unsettled = (dict.fromkeys(name for each in found for name in own) for own in zip(*(each[1:] for each in found), strict=True))
    return Curve(tuple(with_front(mean)), tuple(held), tuple(unsettled))


def check_sweep(spec: ModelSpec, columns: Columns, plan: Plan, options: Options, points: int) -> Plan:
    """The plan, with the attributes by which people are grouped, if everything that is asked for can be done.

    Raises:
        QueryError, DataError: it cannot.
    """
    if points < 2:
        raise QueryError("points", f"{points} make no curve", "use 2 or more")
    check(
        spec,
        replace(options, constraints=("+".join(plan.constraints),), mitigations=(plan.mitigation,), features=plan.features, by=plan.by),
    )
    plan = check_plan(spec, plan)
    if why := plan.refusal:
        raise QueryError(f"{plan.mitigation} with {'+'.join(plan.constraints)}", why, "name another mitigation for it")
    if columns.missing:
        problem = f"values are missing in {', '.join(columns.missing)}, and a curve is of whole rows"
        raise QueryError("missing", problem, "use missing='drop'")
    check_variation(columns, spec)
    return plan


@with_threads  # in a process of its own, too
def _of_split(spec: ModelSpec, columns: Columns, plan: Plan, options: Options, points: int, tell: Progress | None) -> Curve:
    """All measures of all points on one split."""
    tell = tell or (lambda what, share: None)
    rest, test = split(columns, spec, test_share=options.test_share, seed=options.seed)
    train, validation = split(rest, spec, test_share=VALIDATION, seed=options.seed + 1)
    tell("learning the model", 0.0)
    scm = learned(spec, train, replace(options, uncertainty="none"))
    tell("training", 0.2)
    settings, predictors, trained = _trained(scm, train, plan, options, points)
    tell("auditing", 0.5)
    rows = [*_measured(scm, predictors, train, plan, "train"), *_measured(scm, predictors, validation, plan, "validation")]
    report = audit(
        scm, predictors, test, draws=options.draws, parameter_draws=0, seed=options.seed, min_group_size=plan.min_group_size,
        attributes=plan.by, constraints=plan.constraints, progress=lambda done: tell("auditing", 0.5 + 0.5 * done / test.n),
    )  # fmt: skip
    attribute = " x ".join(name for name in spec.nodes if name in plan.by)
    wanted = {"accuracy": None, **{f"{name}_difference": attribute for name in plan.constraints}, f"{GAP}_worst": attribute}
    rows += [
        (row.predictor, "test", row.measure.removesuffix("_worst"), row.value, row.low, row.high)
        for row in report.rows
        if row.measure in wanted and row.attribute == wanted[row.measure]
    ]
    constraint = "+".join(plan.constraints)
    measured = tuple(
        Point(
            constraint=constraint,
            mitigation=plan.mitigation if name in settings else name,
            strength=settings.get(name),
            split=part,
            measure=measure,
            value=value,
            low=low,
            high=high,
        )
        for name, part, measure, value, low, high in rows
    )
    groups, last = group_names(scm, plan.by), trained[-1]
    unsettled = (setting for setting, each in zip(settings.values(), trained, strict=True) if not each.log[-1].converged)
    return Curve(measured, tuple(groups[place] for place in last.held), tuple(unsettled))


def _trained(
    scm: SCM, train: Columns, plan: Plan, options: Options, points: int
) -> tuple[dict[str, float], dict[str, Predictor], list[Trained]]:
    """Settings by the names of points, all predictors by name, the points and those without constraints, and how points were trained."""
    worlds, outcome = worlds_of(scm, train, options, given=None), train[scm.spec.outcome]
    predictors: dict[str, Predictor] = {
        name: PREDICTORS[name](scm, head=options.head).fit(worlds, outcome, weights=train.weights) for name in options.predictors
    }
    settings, trained = dict[str, float](), list[Trained]()
    constrained = Constrained(scm, replace(plan, seed=options.seed), head=options.head)
    dial = settings_of(MITIGATIONS[plan.mitigation], points)
    for setting in constrained.along(worlds, outcome, weights=train.weights, settings=dial):
        assert setting is not None
        name = f"{plan.name}@{setting:g}"
        predictors[name], settings[name] = constrained.kept(), setting
        assert constrained.trained is not None
        trained.append(constrained.trained)
    groups = group_names(scm, plan.by)
    if len(trained[-1].held) == len(groups):
        problem = f"fewer than two of {'; '.join(groups)} can take part, being too small or without anybody of whom the constraint asks"
        raise QueryError("by", problem, "lower min_group_size, or name other attributes")
    return settings, predictors, trained


def _measured(scm: SCM, predictors: Mapping[str, Predictor], people: Columns, plan: Plan, part: Part) -> Iterator[Measured]:
    """Accuracy and differences of each predictor's decisions, of which those of the training rows are what was trained."""
    predictions = {name: deploy(scm, predictor, people) for name, predictor in predictors.items()}
    known = People(people[scm.spec.outcome], predictions, people.weights)
    crossing = crossing_of(scm.spec, people, attributes=plan.by)
    *_, division = crossing.divisions(crossing.group(people))
    for row in overall_rows(known, ("accuracy",), yardsticks=()):
        yield row.predictor, part, row.measure, row.value, row.low, row.high
    wanted = {f"{name}_difference" for name in plan.constraints}
    least = plan.min_group_size
    for row, _ in constraint_rows(known, [division], constraints=plan.constraints, min_group_size=least, replicates=REPLICATES):
        if row.measure in wanted:
            yield row.predictor, part, row.measure, row.value, row.low, row.high
