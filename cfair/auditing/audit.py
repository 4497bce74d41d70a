"""The audit: predictions of people in every world, block by block, and what they add up to."""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version

import torch
from torch import Tensor

from cfair.auditing.assumptions import assumptions
from cfair.auditing.crossing import Crossing, crossing_of
from cfair.auditing.described import describe
from cfair.auditing.extrapolation import extrapolated, outside_rows
from cfair.auditing.frozen import Drawn, frozen_gaps
from cfair.auditing.gaps import Gaps, block_gaps
from cfair.auditing.kept import Kept
from cfair.auditing.limits import limits, undefined
from cfair.auditing.measures import Audited, constraint_rows, group_metrics, group_rows, overall_rows
from cfair.auditing.moves import moved_most, moves_rows, response_rows
from cfair.auditing.pairs import curves, frozen_rows, gap_rows, worst_rows
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
KEPT = (
    200_000  # people at most of whom flips, distances and response curves are measured: predictions of all of them in every world are held
)
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
    points: Mapping[str, Sequence[float]] | None = None,
    known: Columns | None = None,
    name_most_moved: int = 0,
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
        points: protected attribute that is a number -> ascending values at which everyone is put for its response curve; by default
            nine, evenly spaced between its 2.5 % and its 97.5 % quantile.
        known: people with whom counterfactual rows are compared, for the support; the audited ones if None.
        name_most_moved: how many people the report names, by their row in the table, whose prediction moves most: rows are private.
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
    chosen, rates = _chosen_metrics(metrics, kind), _chosen_constraints(constraints, kind)
    everyone = columns.counted()
    columns = _scored(everyone, scm.spec.outcome)
    crossing = crossing_of(scm.spec, columns, points)
    unit = 1.0 if kind == "binary" else float(columns[scm.spec.outcome].std(correction=0)) or 1.0
    asked: dict[str, Json] = {"draws": draws, "seed": seed, "weights": columns.facts.weights, "min_group_size": min_group_size}
    parts = blocks(columns, block_rows or max(BLOCK_DRAWS // draws, 1))
    drawn, frozen = None if columns.missing else Drawn.of(scm, parameter_draws), None  # the gap follows whole rows through many worlds
    if drawn is not None:
        tell, progress = (None, None) if progress is None else _halves(progress, columns.n)
        frozen = frozen_gaps(drawn, predictors, crossing, columns, draws=draws, seed=seed, progress=tell)
    chosen_people = _chosen_people(columns.n, seed)
    predictions, gaps, kept = _fold(scm, predictors, crossing, parts, chosen_people, unit=unit, draws=draws, seed=seed, progress=progress)
    audited = Audited(columns[scm.spec.outcome], predictions, crossing.group(columns), columns.weights)
    pairs = [*(frozen_rows(frozen, predictors, crossing) if frozen else ()), *gap_rows(gaps, crossing)]
    reference = columns if known is None else known
    support = () if columns.missing or reference.missing else tuple(outside_rows(scm, crossing, columns, reference, seed=seed))
    rated = list(constraint_rows(audited, crossing, constraints=rates, min_group_size=min_group_size))
    rows = [
        *overall_rows(audited, chosen),
        *pairs,
        *worst_rows(pairs, min_group_size),
        *moves_rows(kept, crossing, binary=kind == "binary"),
        *response_rows(kept, crossing),
        *group_rows(audited, crossing, group_metrics(kind)),
        *(row for row, _ in rated),
    ]
    most_moved: dict[str, Json] = {"most_moved": moved_most(kept, crossing, name_most_moved)} if name_most_moved else {}
    return Report(
        rows=tuple(rows),
        model=describe(scm, predictors),
        data={**_data(columns), **_lacking(columns, everyone), **most_moved},
        options={**asked, "metrics": list(chosen), "constraints": list(rates)},
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        assumptions=(
            *assumptions(scm, predictors, columns.facts, pairs),
            *limits(scm.spec, crossing, audited.group, min_group_size),
            *undefined(rated),
            *extrapolated(support),
        ),
        not_used=columns.facts.unused,
        support=support,
        curves=tuple(curves(gaps, crossing, unit)),
    )


def _halves(progress: Callable[[int], None], n: int) -> tuple[Callable[[float], None], Callable[[int], None]]:
    """The same progress for two halves of the work: one that tells the share of it done, and one that tells the people."""
    return lambda share: progress(int(n * share / 2)), lambda done: progress((n + done) // 2)


def _fold(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    crossing: Crossing,
    parts: Iterable[Columns],
    chosen: Tensor,
    *,
    unit: float,
    draws: int,
    seed: int,
    progress: Callable[[int], None] | None,
) -> tuple[dict[str, Tensor], Gaps, Kept]:
    """Deployed predictions of everyone, predictor -> (n,), the gaps summed over the blocks, and the changes of as many people as are kept;
    a world is never larger than its block.
    """
    gaps, kept, done = Gaps.none(predictors, crossing), list[Kept](), 0
    deployed: dict[str, list[Tensor]] = {name: [] for name in predictors}
    for block in parts:
        predicted = {name: deploy(scm, predictor, block) for name, predictor in predictors.items()}
        own, moves = block_gaps(scm, predictors, crossing, block, predicted, unit=unit, draws=draws, seed=seed)
        gaps, kept = gaps + own, [*kept, moves.take(chosen[done : done + block.n].nonzero().squeeze(-1))]
        for name, prediction in predicted.items():
            deployed[name].append(prediction)
        done += block.n
        if progress is not None:
            progress(done)
    return {name: torch.cat(predictions) for name, predictions in deployed.items()}, gaps, Kept.together(kept)


def _chosen_people(n: int, seed: int) -> Tensor:
    """Of whom all predictions are kept, shape (n,), bool: everyone, or KEPT at random."""
    place = torch.randperm(n, generator=torch.Generator().manual_seed(seed)) if n > KEPT else torch.arange(n)
    return place < KEPT


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
