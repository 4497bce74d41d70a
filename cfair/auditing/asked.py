"""What an audit is asked for, once it is known to exist and to suit the outcome."""

from collections.abc import Sequence
from dataclasses import dataclass

from cfair.constraints import CONSTRAINTS
from cfair.errors import QueryError, nearest
from cfair.families import DISCRETE, Kind
from cfair.metrics import LEVEL_METRICS, METRIC_KINDS, METRICS
from cfair.spec import ModelSpec

__all__ = ["Asked"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an audit was asked for; as of ``audit``."""

    metrics: tuple[str, ...]
    constraints: tuple[str, ...]
    draws: int
    seed: int
    min_group_size: int
    name_most_moved: int = 0
    bounds: int = 0

    @classmethod
    def of(
        cls,
        spec: ModelSpec,
        *,
        metrics: Sequence[str] | None,
        constraints: Sequence[str] | None,
        draws: int,
        seed: int,
        min_group_size: int,
    ) -> "Asked":
        """What is asked of predictions of a model's outcome.

        Raises:
            QueryError: a metric or constraint does not exist, or does not suit the outcome.
        """
        kind = spec.outcome_kind
        return cls(_chosen_metrics(metrics, kind), _chosen_constraints(constraints, kind), draws, seed, min_group_size)


def _chosen_metrics(metrics: Sequence[str] | None, kind: Kind) -> tuple[str, ...]:
    """Those asked for, or all that suit the outcome's kind."""
    known = {*METRICS, *LEVEL_METRICS}
    for name in metrics or ():
        if name not in known:
            raise QueryError("metrics", f"there is no metric '{name}'", nearest(name, known))
        if name not in METRIC_KINDS[kind]:
            suitable = ", ".join(METRIC_KINDS[kind])
            raise QueryError("metrics", f"'{name}' does not measure predictions of a {kind} outcome", f"use some of: {suitable}")
    return tuple(METRIC_KINDS[kind] if metrics is None else metrics)


def _chosen_constraints(constraints: Sequence[str] | None, kind: Kind) -> tuple[str, ...]:
    """Those asked for, or all if the outcome has levels; none otherwise."""
    if kind not in DISCRETE and constraints:
        raise QueryError("constraints", f"group constraints need an outcome with levels, and this one is {kind}", "leave them out")
    for name in constraints or ():
        CONSTRAINTS[name]  # an unknown name is refused with the nearest right one
    return () if kind not in DISCRETE else tuple(CONSTRAINTS if constraints is None else constraints)
