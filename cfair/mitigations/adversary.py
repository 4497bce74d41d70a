"""An adversary that guesses people's groups from their scores."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from cfair.constraints import Constraint
from cfair.constraints.tallies import Tally, false_positive_rate, selection_rate, true_positive_rate
from cfair.mitigations.base import Rows

__all__ = ["GIVEN", "Adversary"]

GIVEN: Mapping[Tally, Callable[[Tensor], Tensor]] = {  # of whom a rate speaks, by their outcomes (n,): 0 or 1, (n,)
    selection_rate: torch.ones_like,
    true_positive_rate: lambda outcome: outcome,
    false_positive_rate: lambda outcome: 1 - outcome,
}
HIDDEN = 8  # units: two groups' scores are told apart by one, and each more bends what is guessed once more
RATE, FADE, FADE_SQUARE, LEAST = 0.05, 0.9, 0.999, 1e-8  # of Adam; the paper's own but for the first, its step


class Adversary:
    """P(g | z) = softmax(V·tanh(A·z) + L·z): a guess of the group by one hidden layer, with a linear part beside it.

    z holds, for each stratum of a constraint, whether a person is in it and, if so, the score, in standard deviations of the first
    scores. So of demographic parity it sees the score, of equalized odds score and outcome, and of equal opportunity the scores of
    people with outcome 1, who alone count. Each group has the same weight in each stratum: small groups are guessed as eagerly.

    Args:
        rows: people.
        constraint: of strata in ``GIVEN``.
        part: which groups take part, shape (groups,), bool: the others are not guessed.
        scores: the first log-odds, (n,).
        source: of the first weights.
    """

    def __init__(self, rows: Rows, constraint: Constraint, *, part: Tensor, scores: Tensor, source: torch.Generator) -> None:
        self._strata = torch.stack([GIVEN[tally](rows.outcome) for tally in constraint.strata.values()], 1)
        self._group = (part.long().cumsum(0) - 1).clamp(min=0)[rows.group]
        self._known = one_hot(self._group, int(part.sum())).to(torch.float64)
        self._weights = _balanced(rows, self._strata, part)
        spread = float(_spread(scores, rows.weights))
        self._unit = spread if spread > 0 else 1.0  # of scores that are all the same, which tell nothing
        seen, groups = 2 * self._strata.shape[1], int(part.sum())
        self._shapes = ((seen, HIDDEN), (HIDDEN, groups), (seen, groups))  # of A, V and L
        first = torch.randn(seen, HIDDEN, generator=source, dtype=torch.float64)
        second = torch.randn(HIDDEN, groups, generator=source, dtype=torch.float64) / HIDDEN
        self._learned = torch.cat([first.flatten(), second.flatten(), torch.zeros(seen * groups, dtype=torch.float64)])
        self._mean, self._square, self._steps = torch.zeros_like(self._learned), torch.zeros_like(self._learned), 0

    def loss(self, scores: Tensor, some: Tensor) -> Tensor:
        """Mean cross-entropy of guesses, shape (), over some people, (m,), by their scores, (m,); of a batch it is its part of the sum."""
        inner, outer, straight = self._matrices()
        seen = self._seen(scores, some)
        guesses = (seen @ inner).tanh() @ outer + seen @ straight
        return self._weights[some] @ cross_entropy(guesses, self._group[some], reduction="none")

    def learn(self, scores: Tensor, some: Tensor, *, steps: int, share: float) -> Tensor:
        """Steps of Adam against the scores (m,) of some people, a share of all; the slope of the loss by these at the last step, (m,).

        Source: Kingma & Ba (2015), Adam: a method for stochastic optimization, algorithm 1.
        """
        seen = self._seen(scores, some)
        for _ in range(steps):
            by_learned, by_scores = self._slopes(seen, some)
            self._move(by_learned / share)
        return by_scores / share

    def _slopes(self, seen: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
        """Of the loss, by what is learned, in one row, and by scores, (m,): backpropagation through the one hidden layer."""
        inner, outer, straight = self._matrices()
        hidden = (seen @ inner).tanh()
        by_guess = (hidden @ outer + seen @ straight).softmax(1)
        by_guess = (by_guess - self._known[some]) * self._weights[some].unsqueeze(1)
        by_hidden = by_guess @ outer.T * (1 - hidden.square())
        by_learned = torch.cat([(seen.T @ by_hidden).flatten(), (hidden.T @ by_guess).flatten(), (seen.T @ by_guess).flatten()])
        strata = self._strata[some]
        s = strata.shape[1]
        by_seen = by_guess @ straight[:s].T + by_hidden @ inner[:s].T  # of z, what depends on the scores
        return by_learned, (by_seen * strata).sum(1) / self._unit

    def _seen(self, scores: Tensor, some: Tensor) -> Tensor:
        """The z of some people, (m, 2·strata)."""
        strata = self._strata[some]
        return torch.cat([strata * (scores / self._unit).unsqueeze(1), strata], 1)

    def _matrices(self) -> list[Tensor]:
        parts = self._learned.split([rows * columns for rows, columns in self._shapes])
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def _move(self, slope: Tensor) -> None:
        self._steps += 1
        self._mean.lerp_(slope, 1 - FADE)
        self._square.lerp_(slope.square(), 1 - FADE_SQUARE)
        size = (self._square / (1 - FADE_SQUARE**self._steps)).sqrt() + LEAST
        self._learned -= RATE * self._mean / (1 - FADE**self._steps) / size


def _spread(values: Tensor, weights: Tensor) -> Tensor:
    """The standard deviation of values (n,), shape ()."""
    shares = weights / weights.sum()
    return (shares @ (values - shares @ values).square()).sqrt()


def _balanced(rows: Rows, strata: Tensor, part: Tensor) -> Tensor:
    """Weights (n,) that add up to 1, of people in strata (n, s): the same in each stratum of each group that takes part, else 0."""
    own = rows.weights.unsqueeze(1) * strata * part[rows.group].unsqueeze(1)
    total = torch.zeros(rows.groups, strata.shape[1], dtype=torch.float64).index_add_(0, rows.group, own)
    shares = own / total[rows.group].where(total[rows.group] > 0, 1.0)
    return shares.sum(1) / (part.sum() * strata.shape[1])
