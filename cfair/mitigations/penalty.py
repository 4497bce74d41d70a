"""Violations weighed against errors: the log loss and, times a strength, the squares of soft violations."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained
from cfair.mitigations.descent import Descent
from cfair.mitigations.soft import Violations, temperatures_for
from cfair.mitigations.unconstrained import positions, stage, taking_part

__all__ = ["penalised_path", "penalty"]


def penalised_path(rows: Rows, asked: Asked, strengths: Sequence[float]) -> Iterator[Trained]:
    """For each strength, the logistic regression of least mean log loss + strength·Σ_sg c_sg², c the violations of soft decisions.

    Decisions are sharpened stage by stage at the first strength; each further one starts where the one before it ended.

    Args:
        rows: people to train on.
        asked: what is to be equal; its own strength is not read.
        strengths: from 0 on, best in ascending order; at 0 it is the logistic regression without constraints, wherever it stands.
    """
    descent, part = Descent(rows), taking_part(rows, asked)
    violations = Violations(rows, asked.constraints, part, descent.scores(descent.start))
    temperatures, theta = temperatures_for(asked.constraints), descent.start
    first = stage("without constraints", rows, asked, head=descent.head(theta), seen=rows.features)
    for strength in strengths:
        log, theta = [first], theta if strength else descent.start
        for temperature in temperatures if strength and part.any() else ():
            reached = descent.least(partial(_weighed, violations, strength, temperature), theta)
            theta = reached.theta
            now = stage(f"strength {strength:g}, temperature {temperature:g}", rows, asked, head=descent.head(theta), seen=rows.features)
            log.append(replace(now, steps=reached.steps, converged=reached.converged))
        temperatures = temperatures if len(log) == 1 else temperatures[-1:]
        yield Trained(descent.head(theta), False, tuple(log), positions(~part))


def _weighed(violations: Violations, strength: float, temperature: float, scores: Tensor) -> Tensor:
    """What log-odds (n,) lose by their soft violations, shape ()."""
    return strength * violations.soft(scores, temperature).square().sum()


def _train(rows: Rows, asked: Asked) -> Trained:
    """The one point of the path that was asked for."""
    (trained,) = penalised_path(rows, asked, (asked.strength,))
    return trained


def _refuses(constraint: Constraint) -> None:
    return None


penalty = Mitigation("penalty", "during", _train, _refuses, dial="strength", path=penalised_path)
