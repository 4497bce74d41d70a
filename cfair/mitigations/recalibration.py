"""Probabilities made true in each group, after training: a Platt map of its own, and with more people more and more an isotonic one."""

import torch
from sklearn.isotonic import IsotonicRegression
from torch import Tensor
from torch.nn.functional import softplus

from cfair.constraints import Constraint
from cfair.errors import QueryError
from cfair.heads.logistic import Logistic
from cfair.mitigations.base import Asked, Mitigation, Rows, Trained, refuse
from cfair.mitigations.recalibrated import Recalibrated
from cfair.mitigations.unconstrained import positions, stage, taking_part, unconstrained
from cfair.weights import evened

__all__ = ["platt", "recalibration"]

SCATTER = 1.0  # standard deviation of groups' offsets and slopes about the pooled ones, by which a small group is shrunken
ISOTONIC = (
    1000.0  # people of whom an isotonic map weighs half: with fewer, its steps cost more where Platt is right than they save where not
)
STEPS, SLOPE = 100, 1e-10  # of Newton's method, and the gradient left, per person


def platt(score: Tensor, outcome: Tensor, weights: Tensor, towards: Tensor) -> Tensor:
    """The offset a and slope b, (2,), of greatest Σ w·log P(y) − |(a, b) − towards|²/2·SCATTER², with P(1) = σ(a + b·s).

    The penalty counts as much as so many people: of weights the mean should be 1.

    Args:
        score: s, log-odds, shape (n,).
        outcome: 0 or 1, shape (n,).
        weights: not negative, shape (n,).
        towards: to what a few people are shrunken, shape (2,).

    Source: Platt (1999), Probabilistic outputs for support vector machines, section 2.1, for the map.
    """
    design = torch.stack([torch.ones_like(score), score], 1)

    def loss(at: Tensor) -> Tensor:
        s = design @ at
        return weights @ (softplus(s) - outcome * s) + (at - towards).square().sum() / (2 * SCATTER**2)

    here = towards.clone()
    for _ in range(STEPS):
        p = (design @ here).sigmoid()
        gradient = design.T @ (weights * (p - outcome)) + (here - towards) / SCATTER**2
        if gradient.abs().max() <= SLOPE * (1 + weights.sum()):
            break
        curvature = (design.T * (weights * p * (1 - p))) @ design + torch.eye(2, dtype=torch.float64) / SCATTER**2
        step: Tensor = torch.linalg.solve(curvature, gradient)
        while loss(here - step) > loss(here) and step.abs().max() > SLOPE:
            step = step / 2
        here = here - step
    return here


def _train(rows: Rows, asked: Asked) -> Trained:
    """A logistic head, and a map of each group: q·isotonic + (1 − q)·Platt, q = n/(n + 1000).

    The Platt map of a group is shrunken towards the pooled one, by a penalty as of a Normal(0, 1) prior on the differences of offset and
    slope; its weight falls off as 1/n. Groups that take no part have the pooled Platt map alone. The pooled one is shrunken towards
    the head's own probabilities. Maps are learned from the very rows that the head was learned from (no cross-fitting): of two numbers
    and a few steps, from a head of a few weights, they are not much too good on these; look at other rows for what is left.
    """
    refuse(asked, _refuses)
    _check(asked)
    base, part = unconstrained(rows), taking_part(rows, asked)
    score, weights = base.score(rows.features), evened(rows.weights)
    pooled = platt(score, rows.outcome, weights, torch.tensor([0.0, 1.0], dtype=torch.float64))
    maps, lines = pooled.repeat(rows.groups, 1), {}
    for g in positions(part):
        own = (rows.group == g) & (rows.weights > 0)
        maps[g] = platt(score[own], rows.outcome[own], weights[own], pooled)
        lines[g] = _isotonic(score[own], rows.outcome[own], weights[own])
    size = torch.bincount(rows.group, weights=weights, minlength=rows.groups)
    head = _made(base, maps, lines, torch.where(part, size / (size + ISOTONIC), 0.0))
    seen = rows.with_group() if rows.groups > 1 else rows.features
    log = (
        stage("without constraints", rows, asked, head=base, seen=rows.features),
        stage("recalibrated", rows, asked, head=head, seen=seen),
    )
    return Trained(head, rows.groups > 1, log, positions(~part))


def _check(asked: Asked) -> None:
    """Raise where the group is not to be read.

    Raises:
        QueryError: it is not.
    """
    if not asked.reads_group:
        problem = "the maps are of one group each, and the group is not to be read at prediction time"
        raise QueryError("mitigation", problem, "let the group be read, or use 'penalty'")


def _isotonic(score: Tensor, outcome: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Where the least-squares rising map bends, in log-odds, and its value there; both (knots,)."""
    line = IsotonicRegression(y_min=0.0, y_max=1.0).fit(score.numpy(), outcome.numpy(), sample_weight=weights.numpy())
    return torch.from_numpy(line.X_thresholds_).double(), torch.from_numpy(line.y_thresholds_).double()


def _made(base: Logistic, maps: Tensor, lines: dict[int, tuple[Tensor, Tensor]], share: Tensor) -> Recalibrated:
    """The head of these maps (groups, 2) and lines; two knots at least, so that there is something between."""
    groups, knots = len(maps), max([2, *(len(at) for at, _ in lines.values())])
    head = Recalibrated(base.inputs + (groups > 1), groups, knots)
    head.base.load_state_dict(base.state_dict())
    head.offset.copy_(maps[:, 0])
    head.slope.copy_(maps[:, 1])
    head.share.copy_(share)
    for g, (at, value) in lines.items():
        for held, own in ((head.at, at), (head.value, value)):
            held[g, : len(own)], held[g, len(own) :] = own, own[-1]
    return head


def _refuses(constraint: Constraint) -> str | None:
    if constraint.of == "scores":
        return None
    return f"recalibration makes probabilities true in each group, which aims at calibration, not at {constraint.name}"


recalibration = Mitigation("recalibration", "after", _train, _refuses, _check, shaped=Recalibrated.shaped)
