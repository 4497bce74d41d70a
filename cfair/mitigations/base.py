"""What every mitigation takes and gives: people whose groups are known, what is to be equal across these, and a head trained so."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cfair.constraints import Cells, Constraint, count
from cfair.errors import QueryError
from cfair.heads.base import Head
from cfair.heads.logistic import Logistic

__all__ = ["DECIDED", "Asked", "Mitigation", "Rows", "Stage", "Trained", "check_head", "decided", "refuse"]

DECIDED = 0.5  # a decision is 1 from this prediction on


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """People to train on.

    Args:
        features: shape (n, k).
        outcome: 0 or 1, shape (n,).
        group: index of each person's group, shape (n,), int64.
        groups: how many there are.
        weights: not negative, shape (n,).

    Raises:
        QueryError: the shapes differ, an outcome is neither 0 nor 1, or a group has no such index.
    """

    features: Tensor
    outcome: Tensor
    group: Tensor
    groups: int
    weights: Tensor

    def __post_init__(self) -> None:
        n = len(self.outcome)
        if self.features.dim() != 2 or not len(self.features) == len(self.group) == len(self.weights) == n:
            raise QueryError(
                "rows", "features, outcomes, groups and weights are of different numbers of people", "give one of each per person"
            )
        if not ((self.outcome == 0) | (self.outcome == 1)).all():
            raise QueryError("rows.outcome", "an outcome is neither 0 nor 1", "code the two levels as 0 and 1")
        if n and not (int(self.group.min()) >= 0 and int(self.group.max()) < self.groups):
            raise QueryError("rows.group", f"a group is not among 0 to {self.groups - 1}", "number the groups from 0 on")

    @property
    def n(self) -> int:
        """How many people."""
        return len(self.outcome)

    def cells(self, decision: Tensor) -> Cells:
        """Who is in each cell [group, y, decision], by decisions 0 or 1, (n,)."""
        return count(self.outcome, decision, self.group, self.groups, self.weights)

    def large(self, least: int) -> Tensor:
        """Which groups have so many people of weight above 0, shape (groups,)."""
        return torch.bincount(self.group[self.weights > 0], minlength=self.groups) >= least

    def with_group(self) -> Tensor:
        """The features, and the index of the group as their last column, (n, k + 1): what a head that reads the group is given."""
        return torch.cat([self.features, self.group.to(torch.float64).unsqueeze(1)], 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be equal, and how nearly.

    Args:
        constraints: one at least.
        strength: of a mitigation that weighs violations against errors; 0 trains without constraints.
        tolerance: of a mitigation that bounds them: the largest difference that is let be.
        min_group_size: smaller groups take no part in a constraint, and are listed.
        seed: of whatever is drawn.
        reads_group: whether a mitigation that comes after training may treat groups apart at prediction time.
        head: what is trained before or during training.
    """

    constraints: tuple[Constraint, ...]
    strength: float = 1.0
    tolerance: float = 0.0
    min_group_size: int = 30
    seed: int = 0
    reads_group: bool = True
    head: type[Head] = Logistic

    def __post_init__(self) -> None:
        if not self.constraints:
            raise QueryError("constraints", "none is named", "name one at least")
        for name, value in (("strength", self.strength), ("tolerance", self.tolerance)):
            if not value >= 0 or value == float("inf"):
                raise QueryError(name, f"{value:g} is not a number from 0 on", "use 0 or more")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a training: a line of its log.

    Args:
        what: was done.
        loss: mean log loss of the training rows, without any penalty.
        violations: name of a constraint -> its largest difference in hard decisions of the training rows; NaN where it is undefined.
        steps: of the optimiser.
        converged: whether it came to rest; of the stage that was chosen under a tolerance, whether the tolerance is kept.
        multipliers: of the constraints, if there are any.
        held_out_loss: mean log loss of rows that were held out to tell when to stop, if any were.
        held_out_violations: of them, as ``violations``.
    """

    what: str
    loss: float
    violations: dict[str, float]
    steps: int = 0
    converged: bool = True
    multipliers: tuple[float, ...] = ()
    held_out_loss: float | None = None
    held_out_violations: dict[str, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a mitigation made.

    Args:
        head: predictions from DECIDED on are decisions of 1.
        reads_group: whether the head wants the index of the group as its last feature, at prediction time, too.
        log: of the training, in order.
        held: indices of groups too small to take part, or without anybody of whom a constraint asks.
    """

    head: Head
    reads_group: bool
    log: tuple[Stage, ...]
    held: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Mitigation:
    """How a constraint is trained in.

    Args:
        name: as on the command line.
        stage: whether it changes the rows before training, the training, or the decisions after it.
        train: does it.
        refuses: why a constraint cannot be trained in so; None where it can.
        check: raises what else stands in the way, before any work.
        dial: what of ``Asked`` decides how near to equal it comes; None where it knows but one way.
        path: trains at one value of its dial after the other, each from where the one before it ended.
        in_shares: whether its tolerance bounds each group's distance from all groups together, odds as shares, by half.
        probabilities: whether what it predicts still stands for probabilities, rather than for decisions alone.
        mixes: whether its head is a lottery among several, which cannot take the place of a predictor's own.
        shaped: of one after training, or that mixes, an empty head of the shape of a state_dict.
        several: whether it trains several constraints in at once.
        heads: names in HEADS of what it can train before or during training.
    """

    name: str
    stage: Literal["before", "during", "after"]
    train: Callable[[Rows, Asked], Trained]
    refuses: Callable[[Constraint], str | None]
    check: Callable[[Asked], None] | None = None
    dial: Literal["strength", "tolerance"] | None = None
    path: Callable[[Rows, Asked, Sequence[float]], Iterator[Trained]] | None = None
    in_shares: bool = False
    probabilities: bool = True
    mixes: bool = False
    shaped: Callable[[Mapping[str, Tensor]], Head] | None = None
    several: bool = True
    heads: tuple[str, ...] = ("logistic",)


def refuse(asked: Asked, refuses: Callable[[Constraint], str | None]) -> None:
    """Raise why one of the constraints asked for cannot be trained in so.

    Raises:
        QueryError: one of them is refused.
    """
    for constraint in asked.constraints:
        if problem := refuses(constraint):
            raise QueryError("constraints", problem, "name another mitigation for it")


def check_head(mitigation: Mitigation, name: str) -> None:
    """Raise where a mitigation before or during training cannot train the head of this name.

    Raises:
        QueryError: it cannot.
    """
    if mitigation.stage != "after" and name not in mitigation.heads:
        problem = f"'{mitigation.name}' trains heads of the kind {' or '.join(mitigation.heads)}, and not '{name}'"
        raise QueryError("head", problem, f"use '{mitigation.heads[0]}', or mitigations after training: threshold, recalibration")


def decided(prediction: Tensor) -> Tensor:
    """Decisions, 0 or 1, of predictions."""
    return (prediction >= DECIDED).to(torch.float64)
