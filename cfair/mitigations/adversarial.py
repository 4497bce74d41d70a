"""A logistic head trained against adversaries that guess the group: with their gradient projected out, or reversed alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import softplus

from cfair.constraints import Constraint
from cfair.heads.logistic import Logistic
from cfair.inference.optimise import whitening
from cfair.mitigations.adversary import GIVEN, Adversary
from cfair.mitigations.base import Asked, Mitigation, Rows, Stage, Trained, decided, refuse
from cfair.mitigations.descent import Descent
from cfair.mitigations.soft import of_decisions
from cfair.mitigations.unconstrained import counts_of, positions, stage, taking_part, unconstrained

__all__ = ["adversarial", "direction", "gradient_reversal"]

BATCH = 2_048  # rows at most
HELD_OUT, FROM = 0.2, 10_000  # share of rows to choose by, where there are so many: of fewer, rates in small groups are mostly chance
FIRST, EACH = 50, 3  # steps of an adversary before the first step of the head, and before each
PACE, SLOWING = 0.3, 100.0  # of the head's steps, a share of Newton's without adversaries; and after how many of them they slow down
MOST, EVERY, PATIENCE = 600, 25, 6  # steps, between looks at the held-out rows, and looks without anything better
DEAD = 1e-12  # length of a gradient that is none: it has no direction to project on


@dataclass(frozen=True, slots=True, eq=False)
class _Contest:
    """A head and its adversaries.

    Args:
        descent: of the rows to learn from, with the weights to start from.
        rows: to learn from.
        adversaries: one for each constraint.
        strength: of theirs against the head's own loss.
        project: whether the head's gradient loses what would help them.
        stretch: from steps in whitened coordinates to steps of weights, (k + 1, k + 1).
    """

    descent: Descent
    rows: Rows
    adversaries: Sequence[Adversary]
    strength: float
    project: bool
    stretch: Tensor

    def step(self, theta: Tensor, some: Tensor) -> Tensor:
        """Where weights go from ``theta``, by some rows, both (k + 1,): downhill in whitened coordinates.

        Its length is divided by 1 + strength, so that a strong adversary does not throw the head about.
        """
        design, share = self.descent.design[some], len(some) / self.rows.n
        scores = design @ theta
        weights = self.rows.weights[some] / (self.rows.weights.sum() * share)
        by_loss = design.T @ (weights * (scores.sigmoid() - self.rows.outcome[some])) + self.descent.ridge * theta
        slopes = [each.learn(scores, some, steps=EACH, share=share) for each in self.adversaries]
        by_adversary = design.T @ torch.stack(slopes).sum(0)
        towards = direction(self.stretch.T @ by_loss, self.stretch.T @ by_adversary, self.strength, project=self.project)
        return -self.stretch @ towards / (1 + self.strength)


def direction(by_loss: Tensor, by_adversary: Tensor, strength: float, *, project: bool) -> Tensor:
    """∇L_P − proj_{∇L_A} ∇L_P − α·∇L_A, shape (k + 1,), or without the projection; of an adversary that is dead it is ∇L_P.

    Args:
        by_loss: ∇L_P, the gradient of the head's loss, (k + 1,).
        by_adversary: ∇L_A, that of the adversary's, (k + 1,).
        strength: α.
        project: whether the part of ∇L_P along ∇L_A is taken off: so no step for the head's own sake helps the adversary.

    Source: Zhang, Lemoine & Mitchell (2018), Mitigating unwanted biases with adversarial learning, equation 1; without the projection
    Ganin & Lempitsky (2015), Unsupervised domain adaptation by backpropagation, equation 4.
    """
    length = by_adversary.norm()
    if not length > DEAD:
        return by_loss
    along = by_adversary / length
    kept = by_loss - (by_loss @ along) * along if project else by_loss
    return kept - strength * by_adversary


def _train(rows: Rows, asked: Asked, *, project: bool) -> Trained:
    """A logistic head that does not see the group, from the head without constraints on, in steps on minibatches.

    Chosen is, of looks at rows held out by the seed, the one of least mean log loss + strength·Σ_sg c_sg², c the violations of hard
    decisions, as of ``penalty``; below FROM rows none are held out, and those learned from choose. Nothing bounds the violation that is
    left: the tolerance is not asked. At strength 0 it is the head without constraints.
    """
    refuse(asked, _refuses)
    part, head = taking_part(rows, asked), unconstrained(rows)
    log = [stage("without constraints", rows, asked, head=head, seen=rows.features)]
    if not part.any() or not asked.strength:
        return Trained(head, False, tuple(log), positions(~part))
    source = torch.Generator().manual_seed(asked.seed)
    learned, shown = _split(_taken(rows, rows.weights > 0), asked, part, source)
    descent = Descent(learned)
    scores = descent.scores(descent.start)
    adversaries = [Adversary(learned, each, part=part, scores=scores, source=source) for each in asked.constraints]
    for each in adversaries:
        each.learn(scores, torch.arange(learned.n), steps=FIRST, share=1.0)
    contest = _Contest(descent, learned, adversaries, asked.strength, project, _stretch(descent, learned))
    looks, theta, best = _fought(contest, shown, asked, part, source)
    head = descent.head(theta)
    last = stage(f"chosen: {looks[best].what}", rows, asked, head=head, seen=rows.features)
    log.extend((*looks, replace(last, steps=looks[best].steps, converged=looks[-1].steps < MOST)))
    return Trained(head, False, tuple(log), positions(~part))


def _fought(contest: _Contest, shown: Rows, asked: Asked, part: Tensor, source: torch.Generator) -> tuple[list[Stage], Tensor, int]:
    """Looks at rows, the weights (k + 1,) of the best of them, and which it is; after PATIENCE looks without a better one it ends."""
    batches, theta = _batches(contest.rows.n, source), contest.descent.start
    looks, best, chosen, least = list[Stage](), 0, theta, torch.inf
    for k in range(MOST + 1):
        if k % EVERY == 0:
            now, value = _look(contest.descent.head(theta), shown, asked, part)
            looks.append(replace(now, what=f"step {k}, held-out rows" if shown is not contest.rows else f"step {k}", steps=k))
            if value < least:
                best, chosen, least = len(looks) - 1, theta, value
            elif len(looks) > best + PATIENCE:
                break
        theta = theta + contest.step(theta, next(batches)) * PACE / (1 + k / SLOWING) ** 0.5
    return looks, chosen, best


def _stretch(descent: Descent, rows: Rows) -> Tensor:
    """From steps in coordinates whitened by the greatest curvature that the loss has anywhere to steps of weights, (k + 1, k + 1).

    The greatest, p(1 − p) = ¼: where the head is sure of people the loss is flat, and an adversary would throw it far. And, feature by
    feature, what the largest value adds by standing in one batch and not in the next: so rare features move slowly.
    """
    shares, largest = rows.weights / rows.weights.sum(), descent.design.abs().amax(0)
    chance = max(1 / BATCH - 1 / rows.n, 0.0) * largest.square()
    return whitening(-((descent.design.T * shares / 4) @ descent.design + (descent.ridge + chance).diag()))


def _look(head: Logistic, shown: Rows, asked: Asked, part: Tensor) -> tuple[Stage, float]:
    """What rows show of a head, and mean log loss + strength·Σ_sg c_sg²."""
    score = head.score(shown.features)
    loss = shown.weights @ (softplus(score) - shown.outcome * score) / shown.weights.sum()
    counts = counts_of(shown, decided(score.sigmoid()))[part]
    apart = torch.cat([of_decisions(each, counts) for each in asked.constraints])
    found = {each.name: float(each.difference(counts)) for each in asked.constraints}
    return Stage("", float(loss), found), float(loss + asked.strength * apart.square().sum())


def _batches(n: int, source: torch.Generator) -> Iterator[Tensor]:
    """Places of rows, in an order drawn anew for each walk through all of them, without end."""
    parts = ceil(n / BATCH)
    while True:
        order = torch.randperm(n, generator=source) if parts > 1 else torch.arange(n)
        yield from order.tensor_split(parts)


def _split(rows: Rows, asked: Asked, part: Tensor, source: torch.Generator) -> tuple[Rows, Rows]:
    """Rows to learn from and rows to choose by; all of them for both where they are few, or where one part would lack whom it must have."""
    if rows.n < FROM:
        return rows, rows
    held_out = torch.zeros(rows.n, dtype=torch.bool)
    held_out[torch.randperm(rows.n, generator=source)[: int(HELD_OUT * rows.n)]] = True
    learned, shown = _taken(rows, ~held_out), _taken(rows, held_out)
    known = all(bool((taking_part(each, replace(asked, min_group_size=1)) | ~part).all()) for each in (learned, shown))
    return (learned, shown) if known and len(learned.outcome.unique()) == 2 else (rows, rows)


def _taken(rows: Rows, some: Tensor) -> Rows:
    """Those of a mask (n,)."""
    return Rows(rows.features[some], rows.outcome[some], rows.group[some], rows.groups, rows.weights[some])


def _refuses(constraint: Constraint) -> str | None:
    if constraint.strata and all(tally in GIVEN for tally in constraint.strata.values()):
        return None
    seen = "scores and outcomes, which do not tell who is chosen by decisions, nor what scores mean"
    return f"an adversary sees {seen}, as {constraint.name} asks"


adversarial = Mitigation("adversarial", "during", partial(_train, project=True), _refuses, dial="strength")
gradient_reversal = Mitigation("gradient_reversal", "during", partial(_train, project=False), _refuses, dial="strength")
