"""Violations weighed against errors: the log loss and, times a strength, the squares of soft violations."""

from collections.abc import Iterator, Sequence
from functools import partial

from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained
from cfair.mitigations.descent import Reached
from cfair.mitigations.learners import LEARNED, learner_of, look
from cfair.mitigations.soft import Charge, Violations, temperatures_for
from cfair.mitigations.unconstrained import positions, taking_part

__all__ = ["penalised_path", "penalty"]


def penalised_path(rows: Rows, asked: Asked, strengths: Sequence[float]) -> Iterator[Trained]:
    """For each strength, the head of least mean log loss + strength·Σ_sg c_sg², c the violations of soft decisions.

    Decisions are sharpened stage by stage at the first strength; each further one starts where the one before it ended.

    Args:
        rows: people to train on.
        asked: what is to be equal; its own strength is not read.
        strengths: from 0 on, best in ascending order; at 0 it is the head without constraints, wherever it stands.
    """
    learner, part = learner_of(rows, asked), taking_part(rows, asked)
    violations = Violations(rows, asked.constraints, part, learner.scores(learner.start))
    temperatures, theta = temperatures_for(asked.constraints), learner.start
    first = look("without constraints", rows, asked, learner, Reached(theta, 0, converged=True))
    for strength in strengths:
        log, theta = [first], theta if strength else learner.start
        for temperature in temperatures if strength and part.any() else ():
            reached = learner.least(Charge(violations, temperature, partial(_weighed, strength)), theta)
            theta = reached.theta
            log.append(look(f"strength {strength:g}, temperature {temperature:g}", rows, asked, learner, reached))
        temperatures = temperatures if len(log) == 1 else temperatures[-1:]
        yield Trained(learner.head(theta), False, tuple(log), positions(~part))


def _weighed(strength: float, violations: Tensor) -> Tensor:
    """What violations (m,) cost, shape ()."""
    return strength * violations.square().sum()


def _train(rows: Rows, asked: Asked) -> Trained:
    """The one point of the path that was asked for."""
    (trained,) = penalised_path(rows, asked, (asked.strength,))
    return trained


def _refuses(constraint: Constraint) -> None:
    return None


penalty = Mitigation("penalty", "during", _train, _refuses, dial="strength", path=penalised_path, heads=LEARNED)
