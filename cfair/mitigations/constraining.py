"""Predictors of any kind whose head is trained anew, so that a group constraint holds: they see what they saw."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.heads import name_of
from cfair.heads.base import Head
from cfair.interfaces import World, Worlds
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained, check_head
from cfair.predictors.features import each_block

__all__ = ["Headed", "constrain", "training_rows"]


@runtime_checkable
class Headed(Protocol):
    """A predictor that makes predictions of what it sees of a world."""

    @property
    def head(self) -> Head:
        """From features to predictions."""
        ...

    def seen(self, world: World) -> Tensor:
        """What the head reads, shape (draws or 1, n, k)."""
        ...


def constrain(
    predictor: Headed,
    worlds: Worlds,
    outcome: Tensor,
    group: Tensor,
    *,
    mitigation: Mitigation,
    asked: Asked,
    weights: Tensor | None = None,
) -> Trained:
    """Train the head of a fitted predictor anew, in place; what it sees, and in which model it is invariant, stay as they are.

    A head on draws of latents learns from every draw, of which together a person counts once.

    Args:
        predictor: fitted on these people, with a head that the mitigation can train.
        worlds: abducted people, whole or in blocks.
        outcome: 0 or 1, of all people in the order of the blocks, shape (n,).
        group: index of each person's group, shape (n,), int64.
        mitigation: one that changes the rows or the training: a head that reads the group would see more than this predictor may.
        asked: what is to be equal.
        weights: of people, shape (n,); one each if None.

    Returns:
        What was trained, with its log.

    Raises:
        QueryError: the mitigation trains no such head, or it refuses a constraint, decides by the group or mixes heads.
    """
    if mitigation.stage == "after":
        raise QueryError("mitigation", f"'{mitigation.name}' changes decisions after training, and not the head", "use it on predictions")
    if mitigation.mixes:
        problem = f"'{mitigation.name}' makes a lottery among several heads, and this predictor has one"
        raise QueryError("mitigation", problem, "name another one, or use it on predictions")
    counts = torch.ones_like(outcome) if weights is None else weights
    trained = mitigation.train(*training_rows(predictor, worlds, outcome, group, counts, mitigation=mitigation, asked=asked))
    predictor.head.load_state_dict(trained.head.state_dict())
    return trained


def training_rows(
    predictor: Headed,
    worlds: Worlds,
    outcome: Tensor,
    group: Tensor,
    weights: Tensor,
    *,
    mitigation: Mitigation,
    asked: Asked,
    groups: int | None = None,
) -> tuple[Rows, Asked]:
    """What the head of a predictor reads of every (draw, person) pair, and what is asked of them.

    Args:
        predictor: fitted on these people, with a head that the mitigation can train.
        worlds: abducted people, whole or in blocks.
        outcome: of all people, shape (n,).
        group: index of each person's group, shape (n,), int64.
        weights: of people, shape (n,).
        mitigation: that trains the head.
        asked: what is to be equal; its head is that of the predictor.
        groups: how many there are; up to the last that has anybody if None.

    Raises:
        QueryError: the mitigation trains no such head.
    """
    check_head(mitigation, name_of(predictor.head))
    rows, draws = _rows(predictor, worlds, outcome, group, weights)
    rows = rows if groups is None else replace(rows, groups=groups)
    return rows, replace(asked, min_group_size=asked.min_group_size * draws, head=type(predictor.head))


def _rows(predictor: Headed, worlds: Worlds, outcome: Tensor, group: Tensor, weights: Tensor) -> tuple[Rows, int]:
    """What the head reads of every (draw, person) pair, and how many draws there are of a person."""
    parts, first, draws = [], 0, 1
    for world in each_block(worlds):
        last, seen = first + world.shape[1], predictor.seen(world)
        draws = len(seen)
        own = (outcome[first:last], group[first:last], weights[first:last] / draws)
        parts.append((seen.flatten(0, 1), *(each.expand(seen.shape[:2]).flatten() for each in own)))
        first = last
    if first != len(outcome):
        raise QueryError("outcome", f"{len(outcome)} outcomes for {first} people", "give one outcome per person")
    features, y, groups, counts = (torch.cat(columns) for columns in zip(*parts, strict=True))
    return Rows(features, y, groups, int(group.max()) + 1, counts), draws
