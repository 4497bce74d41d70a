"""The most accurate lottery among logistic regressions that keeps a tolerance in expectation, by linear programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from cfair.constraints import Constraint
from cfair.heads.logistic import Logistic
from cfair.mitigations.adversary import GIVEN
from cfair.mitigations.base import Asked, Mitigation, Rows, Stage, Trained, refuse
from cfair.mitigations.costed import Costed
from cfair.mitigations.descent import Descent
from cfair.mitigations.mixed import Mixed
from cfair.mitigations.soft import Violations
from cfair.mitigations.unconstrained import positions, stage, taking_part, unconstrained

__all__ = ["lottery", "lottery_path"]

ROUNDS = 3  # classifiers learned at most at each tolerance of a path
APPROACH = (0.8, 0.6, 0.4, 0.2, 0.1, 0.05, 0.02, 0.0)  # shares of what is to go that are left along the path to one tolerance
HALFWAY = 0.5  # from the multipliers of the round before to those of the linear program: at these alone rounds swing from side to side
PROMISED = 1e-3  # share of people fewer on whom the last classifier promised to err: where it is less, none is expected to help
SMALLEST = 1e-9  # share of people whom a classifier serves: less is rounding
CERTAIN = 20.0  # log-odds of a classifier that decides alike for everybody


def lottery_path(rows: Rows, asked: Asked, tolerances: Sequence[float]) -> Iterator[Trained]:
    """For each tolerance, the lottery of least expected error with |c_sg| ≤ tolerance/2 in expectation, among classifiers found so far.

    c_sg = r_sg − r_s of each group g that takes part, r_s the rate of these groups together: then no two differ by more than the
    tolerance. The best lottery among some classifiers is a linear program, whose multipliers say what a decision costs in each group
    at each outcome; the logistic regression of these costs is the next classifier. All tolerances share them.

    Args:
        rows: people to train on.
        asked: what is to be equal; its own tolerance is not read, its seed is that of the lots.
        tolerances: from 0 on, best in descending order.

    Raises:
        QueryError: a constraint is no rate of people who are known before the decisions.

    Source: Agarwal, Beygelzimer, Dudík, Langford & Wallach (2018), A reductions approach to fair classification, equation 2, solved by
    column generation as Demiriz, Bennett & Shawe-Taylor (2002), Linear programming boosting via column generation, do.
    """
    refuse(asked, _refuses)
    part, found = taking_part(rows, asked), _Found(rows)
    held, head = positions(~part), found.head(0)
    first = stage("without constraints", rows, asked, head=head, seen=rows.features)
    costs, bounds = _costs(rows), _bounds(rows, asked.constraints, part)
    here = torch.zeros(len(bounds), dtype=torch.float64)
    for tolerance in tolerances:
        before, promise = len(found.positive), 0.0
        best = found.best(costs, bounds, tolerance)
        for _ in range(ROUNDS if len(bounds) else 0):
            if not best.multipliers.any():
                break
            here = here + HALFWAY * (best.multipliers - here)
            promise = found.learn(costs + here @ bounds, costs + best.multipliers @ bounds, best.value)
            best = found.best(costs, bounds, tolerance)
        log = found.stage(rows, asked, part, best.shares)
        log = Stage(log.what, log.loss, log.violations, len(found.positive) - before, promise <= PROMISED)
        yield Trained(found.mixed(best.shares, asked.seed), False, (first, log), held)


class _Best(NamedTuple):
    """The best lottery among some classifiers.

    Args:
        shares: of people whom each serves, (classifiers,).
        multipliers: of the bounds, those from above less those from below, (bounds,).
        value: error and the violations times their multipliers, of each classifier in the lottery: a better one has less.
    """

    shares: Tensor
    multipliers: Tensor
    value: float


@dataclass(slots=True, eq=False)
class _Found:
    """Classifiers of some rows: first the plain logistic regression, then two that decide alike for everybody, then what was learned.

    Args:
        rows: people.
        descent: of their features.
        costed: logistic regressions of them.
        cell: of each person, group·2 + outcome, (n,).
        thetas: intercept and weights of each classifier on standardised features, (k + 1,).
        positive: weight of people whom each decides 1 for, by cell, (cells,).
        losses: mean log loss of each.
    """

    rows: Rows
    descent: Descent = field(init=False)
    costed: Costed = field(init=False)
    cell: Tensor = field(init=False)
    thetas: list[Tensor] = field(init=False, default_factory=list)
    positive: list[Tensor] = field(init=False, default_factory=list)
    losses: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.descent = Descent(self.rows)
        self.costed = Costed(self.descent.design, self.descent.start)
        self.cell = self.rows.group * 2 + self.rows.outcome.long()
        for theta in (self.descent.start, -CERTAIN, CERTAIN):
            self._add(theta if isinstance(theta, Tensor) else theta * torch.eye(1, len(self.descent.start), dtype=torch.float64)[0])

    def learn(self, guess: Tensor, costs: Tensor, value: float) -> float:
        """Add the logistic regression of some costs of deciding 1, by cell, (cells,), and say by how much it undercuts a value at others.

        Each person has the weight of their cell's cost, and the label that is cheaper there.
        """
        each = guess[self.cell] * self.rows.weights
        if not (each.min() < 0 < each.max()):
            return inf  # the same for everybody: it is there, and nothing was learned of what may be better
        self._add(self.costed.least(each, guess))
        return value - float(costs @ self.positive[-1])

    def best(self, costs: Tensor, bounds: Tensor, tolerance: float) -> _Best:
        """The lottery of least error whose violations lie within half of a tolerance."""
        positive = torch.stack(self.positive, 1)
        errors, apart, one = (costs @ positive).numpy(), (bounds @ positive).numpy(), np.ones((1, len(self.positive)))
        within = np.full(2 * len(bounds), tolerance / 2)
        found = linprog(errors, np.concatenate([apart, -apart]), within, one, np.ones(1), method="highs-ds")
        assert found.x is not None, found.message  # deciding alike for everybody violates nothing
        high, low = -torch.from_numpy(found.ineqlin.marginals).reshape(2, -1)
        shares = torch.from_numpy(found.x).clamp(min=0)
        shares = torch.where(shares > SMALLEST * shares.sum(), shares, 0.0)
        return _Best(shares / shares.sum(), high - low, float(found.eqlin.marginals[0]))

    def stage(self, rows: Rows, asked: Asked, part: Tensor, shares: Tensor) -> Stage:
        """What the training rows show of a lottery, in expectation."""
        positive, loss = shares @ torch.stack(self.positive), float(shares @ torch.tensor(self.losses, dtype=torch.float64))
        known = torch.zeros_like(positive).index_add_(0, self.cell, rows.weights)
        counts = torch.stack([known - positive, positive], 1).reshape(rows.groups, 2, 2)[part]
        apart = {each.name: float(each.difference(counts)) if part.any() else torch.nan for each in asked.constraints}
        return Stage(f"{int((shares > 0).sum())} classifiers, in expectation", loss, apart)

    def head(self, place: int) -> Logistic:
        """One of the classifiers, in the features' own units."""
        return self.descent.head(self.thetas[place])

    def mixed(self, shares: Tensor, seed: int) -> Mixed:
        """A lottery among those that serve anybody."""
        kept = positions(shares > 0)
        heads = [self.head(place) for place in kept]
        intercepts, coefficients = torch.stack([each.intercept for each in heads]), torch.stack([each.coefficients for each in heads])
        return Mixed(heads[0].inputs, len(heads)).hold(intercepts, coefficients, shares[list(kept)], seed)

    def _add(self, theta: Tensor) -> None:
        rows, scores = self.rows, self.descent.scores(theta)
        decision = rows.weights * (scores >= 0)
        self.thetas.append(theta)
        self.positive.append(torch.zeros(2 * rows.groups, dtype=torch.float64).index_add_(0, self.cell, decision))
        self.losses.append(float(self.descent.loss(scores)))


def _costs(rows: Rows) -> Tensor:
    """By how much the error grows with each weight that is decided 1 for, by cell, (cells,)."""
    wrong = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(rows.groups)
    return wrong / rows.weights.sum()


def _bounds(rows: Rows, constraints: Sequence[Constraint], part: Tensor) -> Tensor:
    """By how much each c_sg grows with each weight that is decided 1 for, (bounds, cells)."""
    outcome = torch.tensor([0.0, 1.0], dtype=torch.float64)
    known = torch.zeros(2 * rows.groups, dtype=torch.float64).index_add_(0, rows.group * 2 + rows.outcome.long(), rows.weights)
    found = []
    for tally in (tally for each in constraints for tally in each.strata.values()):
        counted = GIVEN[tally](outcome).repeat(rows.groups).reshape(rows.groups, 2) * part.unsqueeze(1)  # (groups, y)
        size = (counted * known.reshape(rows.groups, 2)).sum(1)
        for g in positions(part):
            of_all = -counted / size.sum()
            of_all[g] += counted[g] / size[g]
            found.append(of_all.flatten())
    return torch.stack(found) if found else torch.zeros(0, 2 * rows.groups, dtype=torch.float64)


def _train(rows: Rows, asked: Asked) -> Trained:
    """The end of a path to the one tolerance that was asked for; its log ends with what lots drawn by the seed give."""
    refuse(asked, _refuses)
    tolerance, part = asked.tolerance, taking_part(rows, asked)
    scores = unconstrained(rows).score(rows.features)
    apart = 2 * float(Violations(rows, asked.constraints, part, scores).hard(scores).abs().max()) if part.any() else 0.0
    *before, trained = lottery_path(rows, asked, [tolerance + share * max(apart - tolerance, 0.0) for share in APPROACH])
    drawn = replace(stage("drawn", rows, asked, head=trained.head, seen=rows.features), converged=trained.log[-1].converged)
    steps = [replace(each.log[-1], what=f"tolerance {k}: {each.log[-1].what}") for k, each in enumerate(before, 1)]
    return Trained(trained.head, False, (trained.log[0], *steps, trained.log[-1], drawn), trained.held)


def _refuses(constraint: Constraint) -> str | None:
    if constraint.strata and all(tally in GIVEN for tally in constraint.strata.values()):
        return None
    return f"a linear program bounds rates of people who are known before the decisions, which {constraint.name} does not speak of"


lottery = Mitigation(
    "lottery", "during", _train, _refuses, dial="tolerance", path=lottery_path, in_shares=True, probabilities=False, mixes=True,
    shaped=Mixed.shaped,
)  # fmt: skip
