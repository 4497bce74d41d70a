"""What learns a head under a charge: by the head that is asked for, and what its rows show."""

from dataclasses import replace
from typing import Protocol

from torch import Tensor

from cfair.heads.base import Head
from cfair.heads.mlp import MLP
from cfair.mitigations.base import Asked, Rows, Stage
from cfair.mitigations.descent import Descent, Reached
from cfair.mitigations.network import NetworkDescent
from cfair.mitigations.soft import Charge
from cfair.mitigations.unconstrained import stage

__all__ = ["LEARNED", "Learner", "learner_of", "look"]

LEARNED = ("logistic", "mlp")  # names of heads that are learned under a charge


class Learner(Protocol):
    """A head of some rows, by its weights θ, (p,); ``start`` are those without a charge."""

    start: Tensor

    @property
    def held_out(self) -> Rows | None:
        """Rows that are kept to tell when to stop, if any are."""
        ...

    def scores(self, theta: Tensor, /) -> Tensor:
        """Log-odds (n,) of θ."""
        ...

    def loss(self, scores: Tensor, /) -> Tensor:
        """The mean log loss of log-odds (n,), shape ()."""
        ...

    def least(self, charge: Charge, theta: Tensor, steep: Tensor | None = None, /) -> Reached:
        """The θ at which loss and charge are least together, from ``theta`` on."""
        ...

    def head(self, theta: Tensor, /) -> Head:
        """The head that θ is."""
        ...


def learner_of(rows: Rows, asked: Asked) -> Learner:
    """What learns the head that is asked for.

    Raises:
        FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome is the same.
    """
    return NetworkDescent(rows, asked.seed) if asked.head is MLP else Descent(rows)


def look(what: str, rows: Rows, asked: Asked, learner: Learner, reached: Reached) -> Stage:
    """What the training rows show of weights that were reached, and what those show that were held out."""
    head = learner.head(reached.theta)
    now = replace(stage(what, rows, asked, head=head, seen=rows.features), steps=reached.steps, converged=reached.converged)
    if (held_out := learner.held_out) is None:
        return now
    shown = stage(what, held_out, replace(asked, min_group_size=0), head=head, seen=held_out.features)
    return replace(now, held_out_loss=shown.loss, held_out_violations=shown.violations)
