"""The log likelihood of each row by parameters: of a node by itself, and of a neighbourhood with its latents integrated out."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from cfair.inference.cloud import rotations
from cfair.inference.curvature import Given, hessian_by_rows
from cfair.inference.designs import Design, Prepared
from cfair.inference.factors import designs, log_prob
from cfair.inference.free import FreeParameters, Overrides
from cfair.inference.importance import CLOUDS, proposal
from cfair.inference.landscape import Landscape, landscape
from cfair.inference.neighbourhood import Neighbourhood
from cfair.inference.quadrature import RuleOf, ladder, log_integral
from cfair.inference.shape import CLOSE, summit
from cfair.inference.standing import Standing, leaning
from cfair.inference.summit import Summit
from cfair.interfaces import Values
from cfair.mechanisms import Indexed
from cfair.mechanisms.own import Own
from cfair.scm import SCM

__all__ = ["FIRST", "Alone", "LogLikelihood", "Marginal"]

NEAR = 0.05  # sds: after a step so short a mode is right to 0.003 sds, and nodes around it need no more
FIRST = 5  # nodes per dimension of the first rule: exact for posteriors that are nearly normal, and the next rule tells whether it does
CROWD = 8  # times the memory of a quadrature point that one in four or more dimensions needs
SHARP = 1e-3  # sds: a cloud of points that moves with its mode by more makes the likelihood rough


class LogLikelihood(Protocol):
    """The log likelihood of each of some rows."""

    n: int  # rows
    points: int  # at which each row's density is evaluated
    smooth: bool  # whether ``near`` can be asked about many parameters at once

    def __call__(self, parameters: Overrides, people: Tensor) -> Tensor:
        """Of the parameters and the positions (m,) of some rows, to (m,); differentiable by the parameters."""
        ...

    def near(self, people: Tensor, nodes: int, dtype: torch.dtype) -> Callable[[Overrides], Tensor]:
        """The same, to (m,), at parameters near the mechanisms' own, of which the last call was: one sequence of operations for all.

        By a first rule of ``nodes`` per dimension, after one of Newton's steps: few err by what hardly changes with the parameters. What
        is done at the nodes is done in ``dtype``: in single precision a row errs by some 1e-7 of its log density, at random.
        """
        ...

    def hessian(self, free: FreeParameters, theta: Tensor, people: Tensor, weights: Tensor) -> Tensor | None:
        """The second derivatives (p, p) of Σ_i weights_i·log p(row i | θ) over ``people``, or None where there is no short cut to them."""
        ...


class Alone:
    """log p(node | its parents) per row."""

    points = 9

    def __init__(self, scm: SCM, node: str, values: Values) -> None:
        self._scm, self._node, self._own = scm, node, values
        self.smooth = not isinstance(scm.mechanisms[node], Own)
        self.n = len(values[node])

    def __call__(self, parameters: Overrides, people: Tensor) -> Tensor:
        """Of the parameters and the positions (m,) of some rows, to (m,)."""
        return log_prob(self._scm, self._node, {name: column[people] for name, column in self._own.items()}, parameters).expand(len(people))

    def near(self, people: Tensor, nodes: int, dtype: torch.dtype) -> Callable[[Overrides], Tensor]:
        """The same, in doubles: there are no nodes."""
        return partial(self, people=people)

    def hessian(self, free: FreeParameters, theta: Tensor, people: Tensor, weights: Tensor) -> Tensor | None:
        """None: there is no short cut."""
        return None


class Marginal:
    """log ∫ p(u, evidence) du per row. The nodes stand where the mode is at these parameters, and no derivative flows through it.

    Args:
        area: the latents and their evidence.
        rung: of the ladder of rules.
        exact: whether modes are found to rounding, rather than to NEAR.
        often: whether many parameters will be tried, so that designs are worth their while.
    """

    def __init__(self, area: Neighbourhood, rung: int, *, exact: bool = False, often: bool = True) -> None:
        self._exact = exact or rung > 1  # a posterior that wants a finer rule bends more
        self.n, self._area, self._rung = area.n, area, rung
        self._everyone = torch.arange(area.n)
        self._nodes = Standing.nowhere(len(area.real), area.combinations, area.n)
        per_row = CLOUDS[min(rung, len(CLOUDS) - 1)] if area.sampled else max(9, 2 ** (3 * len(area.real) + rung))
        self.points = area.combinations * per_row * (CROWD if area.sampled else 1)
        self._designs = designs(area.enumerated()) if often else {}
        self.smooth = not (area.sampled or self._exact or any(isinstance(area.scm.mechanisms[node], Own) for node in area.factors))
        self._calm = False  # whether nodes stood nearly right at the last call
        self._turn = rotations(area.n, len(area.real)) if area.sampled else None

    def __call__(self, parameters: Overrides, people: Tensor) -> Tensor:
        """Of the parameters and the positions (m,) of some rows, to (m,)."""
        return self._evidence(*self._land(parameters, people, self._designs_of(people)), people)

    def hessian(self, free: FreeParameters, theta: Tensor, people: Tensor, weights: Tensor) -> Tensor | None:
        """The second derivatives (p, p) of Σ_i weights_i·log p(row i | θ) over ``people``; None where rows have more than predictors."""
        area, known = self._area, set(self._designs)
        if area.combinations > 1 or area.sampled or any(slot not in known for slot in free.nodes):
            return None
        prepared = self._designs_of(people)

        def likelihood(parameters: Overrides, given: Mapping[str, Given]) -> Tensor:
            return weights @ self._evidence(*self._land(parameters, people, given), people)

        mechanisms = {node: each for node in prepared if isinstance(each := area.scm.mechanisms[node], Indexed)}
        return hessian_by_rows(likelihood, free, theta, mechanisms, prepared)

    def _evidence(self, rows: Neighbourhood, land: Landscape, people: Tensor) -> Tensor:
        """The log likelihood of each row, (m,)."""
        if land.normal:
            log_mass = land.log_mass
        else:
            log_mass = self._around_proposals(rows, land, people) if self._area.sampled else self._around_modes(land, people)
        return self._together(log_mass)

    def near(self, people: Tensor, nodes: int, dtype: torch.dtype) -> Callable[[Overrides], Tensor]:
        """The same, to (m,), at parameters near the mechanisms' own, of which the last call was, by ``nodes`` after one of Newton's steps.

        Each row's integral at the mechanisms' own parameters is the unit of its densities, which so need no other.
        """
        rows, prepared = self._area.take(people).enumerated(), self._designs_of(people)
        if landscape(rows, prepared).normal:
            return lambda parameters: self._together(landscape(rows.at(parameters), prepared).log_mass)
        rows = replace(rows, values={node: column.to(dtype) for node, column in rows.values.items()})
        prepared = {node: each.to(dtype) for node, each in prepared.items()}
        held = {node: _held(self._area.scm.mechanisms[node], dtype) for node in rows.factors}
        standing = self._nodes.of(people)
        before = Summit(standing.center.to(dtype), standing.root.to(dtype))

        def at(parameters: Overrides) -> Landscape:
            own = {node: {name: value.to(dtype) for name, value in parameters.get(node, {}).items()} for node in held}
            return landscape(rows.at({node: held[node] | own[node] for node in held}), prepared, single=dtype == torch.float32)

        first = at({})
        rule = self._rule(first, nodes)
        there = rule(first, before)
        own = first.over(there.points)
        unit = (own + there.log_weights).logsumexp(0)
        weights = (own + there.log_weights - unit).exp()

        def of(parameters: Overrides) -> Tensor:
            land = at(parameters)
            there = rule(land, land.stepped(before))
            log_mass = (weights * (land.over(there.points) - own).expm1()).sum(0).log1p() + (there.log_volume + unit)
            return self._together(land.height + log_mass.double())

        return of

    def _together(self, log_mass: Tensor) -> Tensor:
        """The log of the sum over combinations of levels, (m,), from that of each row with each, (combinations·m,)."""
        if self._area.combinations == 1:
            return log_mass
        total: Tensor = log_mass.unflatten(0, (self._area.combinations, -1)).logsumexp(0)
        return total

    def _around_proposals(self, rows: Neighbourhood, land: Landscape, people: Tensor) -> Tensor:
        """The log integral by importance sampling, (combinations·m,)."""
        assert self._turn is not None
        settled = land.detached()
        top = proposal(rows, settled, self._nodes.center[:, :, people].flatten(1), close=SHARP)
        self._nodes.center[:, :, people] = top.center.unflatten(1, (self._area.combinations, len(people)))
        top = top._replace(turn=self._turn[:, :, people].repeat(1, 1, self._area.combinations))
        return log_integral(land, self._rule(settled)(settled, top))

    def _rule(self, land: Landscape, first: int = FIRST) -> RuleOf:
        rules = ladder(land, first)
        return rules[min(self._rung, len(rules) - 1)]

    def _around_modes(self, land: Landscape, people: Tensor) -> Tensor:
        """The log integral by a product rule, (combinations·m,): nodes stay where they are while the posterior stays around them."""
        before = self._nodes.of(people)
        left = torch.arange(land.n)
        log_mass = torch.zeros(land.n, dtype=torch.float64)
        if self._calm and before.everywhere:
            log_mass, _, left = self._by(land, before)
        if 2 * len(left) > land.n:
            left, part, around = torch.arange(land.n), land, before
        elif len(left):
            part, around = land.take(left), before.take(left)
        else:
            return log_mass
        top = summit(part.detached(), around.center, close=CLOSE if self._exact else NEAR)
        own, lean, _ = self._by(part, Standing(top.center, top.root, around.lean))
        now = Standing(top.center, top.root, lean)
        self._calm = not self._exact and 2 * int(now.near(around).sum()) > len(left)
        self._nodes.put(people, left, now)
        return own if len(own) == land.n else log_mass.index_copy(0, left, own)

    def _by(self, land: Landscape, around: Standing) -> tuple[Tensor, Tensor, Tensor]:
        """The log integral (m,) by nodes that stand so, how the posterior leans there, and the rows where it no more leans as it did."""
        rule = self._rule(land)(land, around.summit)
        log_joint = land(rule.points) + rule.log_weights
        whole = log_joint.logsumexp(0)
        lean = torch.full_like(around.lean, torch.nan)
        if rule.z is not None:
            lean = leaning(rule.z, (log_joint.detach() - whole.detach()).exp())
        return whole + rule.log_volume, lean, around.moved(lean)

    def _is_everyone(self, people: Tensor) -> bool:
        return len(people) == self.n and torch.equal(people, self._everyone)

    def _designs_of(self, people: Tensor) -> dict[str, Design]:
        """The designs of some rows with each combination of levels."""
        if self._is_everyone(people):
            return self._designs
        places = (self.n * torch.arange(self._area.combinations).unsqueeze(1) + people).flatten()
        return {node: each.take(places) for node, each in self._designs.items()}

    def _land(self, parameters: Overrides, people: Tensor, prepared: Mapping[str, Prepared]) -> tuple[Neighbourhood, Landscape]:
        """Some rows with each combination of levels, and their log joint."""
        part = self._area if self._is_everyone(people) else self._area.take(people)
        rows = part.at(parameters).enumerated()
        return rows, landscape(rows, prepared)


def _held(mechanism: object, dtype: torch.dtype) -> dict[str, Tensor]:
    """All parameters and buffers of a mechanism, the numbers among them in this precision."""
    module = cast("nn.Module", mechanism)
    tensors = {name: value.detach() for name, value in (*module.named_parameters(), *module.named_buffers())}
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in tensors.items()}
