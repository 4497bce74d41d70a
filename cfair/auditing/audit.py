"""The audit: predictions of people in every world, block by block, and what they add up to."""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version

import torch
from torch import Tensor

from cfair.auditing.assumptions import assumptions
from cfair.auditing.crossing import Crossing, crossing_of
from cfair.auditing.described import describe
from cfair.auditing.frozen import Drawn, frozen_gaps
from cfair.auditing.gaps import Gaps, block_gaps
from cfair.auditing.limits import limits, undefined
from cfair.auditing.measures import Audited, constraint_rows, group_metrics, group_rows, overall_rows
from cfair.auditing.pairs import frozen_rows, gap_rows, worst_rows
from cfair.auditing.records import Json, Report
from cfair.constraints import CONSTRAINTS
from cfair.data import blocks
from cfair.errors import DataError, QueryError
from cfair.families import Kind
from cfair.inference import patterns
from cfair.interfaces import Columns, Predictor
from cfair.metrics import METRIC_KINDS, METRICS
from cfair.predictors.incomplete import deploy
from cfair.scm import SCM
from cfair.threads import with_threads
from cfair.weights import effective_size

__all__ = ["MIN_GROUP_SIZE", "WORLDS", "audit"]

MIN_GROUP_SIZE = 30  # people below which a group takes no part in a worst pair or a largest difference
BLOCK_DRAWS = 400_000  # draws in a block unless block_rows says otherwise: bounds the memory, and fits the processor's cache
WORLDS = 40  # of drawn parameters: from 39 on, the least and the largest of equal draws leave no more than 5 % outside
VERSIONED = ("cfair", "torch", "pyro-ppl", "numpy", "pandas", "networkx", "scipy")  # packages that a report names


@with_threads
def audit(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    columns: Columns,
    *,
    metrics: Sequence[str] | None = None,
    constraints: Sequence[str] | None = None,
    draws: int = 200,
    parameter_draws: int = WORLDS,
    seed: int = 0,
    block_rows: int | None = None,
    min_group_size: int = MIN_GROUP_SIZE,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Accuracy, counterfactual gaps and group constraints of fitted predictors on people they were not fitted on.

    Args:
        scm: the model in which people are moved.
        predictors: name -> fitted predictor.
        columns: the people, with every observed node; weighted where they have weights, and those of weight 0 left out, as is whoever
            has no outcome. What else somebody lacks is integrated out of predictions, and drawn with the noise of worlds.
        metrics: names in METRICS; those of the outcome's kind if None.
        constraints: names in CONSTRAINTS, for a binary outcome; all if None.
        draws: posterior draws per person.
        parameter_draws: of the draws of parameters that ``scm`` holds, if any, how many are worlds in which frozen predictors are judged.
        seed: of the draws.
        block_rows: people whose worlds are held at a time; by ``draws`` if None. It changes no prediction.
        min_group_size: people below which a group takes no part in a worst pair or a largest difference between groups.
        progress: called with the number of people done, after each block; the worlds of drawn parameters count for half of the work.

    Returns:
        A report with 95 % intervals over people, the model taken as it is; where ``scm`` holds draws of its parameters, also the
        gap of predictors that stay as they are in the worlds of these draws, with its interval over them.

    Raises:
        QueryError: a protected attribute without levels, a metric or constraint that does not exist or suit
            the outcome, or weights that are none.
        DataError: ``columns`` lacks a node that is needed, or nobody has an outcome.
    """
    kind = scm.spec.nodes[scm.spec.outcome].kind
    crossing = crossing_of(scm.spec)
    chosen, rates = _chosen_metrics(metrics, kind), _chosen_constraints(constraints, kind)
    everyone = columns.counted()
    columns = _scored(everyone, scm.spec.outcome)
    asked: dict[str, Json] = {"draws": draws, "seed": seed, "weights": columns.facts.weights, "min_group_size": min_group_size}
    parts = blocks(columns, block_rows or max(BLOCK_DRAWS // draws, 1))
    drawn, frozen = None if columns.missing else Drawn.of(scm, parameter_draws), None  # the gap follows whole rows through many worlds
    if drawn is not None:
        tell, progress = (None, None) if progress is None else _halves(progress, columns.n)
        frozen = frozen_gaps(drawn, predictors, crossing, columns, draws=draws, seed=seed, progress=tell)
    predictions, gaps = _fold(scm, predictors, crossing, parts, draws=draws, seed=seed, progress=progress)
    audited = Audited(columns[scm.spec.outcome], predictions, crossing.group(columns), columns.weights)
    pairs = [*(frozen_rows(frozen, predictors, crossing) if frozen else ()), *gap_rows(gaps, crossing)]
    rated = list(constraint_rows(audited, crossing, constraints=rates, min_group_size=min_group_size))
    rows = [
        *overall_rows(audited, chosen),
        *pairs,
        *worst_rows(pairs, min_group_size),
        *group_rows(audited, crossing, group_metrics(kind)),
        *(row for row, _ in rated),
    ]
    return Report(
        rows=tuple(rows),
        model=describe(scm, predictors),
        data={**_data(columns), **_lacking(columns, everyone)},
        options={**asked, "metrics": list(chosen), "constraints": list(rates)},
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        assumptions=(
            *assumptions(scm, predictors, columns.facts, pairs),
            *limits(scm.spec, crossing, audited.group, min_group_size),
            *undefined(rated),
        ),
        not_used=columns.facts.unused,
    )


def _halves(progress: Callable[[int], None], n: int) -> tuple[Callable[[float], None], Callable[[int], None]]:
    """The same progress for two halves of the work: one that tells the share of it done, and one that tells the people."""
    return lambda share: progress(int(n * share / 2)), lambda done: progress((n + done) // 2)


def _fold(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    crossing: Crossing,
    parts: Iterable[Columns],
    *,
    draws: int,
    seed: int,
    progress: Callable[[int], None] | None,
) -> tuple[dict[str, Tensor], Gaps]:
    """Deployed predictions of everyone, predictor -> (n,), and the gaps summed over the blocks; a world is never larger than its block."""
    gaps, done = Gaps.none(predictors, crossing), 0
    deployed: dict[str, list[Tensor]] = {name: [] for name in predictors}
    for block in parts:
        predicted = {name: deploy(scm, predictor, block) for name, predictor in predictors.items()}
        gaps = gaps + block_gaps(scm, predictors, crossing, block, predicted, draws=draws, seed=seed)
        for name, prediction in predicted.items():
            deployed[name].append(prediction)
        done += block.n
        if progress is not None:
            progress(done)
    return {name: torch.cat(predictions) for name, predictions in deployed.items()}, gaps


def _chosen_metrics(metrics: Sequence[str] | None, kind: Kind) -> tuple[str, ...]:
    """Those asked for, or all that suit the outcome's kind."""
    for name in metrics or ():
        if name in METRICS and name not in METRIC_KINDS[kind]:
            suitable = ", ".join(METRIC_KINDS[kind])
            raise QueryError("metrics", f"'{name}' does not measure predictions of a {kind} outcome", f"use some of: {suitable}")
        METRICS[name]  # an unknown name is refused with the nearest right one
    return tuple(METRIC_KINDS[kind] if metrics is None else metrics)


def _chosen_constraints(constraints: Sequence[str] | None, kind: Kind) -> tuple[str, ...]:
    """Those asked for, or all if the outcome is binary; none otherwise."""
    if kind != "binary" and constraints:
        raise QueryError("constraints", f"group constraints need a binary outcome, and this one is {kind}", "leave them out")
    for name in constraints or ():
        CONSTRAINTS[name]  # an unknown name is refused with the nearest right one
    return () if kind != "binary" else tuple(CONSTRAINTS if constraints is None else constraints)


def _scored(columns: Columns, outcome: str) -> Columns:
    """The people who have an outcome."""
    if outcome not in columns.missing:
        return columns
    scored = columns.take((~columns.missing[outcome]).nonzero().squeeze(-1))
    if not scored.n:
        raise DataError(f"{columns.facts.name}, column '{outcome}'", "no audited person has an outcome", "give a table that has some")
    return scored


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
