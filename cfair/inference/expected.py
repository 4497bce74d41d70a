"""Tables of probabilities learned from rows with missing values: expectation and maximisation."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from cfair.errors import FitError
from cfair.inference.distinct import distinct
from cfair.inference.parts import Part
from cfair.inference.posterior import each_distinct_row
from cfair.interfaces import SelfTaught, Values
from cfair.scm import SCM

__all__ = ["STILL", "learn_tables"]

STILL = 1e-10  # change of every probability in a table at which it stands
STEPS = 5_000  # of expectation and maximisation, which converges geometrically


def learn_tables(scm: SCM, tables: Sequence[str], parts: Sequence[Part]) -> float:
    """Set tables to their most probable values given all other parameters; how far the first step moved a probability.

    Each step learns the tables in closed form from everyone with each combination of the missing levels in turn, weighted by its
    probability given what the person has.

    Raises:
        FitError: the probabilities do not stand still.

    Source: Dempster, Laird & Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    """
    first = 0.0
    kinds = [_kinds(part) for part in parts]
    for step in range(STEPS):
        before = [_state(scm, table) for table in tables]
        rows = [(part.nodes, *_expected(part, counts)) for part, counts in kinds]
        for table in tables:
            own = [(values, weights) for nodes, values, weights in rows if table in nodes]
            names = (table, *scm.spec.nodes[table].parents)
            columns = {name: torch.cat([values[name] for values, _ in own]) for name in names}
            weights = torch.cat([weights for _, weights in own])
            cast("SelfTaught", scm.mechanisms[table]).learn(
                columns[table], scm.parents(table, columns), node=table, seed=0, weights=weights
            )
        moved = max(float((_state(scm, table) - old).abs().max()) for table, old in zip(tables, before, strict=True))
        first = first if step else moved
        if moved <= STILL:
            return first
    where = f"learning {', '.join(tables)}"
    raise FitError(where, f"probabilities still move after {STEPS} steps", "leave the rows with missing values out, or fix some tables")


def _kinds(part: Part) -> tuple[Part, Tensor]:
    """Each kind of row once, and the weight of its people, (m,)."""
    n = len(next(iter(part.values.values())))
    first, place = distinct(part.values, n)
    own = torch.ones(n, dtype=torch.float64) if part.weights is None else part.weights
    values = {node: column[first] for node, column in part.values.items()}
    counts = torch.zeros(len(first), dtype=torch.float64).index_add_(0, place, own)
    return Part(part.nodes, values, None, None if part.area is None else part.area.take(first)), counts


def _expected(part: Part, counts: Tensor) -> tuple[Values, Tensor]:
    """Everyone with each combination of the hidden levels, and their weights: the people's times the combination's probability."""
    if part.area is None:
        return part.values, counts
    probabilities = each_distinct_row(part.area, part.area.values, None, None).combinations  # (m, combinations)
    return part.area.enumerated().values, (probabilities.T * counts).flatten()


def _state(scm: SCM, table: str) -> Tensor:
    """All that a table has learned, as one vector."""
    return torch.cat([value.flatten() for value in cast("nn.Module", scm.mechanisms[table]).state_dict().values()])
