"""A head whose decisions are made by thresholds, one or a lottery among several for each group."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.families import Kind
from cfair.heads.base import Batches, Head
from cfair.heads.logistic import Logistic
from cfair.mitigations.lots import lots

__all__ = ["MOST", "Decider", "group_of", "without_group"]

MOST = 3  # thresholds of a group: any point within its ROC curve's hull is a mixture of so many vertices (Carathéodory)


class Decider(Head):
    """ŷ = σ(s(x) − t), so that a decision is 1 from ŷ = ½, that is from s(x) = t, on: s are the log-odds of a head, t is the group's.

    ŷ orders the people of a group as before, but is no probability of their outcome. A group whose decisions are drawn has up to three
    thresholds t_j with shares q_j: a person's is t_j with probability q_j, by a number between 0 and 1 that is a hash of the seed and of
    that person's features but the group. So it is the same number in any batch and beside anybody, people of equal features draw the
    same, and a person with other features, in another world too, draws anew. ``expected`` is the probability of a decision of 1 over all
    seeds: what is exact of a mixture is exact of that.

    Args:
        inputs: features of the head below, and one more, last, where there are several groups: the index of the group.
        groups: 1 for one threshold that serves everybody.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary"})
    thresholds: Tensor  # in log-odds, ascending, (groups, MOST)
    shares: Tensor  # summing to 1, (groups, MOST)
    seed: Tensor  # of the draws, ()

    def __init__(self, inputs: int, groups: int) -> None:
        super().__init__(inputs)
        self.groups = groups
        self.base = Logistic(inputs - (groups > 1))
        self.register_buffer("thresholds", torch.zeros(groups, MOST, dtype=torch.float64))
        self.register_buffer("shares", torch.eye(1, MOST, dtype=torch.float64).repeat(groups, 1))
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))

    @classmethod
    def shaped(cls, state: Mapping[str, Tensor]) -> Self:
        """An empty head of the shape of a ``state_dict``."""
        groups = len(state["thresholds"])
        return cls(len(state["base.coefficients"]) + (groups > 1), groups)

    def hold(self, base: Logistic, thresholds: Tensor, shares: Tensor, seed: int) -> Self:
        """Keep a fitted head, and thresholds and their shares, both (groups, MOST)."""
        self.base.load_state_dict(base.state_dict())
        self.thresholds.copy_(thresholds)
        self.shares.copy_(shares)
        self.seed.fill_(seed)
        return self

    def fit(self, batches: Batches) -> Self:
        """Learn the log-odds anew, and keep the thresholds.

        Raises:
            FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome is the same.
        """
        self.base.fit(without_group(batches, self.base.inputs))
        return self

    @property
    def span(self) -> tuple[float, float]:
        """Of sigmoids."""
        return 0.0, 1.0

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., inputs) to numbers (...) that are ½ at the threshold of each person."""
        return self.score(features).sigmoid()

    def score(self, features: Tensor) -> Tensor:
        """How far above the threshold the log-odds of features (..., inputs) are, shape (...)."""
        group, upto = self._group(features), self.shares.cumsum(-1)
        if not (self.shares[:, 0] < 1).any():
            return self.base.score(self._seen(features)) - self.thresholds[group, 0]
        drawn = lots(self._seen(features), int(self.seed)).unsqueeze(-1)
        place = (drawn >= upto[group][..., :-1]).sum(-1)  # the last where rounding leaves less than 1
        return self.base.score(self._seen(features)) - self.thresholds[group].gather(-1, place.unsqueeze(-1)).squeeze(-1)

    def expected(self, features: Tensor) -> Tensor:
        """The probability of a decision of 1 over all seeds, of features (..., inputs), shape (...): Σ_j q_j·1[s ≥ t_j]."""
        group, score = self._group(features), self.base.score(self._seen(features)).unsqueeze(-1)
        return (self.shares[group] * (score >= self.thresholds[group])).sum(-1)

    def _seen(self, features: Tensor) -> Tensor:
        return features[..., : self.base.inputs]

    def _group(self, features: Tensor) -> Tensor:
        return group_of(features, self.groups)


def group_of(features: Tensor, groups: int) -> Tensor:
    """The last of features (..., inputs) as the index of a group, (...), int64; 0 where there is but one.

    Raises:
        QueryError: there is no such group.
    """
    if groups == 1:
        return torch.zeros(features.shape[:-1], dtype=torch.int64)
    group = features[..., -1]
    if not ((group >= 0) & (group < groups) & (group == group.floor())).all():
        raise QueryError("group", f"a group is not among 0 to {groups - 1}", "give the index of a group that was trained on, last")
    return group.long()


def without_group(batches: Batches, inputs: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The first so many features of each batch, its outcomes and its weights, 1 where none are given."""
    return [(x[..., :inputs], y, given[0] if given else torch.ones_like(y)) for x, y, *given in batches]
