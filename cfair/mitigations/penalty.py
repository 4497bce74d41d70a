"""Violations weighed against errors: the log loss and, times a strength, the squares of soft violations."""

from functools import partial

from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained
from cfair.mitigations.descent import Descent
from cfair.mitigations.stages import Watched

__all__ = ["TEMPERATURES", "penalty"]

TEMPERATURES = (1.0, 0.3, 0.1)  # of soft decisions, in log-odds: from one that slopes everywhere to one that is nearly hard


def _train(rows: Rows, asked: Asked) -> Trained:
    """The logistic regression of least mean log loss + strength·Σ_sg c_sg², c of soft decisions that are annealed."""
    descent = Descent(rows)
    watched = Watched(rows, asked, descent)
    theta, log = descent.start, [watched.stage("without constraints")]
    for temperature in TEMPERATURES if asked.strength else ():

        def weighed(scores: Tensor, temperature: float) -> Tensor:
            return asked.strength * watched.violations.soft(scores, temperature).square().sum()

        reached = descent.least(partial(weighed, temperature=temperature), theta)
        theta = reached.theta
        log.append(watched.stage(f"temperature {temperature:g}", reached))
    return Trained(descent.head(theta), False, tuple(log), watched.held)


def _refuses(constraint: Constraint) -> None:
    return None


penalty = Mitigation("penalty", "during", _train, _refuses)
