"""Violations weighed against errors: the log loss and, times a strength, the squares of soft violations."""

from collections.abc import Iterator, Sequence
from functools import partial

from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.base import Asked, Mitigation, Rows, Stage, Trained
from cfair.mitigations.descent import Descent, Reached
from cfair.mitigations.soft import Violations, temperatures_for
from cfair.mitigations.stages import Watched

__all__ = ["penalised_path", "penalty"]


def penalised_path(rows: Rows, asked: Asked, strengths: Sequence[float]) -> Iterator[Trained]:
    """For each strength, the logistic regression of least mean log loss + strength·Σ_sg c_sg², c the violations of soft decisions.

    Decisions are sharpened stage by stage at the first strength; each further one starts where the one before it ended.

    Args:
        rows: people to train on.
        asked: what is to be equal; its own strength is not read.
        strengths: from 0 on, best in ascending order.
    """
    descent = Descent(rows)
    watched = Watched(rows, asked, descent)
    temperatures, theta = temperatures_for(asked.constraints), descent.start
    first = watched.stage("without constraints")
    for strength in strengths:
        stages = list(_stages(descent, watched, theta, strength, temperatures)) if strength else []
        if stages:
            theta, temperatures = stages[-1][0].theta, temperatures[-1:]
        yield Trained(descent.head(theta), False, (first, *(stage for _, stage in stages)), watched.held)


def _stages(
    descent: Descent, watched: Watched, theta: Tensor, strength: float, temperatures: Sequence[float]
) -> Iterator[tuple[Reached, Stage]]:
    for temperature in temperatures:
        reached = descent.least(partial(_weighed, watched.violations, strength, temperature), theta)
        theta = reached.theta
        yield reached, watched.stage(f"strength {strength:g}, temperature {temperature:g}", reached)


def _weighed(violations: Violations, strength: float, temperature: float, scores: Tensor) -> Tensor:
    """What log-odds (n,) lose by their soft violations, shape ()."""
    return strength * violations.soft(scores, temperature).square().sum()


def _train(rows: Rows, asked: Asked) -> Trained:
    """The one point of the path that was asked for."""
    (trained,) = penalised_path(rows, asked, (asked.strength,))
    return trained


def _refuses(constraint: Constraint) -> None:
    return None


penalty = Mitigation("penalty", "during", _train, _refuses)
