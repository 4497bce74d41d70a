"""Violations bounded: the least log loss among weights whose violations stay within a tolerance, by the augmented Lagrangian."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained, refuse
from cfair.mitigations.descent import Descent, Reached
from cfair.mitigations.learners import LEARNED, Learner, learner_of, look
from cfair.mitigations.soft import GENTLE, Charge, Violations, temperatures_for
from cfair.mitigations.unconstrained import positions, taking_part

__all__ = ["bounded_path", "lagrangian"]

ROUNDS, FURTHER = 24, 6  # at the first tolerance of a path, and at each that starts where one before it ended
GROWTH, FIRST, STEEPEST = 2.0, 1.0, 1e4  # of the penalty's weight, where a round did not bring violations down by a third
FALL = 2 / 3
PRESSED = 5  # times that it grows before decisions are sharpened
SHARPER, SHARPEST = 0.6, 0.05  # by which soft decisions are sharpened where hard ones do not follow them, and down to which temperature
NEAR = 0.75  # share of its bound that some bounded violation should reach
ENOUGH = 1e-3  # by which a violation may stay above its tolerance at the end


def bounded_path(rows: Rows, asked: Asked, tolerances: Sequence[float]) -> Iterator[Trained]:
    """For each tolerance, the head of least mean log loss with |c_sg| ≤ tolerance/2.

    Then no two groups differ by more than the tolerance, but for twice ENOUGH. Odds are compared as shares, see ``Violations``: of
    treatment equality it is the tolerance of FN/(FN + FP). Decisions are sharpened round by round at the first tolerance; each further
    one starts with the weights, the multipliers and the μ with which the one before it ended, and, if they do not lead to where it is
    kept, from the beginning.

    Of all rounds at a tolerance it is the one of least loss whose hard decisions keep it, or else the one that comes nearest.

    Args:
        rows: people to train on.
        asked: what is to be equal; its own tolerance is not read.
        tolerances: from 0 on, best in descending order.

    Raises:
        QueryError: a constraint cannot be bounded.

    Source: Nocedal & Wright (2006), Numerical Optimization, section 17.4.
    """
    refuse(asked, _refuses)
    learner, part = learner_of(rows, asked), taking_part(rows, asked)
    violations = Violations(rows, asked.constraints, part, learner.scores(learner.start))
    none = torch.zeros(len(violations.names), dtype=torch.float64)
    temperatures = temperatures_for(asked.constraints)
    fresh, rounds = _State(learner.start, none, none, FIRST, temperatures[0]), _Rounds(learner, violations, temperatures)
    state, first = fresh, look("without constraints", rows, asked, learner, Reached(learner.start, 0, converged=True))
    for i, tolerance in enumerate(tolerances):
        log, best = [first], (False, -torch.inf, state.theta, 0)
        for blunt in ((True,) if i == 0 else (False, True)) if part.any() else ():
            if best[0]:
                break
            begin = fresh if blunt else state
            for state, reached in rounds.until_kept(begin, tolerance, blunt=blunt):
                multipliers = tuple((state.above - state.below).tolist())
                log.append(replace(look(f"round {len(log)}", rows, asked, learner, reached), multipliers=multipliers))
                best = max(best, (*rounds.rank(state.theta, tolerance), state.theta, len(log) - 1), key=lambda each: each[:2])
        kept, _, theta, place = best
        log.append(replace(log[place], what=f"chosen: {log[place].what}", converged=kept or not part.any()))
        yield Trained(learner.head(theta), False, tuple(log), positions(~part))


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Where a round begins.

    Args:
        theta: the weights, shape (k + 1,).
        above: λ⁺, shape (violations,).
        below: λ⁻, shape (violations,).
        weight: μ.
        temperature: of its soft decisions.
    """

    theta: Tensor
    above: Tensor
    below: Tensor
    weight: float
    temperature: float


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


@dataclass(frozen=True, slots=True, eq=False)
class _Rounds:
    """Rounds of the augmented Lagrangian: weights first, then multipliers, then μ.

    Args:
        learner: of the weights.
        violations: what is bounded.
        temperatures: of soft decisions, the last of them the sharpest.
    """

    learner: Learner
    violations: Violations
    temperatures: tuple[float, ...]

    def until_kept(self, state: _State, tolerance: float, *, blunt: bool) -> Iterator[tuple[_State, Reached]]:
        """Where each round ended, with soft violations at first if ``blunt``, until hard decisions keep the tolerance."""
        before, soft, pressed = torch.inf, len(self.temperatures) if blunt else 0, 0
        state = replace(state, temperature=self.temperatures[-1])
        for k in range(ROUNDS if blunt else FURTHER):
            state = replace(state, temperature=self.temperatures[k]) if k < soft else state
            state, reached = self._round(state, tolerance / 2, hard=k >= soft)
            left = self.left(state.theta, tolerance)
            yield state, reached
            if k >= soft and left <= ENOUGH and self._needed(state, tolerance):
                break
            if left > max(FALL * before, ENOUGH):
                state, pressed = self._pressed(state, pressed), pressed + 1
            before = left

    def _needed(self, state: _State, tolerance: float) -> bool:
        """Whether what multipliers still bound is near its bound: a round of which it stays far below bounds more than it need."""
        apart = self.violations.hard(self.learner.scores(state.theta)).abs()
        pressed = state.above + state.below > 0
        return not pressed.any() or bool((apart[pressed] >= NEAR * tolerance / 2 - ENOUGH).any())

    def _pressed(self, state: _State, before: int) -> _State:
        """After a round that did not bring violations down: a larger μ, and where that did not help, sharper decisions.

        Soft ones serve first, since sharp ones hang on the few people near the threshold, of whom other rows have others. But where many
        stand there, hard violations follow the soft ones so loosely that rounds swing from side to side, whatever μ.
        """
        if before >= PRESSED:
            return replace(state, temperature=max(state.temperature * SHARPER, SHARPEST))
        return replace(state, weight=min(state.weight * GROWTH, STEEPEST))

    def left(self, theta: Tensor, tolerance: float) -> float:
        """By how much a hard violation exceeds half of the tolerance."""
        return float((self.violations.hard(self.learner.scores(theta)).abs() - tolerance / 2).clamp(min=0).max())

    def rank(self, theta: Tensor, tolerance: float) -> tuple[bool, float]:
        """Whether the tolerance is kept, and then the loss, else what is left, each the higher the better."""
        left = self.left(theta, tolerance)
        return left <= ENOUGH, -float(self.learner.loss(self.learner.scores(theta))) if left <= ENOUGH else -left

    def _round(self, state: _State, bound: float, *, hard: bool) -> tuple[_State, Reached]:
        temperature, scores = state.temperature, self.learner.scores(state.theta)
        soft = self.violations.soft(scores, temperature)
        offset = self.violations.hard(scores) - soft if hard else torch.zeros_like(soft)
        bounded = _Bounded(state.above, state.below, offset, state.weight, bound)
        reached = self.learner.least(
            Charge(self.violations, temperature, bounded), state.theta, self._steep(state, bounded, soft + offset, temperature)
        )
        apart = self.violations.soft(self.learner.scores(reached.theta), temperature) + offset
        return _State(reached.theta, *bounded.multipliers(apart), state.weight, temperature), reached

    def _steep(self, state: _State, bounded: _Bounded, apart: Tensor, temperature: float) -> Tensor | None:
        """√μ times the slopes of the violations that are bounded here, (m, k + 1); None where sharp decisions bend within a step."""
        if temperature < GENTLE[-1] or not isinstance(self.learner, Descent):
            return None
        steep = self.learner.slopes(partial(self.violations.soft, temperature=temperature), state.theta)
        active = torch.cat(bounded.multipliers(apart)).reshape(2, -1).amax(0) > 0
        bounding: Tensor = steep[active] * state.weight**0.5
        return bounding


def _train(rows: Rows, asked: Asked) -> Trained:
    """The one point of the path that was asked for."""
    (trained,) = bounded_path(rows, asked, (asked.tolerance,))
    return trained


def _refuses(constraint: Constraint) -> str | None:
    if constraint.strata:
        return None
    return f"a head that does not see the group cannot bound errors of all deciles of each group, which {constraint.name} asks for"


lagrangian = Mitigation("lagrangian", "during", _train, _refuses, dial="tolerance", path=bounded_path, in_shares=True, heads=LEARNED)
