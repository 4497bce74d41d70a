"""Violations that can be differentiated: the rates of soft decisions, group by group, against those of all groups together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.base import Rows

__all__ = ["GENTLE", "Charge", "Violations", "among_decided", "of_decisions", "temperatures_for"]

GENTLE = (1.0, 0.5)  # temperatures of soft decisions, stage by stage, in log-odds: sharper ones hang on the few people near the threshold
SHARP = (1.0, 0.5, 0.3, 0.2, 0.1)  # where rates are of those who are selected, or of errors: at 1, calibrated scores cannot move them
KNOTS = 10  # of a score, between which its errors are added up with weights that fall off linearly


class Violations:
    """c_sg = r_sg − r_s of each group g that takes part and each stratum s of several constraints, r_s the rate of these groups together.

    A soft decision is σ(score/T); as the temperature T falls it becomes the hard one. Counts of soft decisions are sums, and the rates
    are those of ``Constraint``: the same formulas serve both. Odds are compared as shares, which are equal where odds are, and bounded.
    Of calibration, c_gk is the mean of (y − p)·h_k(p) over a group, h_k a tent over the k-th of KNOTS deciles of the first scores.

    Args:
        rows: people.
        constraints: whose violations.
        part: which groups take part, shape (groups,), bool.
        scores: log-odds of the first predictions, (n,), whose deciles are the knots.
        knots: themselves, if they are known.
    """

    def __init__(
        self, rows: Rows, constraints: Sequence[Constraint], part: Tensor, scores: Tensor | None = None, *, knots: Tensor | None = None
    ) -> None:
        self._rows, self._constraints, self._part = rows, tuple(constraints), part
        self._cell = rows.group * 2 + rows.outcome.long()
        self._known = torch.zeros(rows.groups * 2, dtype=torch.float64).index_add_(0, self._cell, rows.weights)
        if knots is None:
            assert scores is not None
            knots = _deciles(scores.sigmoid(), rows.weights)
        self._knots = knots

    @property
    def names(self) -> tuple[str, ...]:
        """The constraint that each violation is of."""
        groups, knots = int(self._part.sum()), len(self._knots)
        return tuple(each.name for each in self._constraints for _ in range(groups * (len(each.strata) if each.strata else knots)))

    def among(self, people: Tensor) -> "Violations":
        """Those among some people, by their places (m,), as functions of the log-odds (m,) of these; the knots stay."""
        rows = self._rows
        some = Rows(rows.features[people], rows.outcome[people], rows.group[people], rows.groups, rows.weights[people])
        return Violations(some, self._constraints, self._part, knots=self._knots)

    def soft(self, scores: Tensor, temperature: float) -> Tensor:
        """By decisions σ(score/T) of log-odds (n,), to (violations,); differentiable."""
        return self._of((scores / temperature).sigmoid(), scores)

    def hard(self, scores: Tensor) -> Tensor:
        """By decisions themselves, of log-odds (n,), to (violations,)."""
        return self._of((scores >= 0).to(torch.float64), scores)

    def _of(self, decision: Tensor, scores: Tensor) -> Tensor:
        positive = torch.zeros_like(self._known).index_add(0, self._cell, self._rows.weights * decision)
        counts = torch.stack([self._known - positive, positive], 1).reshape(self._rows.groups, 2, 2)[self._part]
        return torch.cat([of_decisions(each, counts) if each.strata else self._of_scores(scores) for each in self._constraints])

    def _of_scores(self, scores: Tensor) -> Tensor:
        """Of calibration, (groups that take part · knots,)."""
        p = scores.sigmoid()
        above = torch.searchsorted(self._knots, p.detach()).clamp(1, len(self._knots) - 1) if len(self._knots) > 1 else None
        error = self._rows.weights * (self._rows.outcome - p)
        size = torch.zeros(self._rows.groups, dtype=torch.float64).index_add_(0, self._rows.group, self._rows.weights)
        total = torch.zeros(self._rows.groups * len(self._knots), dtype=torch.float64)
        place = self._rows.group * len(self._knots)
        if above is None:
            total = total.index_add(0, place, error)
        else:
            low, high = self._knots[above - 1], self._knots[above]
            share = ((p - low) / (high - low)).clamp(0, 1)
            total = total.index_add(0, place + above, error * share).index_add(0, place + above - 1, error * (1 - share))
        return (total.reshape(self._rows.groups, -1) / size.unsqueeze(1))[self._part].flatten()


@dataclass(frozen=True, slots=True, eq=False)
class Charge:
    """What is added to a loss: a function of soft violations.

    Args:
        violations: of all people.
        temperature: of soft decisions.
        weigh: of violations (m,), to ().
    """

    violations: Violations
    temperature: float
    weigh: Callable[[Tensor], Tensor]

    def __call__(self, scores: Tensor) -> Tensor:
        """By log-odds (n,), to ()."""
        return self.weigh(self.violations.soft(scores, self.temperature))


def of_decisions(constraint: Constraint, counts: Tensor) -> Tensor:
    """c_sg by counts (groups, 2, 2), shape (strata · groups,); 0 where a group has nobody to whom the rate applies."""
    successes, trials = constraint.tally(counts)
    together = successes.sum(-1, keepdim=True) / trials.sum(-1, keepdim=True).clamp(min=1e-12)
    apart: Tensor = torch.where(trials > 0, successes / trials.clamp(min=1e-12) - together, 0.0)
    return apart.flatten()


def among_decided(constraint: Constraint) -> bool:
    """Whether its rates are of people whom the decisions choose, rather than of people known before."""
    if not constraint.strata:
        return False
    nobody, everybody = torch.tensor([[[2.0, 0.0], [1.0, 0.0]]]), torch.tensor([[[0.0, 2.0], [0.0, 1.0]]])
    return not torch.equal(constraint.tally(nobody)[1], constraint.tally(everybody)[1])


def temperatures_for(constraints: Sequence[Constraint]) -> tuple[float, ...]:
    """Of soft decisions, stage by stage, each of which starts where the one before it ended."""
    return SHARP if any(map(among_decided, constraints)) else GENTLE


def _deciles(values: Tensor, weights: Tensor) -> Tensor:
    """Halfway between those two of the values (n,) where the middle of each of KNOTS parts of equal weight lies; each once."""
    known, place = values[weights > 0].unique(return_inverse=True)
    reached = torch.zeros_like(known).index_add_(0, place, weights[weights > 0]).cumsum(0)
    inside = (torch.arange(KNOTS, dtype=torch.float64) + 0.5) / KNOTS * reached[-1]
    place = torch.searchsorted(reached, inside).clamp(max=len(known) - 1)
    knots: Tensor = ((known[place] + known[(place + 1).clamp(max=len(known) - 1)]) / 2).unique()
    return knots
