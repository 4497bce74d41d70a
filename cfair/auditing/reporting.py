"""What an audit found, as a report."""

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from torch import Tensor

from cfair.auditing.asked import Asked
from cfair.auditing.assumptions import assumptions
from cfair.auditing.bounded import bounded_rows
from cfair.auditing.classes import by_class, classes_of, each_map, measured_as
from cfair.auditing.crossing import Crossing
from cfair.auditing.described import describe
from cfair.auditing.elsewhere import foreign_of, of_elsewhere, output_of
from cfair.auditing.extrapolation import extrapolated, outside_rows
from cfair.auditing.frozen import FrozenGaps
from cfair.auditing.gaps import Gaps
from cfair.auditing.kept import Kept
from cfair.auditing.limits import limits, undefined, unseen
from cfair.auditing.moves import moved_most, moves_rows, response_rows
from cfair.auditing.nondescendants import held_against, measured_non_descendants
from cfair.auditing.pairs import curves, frozen_rows, gap_rows, worst_rows
from cfair.auditing.records import Assumption, Json, Outside, Report
from cfair.comparing import (
    Comparison,
    Division,
    People,
    Row,
    Said,
    constraint_rows,
    continuous_rows,
    group_metrics,
    group_rows,
    loss_rows,
    number_rows,
    one_vs_rest,
    overall_rows,
    paired_rows,
)
from cfair.families import Kind
from cfair.inference import patterns
from cfair.interfaces import Columns, Predictor
from cfair.scm import SCM
from cfair.weights import effective_size

__all__ = ["Found", "reported"]

VERSIONED = ("cfair", "torch", "pyro-ppl", "numpy", "pandas", "networkx", "scipy")  # packages that a report names
LOSSES: Mapping[Kind, str] = {"real": "rmse", "count": "rmse", "binary": "brier"}  # by which groups fare worst
RANKED = ("roc_auc",)  # metrics of a binary outcome that need no probability


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an audit found of people.

    Args:
        scm: in which they were moved.
        predictors: that were audited.
        crossing: of the protected attributes.
        columns: the audited people.
        everyone: them, and those who have no outcome.
        predictions: predictor -> its deployed predictions, (n,) or (n, classes).
        gaps: summed over people.
        kept: people with all their predictions.
        units: what is measured -> the unit in which its (δ, ε) curve counts.
        known: people with whom counterfactual rows are compared; the audited ones if None.
        frozen: gaps in worlds of drawn parameters, if any were drawn.
    """

    scm: SCM
    predictors: Mapping[str, Predictor]
    crossing: Crossing
    columns: Columns
    everyone: Columns
    predictions: Mapping[str, Tensor]
    gaps: Gaps
    kept: Kept
    units: Mapping[str, float]
    known: Columns | None = None
    frozen: FrozenGaps | None = None


def reported(found: Found, asked: Asked, *, started: float) -> Report:
    """The report of what was found since ``time.perf_counter()`` said ``started``; only models from elsewhere make it give that time."""
    columns, crossing = found.columns, found.crossing
    pairs = _pairs(found)
    bounded = _bounded(found, asked, pairs)
    divisions = tuple(crossing.divisions(crossing.group(columns)))
    rated = list(_rated(found, asked, divisions))
    support = _support(found, asked.seed)
    return Report(
        rows=(
            *_measures(found, asked),
            *pairs,
            *worst_rows(pairs, asked.min_group_size),
            *bounded[0],
            *moves_rows(found.kept, crossing, decided=_decided(found)),
            *response_rows(found.kept, crossing),
            *_by_group(found, divisions),
            *(row for row, _ in rated),
        ),
        model=describe(found.scm, found.predictors),
        data={
            **_data(columns),
            **_unseen(found.scm),
            **_lacking(columns, found.everyone),
            **_most_moved(found, asked),
            **_seconds(found, started),
        },
        options=_options(columns, asked),
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        assumptions=(*_assumed(found, asked, pairs), *undefined(rated), *bounded[1], *extrapolated(support)),
        not_used=tuple(name for name in columns.facts.unused if name not in columns),
        support=support,
        curves=tuple(curves(found.gaps, crossing, found.units)),
    )


def _pairs(found: Found) -> list[Row]:
    """The gaps of all pairs; of several classes' probabilities none has a sign."""
    drawn = frozen_rows(found.frozen, measured_as(found.predictors), found.crossing) if found.frozen else ()
    rows = [*drawn, *gap_rows(found.gaps, found.crossing)]
    return [row for row in rows if not (row.measure.endswith("_signed") and classes_of_name(found.predictors, row.predictor))]


def _most_moved(found: Found, asked: Asked) -> dict[str, Json]:
    """The people whose predictions move most, if they are asked for."""
    return (
        {"most_moved": moved_most(found.kept, found.crossing, asked.name_most_moved, series=_series(found))}
        if asked.name_most_moved
        else {}
    )


def _options(columns: Columns, asked: Asked) -> dict[str, Json]:
    """How it was asked for."""
    return {
        "draws": asked.draws,
        "seed": asked.seed,
        "weights": columns.facts.weights,
        "min_group_size": asked.min_group_size,
        "metrics": list(asked.metrics),
        "constraints": list(asked.constraints),
    }


def _assumed(found: Found, asked: Asked, pairs: Sequence[Row]) -> Iterator[Assumption]:
    """What the model, the models from elsewhere and the groups' sizes take for granted."""
    spec, columns = found.scm.spec, found.columns
    yield from assumptions(found.scm, found.predictors, columns.facts, pairs)
    yield from of_elsewhere(found.predictors, columns, spec)
    yield from unseen(found.scm.unseen, spec)
    yield from limits(spec, found.crossing, found.crossing.group(columns), asked.min_group_size)
    yield from held_against(spec, measured_non_descendants(spec, columns, seed=asked.seed))


def _bounded(found: Found, asked: Asked, pairs: Sequence[Row]) -> tuple[list[Row], list[Assumption]]:
    """The range of the worst gaps over couplings, if it is asked for and no value is missing."""
    if not asked.bounds or found.columns.missing:
        return [], []
    people, least = asked.bounds, asked.min_group_size
    return bounded_rows(
        found.scm, found.predictors, found.crossing, found.columns, pairs, people=people, min_group_size=least, seed=asked.seed
    )


def _series(found: Found) -> dict[str, tuple[str, ...]]:
    """Predictor -> under which names its predictions are kept: its own, or that of each class."""
    return {name: tuple(key for key, _ in each_map(name, each)) for name, each in found.predictors.items()}


def _decided(found: Found) -> dict[str, tuple[str, ...]]:
    """The predictors whose predictions decide, probabilities of an outcome with levels, and under which names they are kept."""
    spec = found.scm.spec
    deciding = spec.nodes[spec.outcome].discrete
    return {name: own for name, own in _series(found).items() if deciding and output_of(found.predictors[name], spec) == "outcome"}


def _support(found: Found, seed: int) -> tuple[Outside, ...]:
    """How many counterfactual rows lie outside the data of the group that they are put into; nothing where values are missing."""
    reference = found.columns if found.known is None else found.known
    if found.columns.missing or reference.missing:
        return ()
    return tuple(outside_rows(found.scm, found.crossing, found.columns, reference, seed=seed))


def classes_of_name(predictors: Mapping[str, Predictor], name: str) -> bool:
    """Whether predictions of that name are probabilities of several classes, whose distance has no sign."""
    return name in predictors and bool(classes_of(predictors[name]))


def _measures(found: Found, asked: Asked) -> Iterator[Row]:
    """Each metric of each predictor that it suits."""
    yield from overall_rows(_audited(found, "outcome"), asked.metrics)
    if not found.scm.spec.classes:
        yield from overall_rows(_audited(found, "score"), [name for name in asked.metrics if name in RANKED])


def _by_group(found: Found, divisions: Sequence[Division]) -> Iterator[Row]:
    """Means and errors of each group."""
    kind = found.scm.spec.outcome_kind
    whole = _audited(found, "outcome")
    yield from group_rows(whole, divisions, group_metrics(kind))
    for level, people in one_vs_rest(whole, found.scm.spec.classes):
        named = {f"{name}[{level}]": y_hat for name, y_hat in people.predictions.items()}
        yield from group_rows(replace(people, predictions=named), divisions, ())
    for unit in ("score", "classes"):
        yield from group_rows(_audited(found, unit), divisions, (), residuals=False)


def _rated(found: Found, asked: Asked, divisions: Sequence[Division]) -> Iterator[Said]:
    """How far groups lie apart: in decisions and probabilities of levels, in means, errors and distributions of numbers."""
    people, least, kind = _audited(found, "outcome"), asked.min_group_size, found.scm.spec.outcome_kind
    asking = Comparison(constraints=asked.constraints, min_group_size=least, seed=asked.seed)
    if loss := LOSSES.get(kind):
        yield from loss_rows(people, divisions, loss, min_group_size=least)
    if loss == "rmse":
        yield from number_rows(people, divisions, min_group_size=least, seed=asked.seed)
    yield from number_rows(_audited(found, "score"), divisions, min_group_size=least, residuals=False, seed=asked.seed)
    levels = found.scm.spec.classes
    for attribute in found.crossing.points:
        yield from _dependent(people, levels, attribute, found.columns[attribute], asked.seed)
    yield from constraint_rows(people, divisions, constraints=asked.constraints, min_group_size=least, levels=levels, seed=asked.seed)
    if not levels:
        yield from paired_rows(people, divisions, asking)


def _dependent(people: People, levels: Sequence[str], attribute: str, values: Tensor, seed: int) -> Iterator[Said]:
    """How far predictions depend on an attribute that is a number; of several levels the probability of each, as ``measure[Level]``."""
    if not levels:
        yield from continuous_rows(people, attribute, values, seed=seed)
    for level, one in one_vs_rest(people, levels):
        rows = continuous_rows(one, attribute, values, seed=seed)
        yield from ((replace(row, measure=f"{row.measure}[{level}]"), reason) for row, reason in rows)


def _audited(found: Found, unit: str) -> People:
    """The people, and what is predicted of them in one unit: the outcome's, scores' own, or probabilities of classes of something else.

    Of the outcome's own levels, their probabilities are one prediction; of something else each class is one.
    """
    spec, columns = found.scm.spec, found.columns
    of_unit = {name: each for name, each in found.predictors.items() if output_of(each, spec) == unit}
    predictions = {name: found.predictions[name] for name in of_unit}
    if unit == "classes":
        named = (pair for name, each in of_unit.items() for pair in by_class(name, each, predictions[name]))
        predictions = {key: values for key, values in named if values.ndim == 1}
    return People(columns[spec.outcome], predictions, columns.weights)


def _seconds(found: Found, started: float) -> dict[str, Json]:
    """Cfair's own time, and that of models from elsewhere in their own code."""
    models: dict[str, Json] = {name: round(each.seconds, 3) for name, each in foreign_of(found.predictors).items()}
    own = time.perf_counter() - started - sum(each.seconds for each in foreign_of(found.predictors).values())
    return {"seconds": {"cfair": round(own, 3), "models": models}} if models else {}


def _lacking(columns: Columns, everyone: Columns) -> dict[str, Json]:
    """How many values are missing and where: in the table, and among the audited people; nothing where none is."""
    if not columns.facts.missing:
        return {}
    kinds = [kind for kind in patterns(columns, list(columns)) if kind.missing]
    return {
        "missing": dict(columns.facts.missing),
        "missing_together": [{"nodes": list(kind.missing), "audited_rows": len(kind.people)} for kind in kinds],
        "audited_rows_without_outcome": everyone.n - columns.n,
    }


def _unseen(scm: SCM) -> dict[str, Json]:
    """Declared levels that nobody had among those from whom the model was learned; nothing where each level had somebody."""
    levels: dict[str, Json] = {node: list(own) for node, own in scm.unseen.items()}
    return {"unseen_levels": levels} if levels else {}


def _data(columns: Columns) -> dict[str, Json]:
    facts = columns.facts
    return {
        "name": facts.name,
        "rows": facts.rows,
        "sha256": facts.sha256,
        "dropped": facts.dropped,
        "rounded": dict(facts.rounded),
        "audited_rows": columns.n,
        **({} if columns.weights is None else {"weightless": facts.weightless, "effective_rows": effective_size(columns.weights)}),
    }
