"""The log likelihood of each row by parameters: of a node by itself, and of a neighbourhood with its latents integrated out."""

from typing import Protocol

import torch
from torch import Tensor

from cfair.inference.cloud import rotations
from cfair.inference.factors import designs, log_prob
from cfair.inference.free import Overrides
from cfair.inference.importance import CLOUDS, proposal
from cfair.inference.landscape import Landscape, landscape
from cfair.inference.neighbourhood import Neighbourhood
from cfair.inference.quadrature import ladder, log_integral
from cfair.inference.shape import CLOSE
from cfair.interfaces import Values
from cfair.scm import SCM

__all__ = ["Alone", "LogLikelihood", "Marginal"]

NEAR = 0.05  # sds: after a step so short a mode is right to 0.003 sds, and nodes around it need no more
CROWD = 8  # times the memory of a quadrature point that one in four or more dimensions needs
SHARP = 1e-3  # sds: a cloud of points that moves with its mode by more makes the likelihood rough


class LogLikelihood(Protocol):
    """The log likelihood of each of some rows."""

    n: int  # rows
    points: int  # at which each row's density is evaluated

    def __call__(self, parameters: Overrides, people: Tensor) -> Tensor:
        """Of the parameters and the positions (m,) of some rows, to (m,); differentiable by the parameters."""
        ...


class Alone:
    """log p(node | its parents) per row."""

    points = 9

    def __init__(self, scm: SCM, node: str, values: Values) -> None:
        self._scm, self._node, self._own = scm, node, values
        self.n = len(values[node])

    def __call__(self, parameters: Overrides, people: Tensor) -> Tensor:
        """Of the parameters and the positions (m,) of some rows, to (m,)."""
        return log_prob(self._scm, self._node, {name: column[people] for name, column in self._own.items()}, parameters).expand(len(people))


class Marginal:
    """log ∫ p(u, evidence) du per row. The nodes stand where the mode is at these parameters, and no derivative flows through it.

    Args:
        area: the latents and their evidence.
        rung: of the ladder of rules.
        exact: whether modes are found to rounding, rather than to NEAR.
        often: whether many parameters will be tried, so that designs are worth their while.
    """

    def __init__(self, area: Neighbourhood, rung: int, *, exact: bool = False, often: bool = True) -> None:
        self._exact = exact or rung > 0  # a posterior that wants a finer rule bends more
        self.n, self._area, self._rung = area.n, area, rung
        self._everyone = torch.arange(area.n)
        self._modes = torch.full((len(area.real), area.combinations, area.n), torch.nan, dtype=torch.float64)  # where to start
        per_row = CLOUDS[min(rung, len(CLOUDS) - 1)] if area.sampled else max(9, 2 ** (3 * len(area.real) + rung))
        self.points = area.combinations * per_row * (CROWD if area.sampled else 1)
        self._designs = designs(area.enumerated()) if often else {}
        self._turn = rotations(area.n, len(area.real)) if area.sampled else None

    def __call__(self, parameters: Overrides, people: Tensor) -> Tensor:
        """Of the parameters and the positions (m,) of some rows, to (m,)."""
        rows, land = self._land(parameters, people)
        if land.normal:
            exact: Tensor = land.log_mass.unflatten(0, (self._area.combinations, len(people))).logsumexp(0)
            return exact
        settled = land.detached()
        close = SHARP if self._area.sampled else CLOSE if self._exact else NEAR
        top = proposal(rows, settled, self._modes[:, :, people].flatten(1), close=close)
        if self._turn is not None:
            top = top._replace(turn=self._turn[:, :, people].repeat(1, 1, self._area.combinations))
        self._modes[:, :, people] = top.center.unflatten(1, (self._area.combinations, len(people)))
        rules = ladder(settled)
        log_mass = log_integral(land, rules[min(self._rung, len(rules) - 1)](settled, top))
        log_evidence: Tensor = log_mass.unflatten(0, (self._area.combinations, len(people))).logsumexp(0)
        return log_evidence

    def _land(self, parameters: Overrides, people: Tensor) -> tuple[Neighbourhood, Landscape]:
        """Some rows with each combination of levels, and their log joint."""
        if torch.equal(people, self._everyone):
            rows = self._area.at(parameters).enumerated()
            return rows, landscape(rows, self._designs)
        rows = self._area.take(people).at(parameters).enumerated()
        places = (self.n * torch.arange(self._area.combinations).unsqueeze(1) + people).flatten()
        return rows, landscape(rows, {node: each.take(places) for node, each in self._designs.items()})
