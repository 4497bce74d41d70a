"""The audit: predictions of people in every world, block by block, and what they add up to."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

import torch
from torch import Tensor

from cfair.auditing.assumptions import assumptions
from cfair.auditing.crossing import crossing_of
from cfair.auditing.gaps import Gaps, block_gaps, gap_rows
from cfair.auditing.measures import constraint_rows, group_metrics, group_rows, overall_rows
from cfair.auditing.records import Json, Report, Row
from cfair.constraints import CONSTRAINTS
from cfair.data import blocks
from cfair.errors import QueryError
from cfair.interfaces import Columns, Predictor
from cfair.metrics import METRIC_KINDS, METRICS
from cfair.predictors.latent import Latent
from cfair.scm import SCM

__all__ = ["MIN_GROUP_SIZE", "audit"]

MIN_GROUP_SIZE = 30  # people below which a group takes no part in a worst pair or a largest difference
BLOCK_DRAWS = 400_000  # draws in a block unless block_rows says otherwise: bounds the memory, and fits the processor's cache
VERSIONED = ("cfair", "torch", "pyro-ppl", "numpy", "pandas", "networkx", "scipy")  # packages that a report names


def audit(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    columns: Columns,
    *,
    metrics: Sequence[str] | None = None,
    constraints: Sequence[str] | None = None,
    draws: int = 200,
    seed: int = 0,
    block_rows: int | None = None,
    min_group_size: int = MIN_GROUP_SIZE,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Accuracy, counterfactual gaps and group constraints of fitted predictors on people they were not fitted on.

    Args:
        scm: the model in which people are moved.
        predictors: name -> fitted predictor.
        columns: the people, with every observed node.
        metrics: names in METRICS; those of the outcome's kind if None.
        constraints: names in CONSTRAINTS, for a binary outcome; all if None.
        draws: posterior draws per person.
        seed: of the draws.
        block_rows: people whose worlds are held at a time; by ``draws`` if None. It changes no prediction.
        min_group_size: people below which a group takes no part in a worst pair or a largest difference between groups.
        progress: called with the number of people done, after each block.

    Returns:
        A report with 95 % intervals over people; the model is taken as it is.

    Raises:
        QueryError: a protected attribute without levels, or a metric or constraint that does not exist or suit the outcome.
        DataError: ``columns`` lacks a node that is needed.
    """
    spec = scm.spec
    kind = spec.nodes[spec.outcome].kind
    crossing = crossing_of(spec)
    chosen = tuple(METRIC_KINDS[kind] if metrics is None else metrics)
    _check_metrics(chosen, METRIC_KINDS[kind], kind)
    if kind != "binary" and constraints:
        raise QueryError("constraints", f"group constraints need a binary outcome, and '{spec.outcome}' is {kind}", "leave them out")
    rates = tuple(CONSTRAINTS if constraints is None else constraints) if kind == "binary" else ()
    for name in rates:
        CONSTRAINTS[name]  # an unknown name is refused before any work
    y = columns[spec.outcome]
    group = crossing.group(columns)
    total: Gaps | None = None
    parts: dict[str, list[Tensor]] = {name: [] for name in predictors}
    done = 0
    for block in blocks(columns, block_rows or max(BLOCK_DRAWS // draws, 1)):
        deployed = {name: predictor.deploy(block, block.n) for name, predictor in predictors.items()}
        gaps = block_gaps(scm, predictors, crossing, block, deployed, draws=draws, seed=seed)
        total = gaps if total is None else total + gaps
        for name, part in deployed.items():
            parts[name].append(part)
        done += block.n
        if progress is not None:
            progress(done)
    assert total is not None
    predictions = {name: torch.cat(part) for name, part in parts.items()}
    rows = [
        *overall_rows(y, predictions, chosen),
        *gap_rows(total, crossing, min_group_size),
        *group_rows(y, predictions, group, crossing, group_metrics(kind)),
        *(constraint_rows(y, predictions, group, crossing, constraints=rates, min_group_size=min_group_size) if kind == "binary" else ()),
    ]
    return Report(
        rows=tuple(rows),
        model=_model(scm, predictors),
        data=_data(columns),
        options={"draws": draws, "seed": seed, "metrics": list(chosen), "constraints": list(rates), "min_group_size": min_group_size},
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        assumptions=assumptions(scm, predictors, columns.facts),
        not_used=columns.facts.unused,
    )


def _check_metrics(chosen: Sequence[str], suitable: Sequence[str], kind: str) -> None:
    for name in chosen:
        METRICS[name]  # an unknown name is refused with the nearest right one
        if name not in suitable:
            raise QueryError("metrics", f"'{name}' does not measure predictions of a {kind} outcome", f"use some of: {', '.join(suitable)}")


def _model(scm: SCM, predictors: Mapping[str, Predictor]) -> dict[str, Json]:
    """What was declared and learned."""
    spec = scm.spec
    described: dict[str, Json] = {}
    for name, predictor in predictors.items():
        described[name] = {"sees": list(predictor.sees), "needs": list(predictor.needs), "invariant_in": predictor.invariant_in}
    for name, predictor in predictors.items():
        if isinstance(predictor, Latent):
            described[name] |= {"variant": predictor.chosen.name, "validation_mse": predictor.losses}
    return {
        "name": spec.name,
        "source": spec.source,
        "protected": list(spec.protected),
        "outcome": spec.outcome,
        "resolving": list(spec.resolving),
        "latents": list(spec.latents),
        "evidence": list(spec.evidence),
        "parameters": scm.parameters_in_units(),
        "predictors": described,
    }


def _data(columns: Columns) -> dict[str, Json]:
    facts = columns.facts
    return {
        "name": facts.name, "rows": facts.rows, "sha256": facts.sha256, "dropped": facts.dropped, "rounded": dict(facts.rounded),
        "audited_rows": columns.n,
    }
