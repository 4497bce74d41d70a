"""Rows weighed, before training, so that outcome and group are independent among them."""

import torch
from torch import Tensor

from cfair.constraints import Constraint
from cfair.constraints.tallies import selection_rate
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained, refuse
from cfair.mitigations.unconstrained import plain, positions, stage, taking_part

__all__ = ["reweighed", "reweighing"]


def reweighed(outcome: Tensor, group: Tensor, weights: Tensor) -> Tensor:
    """The weights w·P(g)·P(y)/P(g, y), shape (n,), under which outcome and group are independent.

    P is by the weights given. Each group's weights add up to what they did, and so do those of each level of the outcome.

    Args:
        outcome: index of each person's level, shape (n,), of any number of levels.
        group: index of each person's group, shape (n,).
        weights: not negative, shape (n,).

    Source: Kamiran & Calders (2012), Data preprocessing techniques for classification without discrimination, algorithm 3.
    """
    if not len(outcome):
        return weights.clone()
    g, y = group.long(), outcome.long()
    levels = int(y.max()) + 1
    joint = torch.bincount(g * levels + y, weights=weights, minlength=(int(g.max()) + 1) * levels).reshape(-1, levels)
    expected = joint.sum(1, keepdim=True) * joint.sum(0) / joint.sum()
    factor = (expected / joint).where(joint > 0, 0.0)  # of nobody: no row has it
    return weights * factor[g, y]


def _train(rows: Rows, asked: Asked) -> Trained:
    """The head of rows weighed w·(P(g)·P(y)/P(g, y))^s, s the strength up to 1: 1 is the formula, and 0 leaves them as they are.

    Nothing bounds the violation that is left: the tolerance is not asked. Rows of groups that take no part keep their weights.
    """
    refuse(asked, _refuses)
    part = taking_part(rows, asked)
    inside = part[rows.group]
    weights = rows.weights.clone()
    ratio = reweighed(rows.outcome[inside], rows.group[inside], rows.weights[inside]) / rows.weights[inside]
    weights[inside] *= ratio.nan_to_num(nan=0.0) ** min(asked.strength, 1.0)  # 0/0: a row of weight 0, which stays 0
    head = plain(rows, asked, weights)
    log = (
        stage("without constraints", rows, asked, head=plain(rows, asked), seen=rows.features),
        stage("weighed", rows, asked, head=head, seen=rows.features),
    )
    return Trained(head, False, log, positions(~part))


def _refuses(constraint: Constraint) -> str | None:
    if set(constraint.strata.values()) == {selection_rate}:
        return None
    return f"reweighing makes outcome and group independent among the rows, which aims at equal selection rates, not at {constraint.name}"


reweighing = Mitigation("reweighing", "before", _train, _refuses, heads=("logistic", "mlp", "boosted"))
