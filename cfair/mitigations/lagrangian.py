"""Violations bounded: the least log loss among weights whose violations stay within a tolerance, by the augmented Lagrangian."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained, refuse
from cfair.mitigations.descent import Descent
from cfair.mitigations.soft import Violations, temperatures_for
from cfair.mitigations.unconstrained import positions, stage, taking_part

__all__ = ["lagrangian"]

ROUNDS = 24
GROWTH, FIRST, STEEPEST = 2.0, 1.0, 1e4  # of the penalty's weight, where a round did not bring violations down by a third
FALL = 2 / 3
ENOUGH = 1e-3  # by which a violation may stay above its tolerance at the end


@dataclass(frozen=True, slots=True, eq=False)
class _Bounded:
    """(1/2μ)·Σ_j (max(0, λ_j⁺ + μ(c_j + o_j − t))² + max(0, λ_j⁻ + μ(−c_j − o_j − t))²).

    The offsets o_j are by how much hard violations exceeded soft ones when the round began: what is bounded is the hard violation, to
    first order.

    Args:
        above: λ⁺, shape (violations,).
        below: λ⁻, shape (violations,).
        offset: o, shape (violations,).
        weight: μ.
        bound: t.
    """

    above: Tensor
    below: Tensor
    offset: Tensor
    weight: float
    bound: float

    def __call__(self, soft: Tensor) -> Tensor:
        apart = soft + self.offset
        high = (self.above + self.weight * (apart - self.bound)).clamp(min=0)
        low = (self.below + self.weight * (-apart - self.bound)).clamp(min=0)
        return (high.square() + low.square()).sum() / (2 * self.weight)

    def multipliers(self, apart: Tensor) -> tuple[Tensor, Tensor]:
        """λ⁺ and λ⁻ after a round that left the violations ``apart``, (violations,)."""
        high = (self.above + self.weight * (apart - self.bound)).clamp(min=0)
        return high, (self.below + self.weight * (-apart - self.bound)).clamp(min=0)


def _train(rows: Rows, asked: Asked) -> Trained:
    """The logistic regression of least log loss with |c_sg| ≤ tolerance/2: then no two groups differ by more than the tolerance, but
    for twice ENOUGH. Odds are compared as shares, see ``Violations``: of treatment equality it is the tolerance of FN/(FN + FP).

    Of all rounds the one of least loss whose hard decisions keep the tolerance, or else the one that comes nearest.

    Source: Nocedal & Wright (2006), Numerical Optimization, section 17.4.
    """
    refuse(asked, _refuses)
    descent, part = Descent(rows), taking_part(rows, asked)
    violations = Violations(rows, asked.constraints, part, descent.scores(descent.start))
    theta, weight = descent.start, FIRST
    log, best = [stage("without constraints", rows, asked, head=descent.head(theta), seen=rows.features)], (False, -torch.inf, theta, 0)
    temperatures = temperatures_for(asked.constraints)
    none = torch.zeros(len(violations.names), dtype=torch.float64)
    above, below, before = none, none, torch.inf
    for k in range(ROUNDS if part.any() else 0):
        temperature = temperatures[min(k, len(temperatures) - 1)]
        scores = descent.scores(theta)
        offset = violations.hard(scores) - violations.soft(scores, temperature) if k >= len(temperatures) else none
        bounded = _Bounded(above, below, offset, weight, asked.tolerance / 2)
        reached = descent.least(partial(_within, violations, bounded, temperature), theta)
        theta, scores = reached.theta, descent.scores(reached.theta)
        apart = violations.soft(scores, temperature) + offset
        above, below = bounded.multipliers(apart)
        now = stage(f"round {k + 1}", rows, asked, head=descent.head(theta), seen=rows.features)
        log.append(replace(now, steps=reached.steps, converged=reached.converged, multipliers=tuple((above - below).tolist())))
        left = float((violations.hard(scores).abs() - asked.tolerance / 2).clamp(min=0).max())
        best = max(best, (*_rank(left, float(descent.loss(scores))), theta, k + 1), key=lambda each: each[:2])
        weight, before = (min(weight * GROWTH, STEEPEST) if left > FALL * before else weight), left
        if k >= len(temperatures) and left <= ENOUGH:
            break
    *_, theta, place = best
    log.append(replace(log[place], what=f"chosen: {log[place].what}"))
    return Trained(descent.head(theta), False, tuple(log), positions(~part))


def _within(violations: Violations, bounded: _Bounded, temperature: float, scores: Tensor) -> Tensor:
    """What log-odds (n,) lose by their soft violations, shape ()."""
    return bounded(violations.soft(scores, temperature))


def _rank(left: float, loss: float) -> tuple[bool, float]:
    """Whether the tolerance is kept, and then the loss, else what is left, each the higher the better."""
    return left <= ENOUGH, -loss if left <= ENOUGH else -left


def _refuses(constraint: Constraint) -> str | None:
    if constraint.strata:
        return None
    return f"a head that does not see the group cannot bound errors of all deciles of each group, which {constraint.name} asks for"


lagrangian = Mitigation("lagrangian", "during", _train, _refuses, dial="tolerance", in_shares=True)
