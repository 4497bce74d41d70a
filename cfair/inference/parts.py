"""The likelihood of rows with missing values, in the factors that it falls into."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from cfair.inference.free import FreeParameters, Overrides
from cfair.inference.likelihood import LogLikelihood
from cfair.inference.log_posterior import LogPosterior, alone, marginal
from cfair.inference.neighbourhood import Neighbourhood, neighbourhoods
from cfair.inference.patterns import hidden_in, patterns
from cfair.interfaces import Columns, Values
from cfair.scm import SCM

__all__ = ["InTurn", "Part", "parts_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One factor of the likelihood of some people: of a node given its known parents, or of an area with all that it hides integrated out.

    Args:
        nodes: on whose parameters it depends.
        values: what is known of these people, node -> (m,).
        weights: of these people, (m,), if they have any.
        area: the area, or None for a node by itself.
    """

    nodes: tuple[str, ...]
    values: Values
    weights: Tensor | None
    area: Neighbourhood | None = None

    def density(self, scm: SCM, rung: int) -> LogPosterior:
        """The log posterior given this part alone."""
        if self.area is None:
            return alone(scm, self.nodes[0], self.values, self.weights)
        return marginal(self.area, self.nodes, rung, self.weights)


class InTurn:
    """The log likelihoods of several parts, one after the other's rows."""

    smooth = False

    def __init__(self, parts: Sequence[LogLikelihood]) -> None:
        self.n, self.points = sum(part.n for part in parts), max(part.points for part in parts)
        self._ends = torch.tensor([0, *(part.n for part in parts)]).cumsum(0).tolist()
        self._parts = parts

    def __call__(self, parameters: Overrides, people: Tensor) -> Tensor:
        """Of the parameters and the positions (m,) of some rows, to (m,)."""
        total = torch.zeros(len(people), dtype=torch.float64)
        for part, first, last in zip(self._parts, self._ends, self._ends[1:], strict=False):
            own = ((people >= first) & (people < last)).nonzero().squeeze(-1)
            if len(own):
                total = total.index_add(0, own, part(parameters, people[own] - first).expand(len(own)))
        return total

    def near(self, people: Tensor, nodes: int, dtype: torch.dtype) -> Callable[[Overrides], Tensor]:
        """The same, in doubles: missing values have no short cut."""
        return partial(self, people=people)

    def hessian(self, free: FreeParameters, theta: Tensor, people: Tensor, weights: Tensor) -> Tensor | None:
        """None: missing values have no short cut."""
        return None


def parts_of(scm: SCM, columns: Columns) -> list[Part]:
    """The factors of the likelihood of people with missing values.

    Raises:
        QueryError: more is missing at once than can be integrated out.
    """
    found = []
    for kind in patterns(columns, scm.spec.observed):
        known = kind.known(scm.spec.observed)
        rows = {node: columns.coded[node][kind.people] for node in scm.spec.observed if node in known}
        weights = None if columns.weights is None else columns.weights[kind.people]
        hidden = hidden_in(scm.spec, known, kind.missing)
        areas = neighbourhoods(scm, rows, known, len(kind.people), hidden=hidden)
        touched = {node for area in areas for node in area.factors}
        found += [Part(area.factors, area.values, weights, area) for area in areas]
        for node in rows:
            if node not in touched:
                found.append(Part((node,), {name: rows[name] for name in (node, *scm.spec.nodes[node].parents)}, weights))
    return found
