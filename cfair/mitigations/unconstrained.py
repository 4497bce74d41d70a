"""What mitigations before and after training share: the head without constraints, who takes part, and a line of the log."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from cfair.constraints.calibration_error import raw_error
from cfair.constraints.scores import bin_scores
from cfair.heads.base import Head
from cfair.heads.logistic import Logistic
from cfair.mitigations.base import Asked, Rows, Stage, decided

__all__ = ["counts_of", "plain", "positions", "stage", "taking_part", "unconstrained"]


def plain(rows: Rows, asked: Asked, weights: Tensor | None = None) -> Head:
    """The head that is asked for, of these rows, which does not see the group; by other weights than theirs, (n,), if given.

    Raises:
        FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome is the same.
    """
    weights = rows.weights if weights is None else weights
    return asked.head(rows.features.shape[1]).fit([(rows.features, rows.outcome, weights)])


def unconstrained(rows: Rows) -> Logistic:
    """The logistic head of these rows, which does not see the group.

    Raises:
        FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome is the same.
    """
    return Logistic(rows.features.shape[1]).fit([(rows.features, rows.outcome, rows.weights)])


def taking_part(rows: Rows, asked: Asked) -> Tensor:
    """Which groups are large enough and have every rate that is to be equal, shape (groups,); none where fewer than two are left.

    A group has a rate if it is defined where half of each outcome's people are selected: so no threshold gives a true positive rate to
    people of whom none has outcome 1, or false positives to those who all have it.
    """
    part = rows.large(max(1, asked.min_group_size))
    half = counts_of(rows, torch.full_like(rows.outcome, 0.5))
    for constraint in asked.constraints:
        if constraint.strata:
            part = part & constraint.rates(half).isfinite().all(-2)
    return part if part.sum() > 1 else torch.zeros_like(part)


def positions(mask: Tensor) -> tuple[int, ...]:
    """Where a mask of shape (groups,) is True."""
    return tuple(torch.nonzero(mask).flatten().tolist())


def counts_of(rows: Rows, probability: Tensor) -> Tensor:
    """The expected weight in each cell [group, y, decision] if decisions are 1 with these probabilities, (n,): shape (groups, 2, 2)."""
    cell = rows.group * 2 + rows.outcome.long()
    weights = torch.stack([rows.weights * (1 - probability), rows.weights * probability], 1)
    return torch.zeros(rows.groups * 2, 2, dtype=torch.float64).index_add_(0, cell, weights).reshape(rows.groups, 2, 2)


def stage(what: str, rows: Rows, asked: Asked, *, head: Head, seen: Tensor, probability: Tensor | None = None) -> Stage:
    """What the training rows show of a head that is given ``seen``, (n, inputs).

    Of calibration the violation is the largest expected calibration error of a group.

    Args:
        what: was done.
        rows: people.
        asked: what is to be equal.
        head: whose scores are log-odds.
        seen: what the head sees of these people.
        probability: of decisions of 1, (n,), where they are drawn; those of the head itself if None.
    """
    score, part = head.score(seen), taking_part(rows, asked)
    prediction = head.predict(seen)
    loss = rows.weights @ (softplus(score) - rows.outcome * score) / rows.weights.sum()
    counts = counts_of(rows, decided(prediction) if probability is None else probability)[part]
    found = {}
    for constraint in asked.constraints:
        if not part.any():
            found[constraint.name] = torch.nan
        elif constraint.strata:
            found[constraint.name] = float(constraint.difference(counts))
        else:
            scored = bin_scores(rows.outcome, prediction, rows.group, rows.groups, rows.weights)
            found[constraint.name] = float(raw_error(scored)[part].max())
    return Stage(what, float(loss), found)
