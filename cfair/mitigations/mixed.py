"""A head that is a lottery among linear classifiers."""

from collections.abc import Mapping
from typing import ClassVar, NoReturn, Self

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.families import Kind
from cfair.heads.base import Batches, Head
from cfair.mitigations.lots import lots

__all__ = ["Mixed"]


class Mixed(Head):
    """ŷ = σ(s_i), s_i = b_i + Σ_j w_ij·x_j the score of the classifier i that serves a person: each does with probability q_i.

    Which one serves a person is told by a number between 0 and 1 that is a hash of the seed and of that person's features: it is the same
    in any batch and beside anybody, people of equal features are served by the same, and a person with other features, in another world
    too, draws anew. ŷ is no probability of the outcome. ``expected`` is the probability of a decision of 1 over all seeds: what a
    reduction promises, it promises of that.

    Args:
        inputs: number of features k.
        members: classifiers m.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary"})
    intercepts: Tensor  # b, (m,)
    coefficients: Tensor  # w, in the features' own units, (m, k)
    weights: Tensor  # q, summing to 1, (m,)
    seed: Tensor  # of the draws, ()

    def __init__(self, inputs: int, members: int) -> None:
        super().__init__(inputs)
        self.members = members
        self.register_buffer("intercepts", torch.full((members,), torch.nan, dtype=torch.float64))  # until they are held
        self.register_buffer("coefficients", torch.zeros(members, inputs, dtype=torch.float64))
        self.register_buffer("weights", torch.full((members,), 1 / members, dtype=torch.float64))
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))

    @classmethod
    def shaped(cls, state: Mapping[str, Tensor]) -> Self:
        """An empty head of the shape of a ``state_dict``."""
        members, inputs = state["coefficients"].shape
        return cls(inputs, members)

    def hold(self, intercepts: Tensor, coefficients: Tensor, weights: Tensor, seed: int) -> Self:
        """Keep classifiers, (m,) and (m, k), and the share of people whom each serves, (m,)."""
        self.intercepts.copy_(intercepts)
        self.coefficients.copy_(coefficients)
        self.weights.copy_(weights)
        self.seed.fill_(seed)
        return self

    def fit(self, batches: Batches) -> NoReturn:
        """Refuse: batches do not say who is in which group.

        Raises:
            QueryError: always.
        """
        raise QueryError("head", "a lottery among classifiers is learned by a reduction, with the groups", "train it by the mitigation")

    @property
    def span(self) -> tuple[float, float]:
        """Of sigmoids."""
        return 0.0, 1.0

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to numbers (...) that are at least ½ where the classifier that serves a person decides 1."""
        return self.score(features).sigmoid()

    def score(self, features: Tensor) -> Tensor:
        """The score of features (..., k) by the classifier that serves each person, shape (...)."""
        reached = self.weights.cumsum(0)[:-1]  # and the last where rounding leaves less than 1
        place = (lots(features, int(self.seed)).unsqueeze(-1) >= reached).sum(-1)
        return self._scores(features).gather(-1, place.unsqueeze(-1)).squeeze(-1)

    def expected(self, features: Tensor) -> Tensor:
        """The probability of a decision of 1 over all seeds, of features (..., k), shape (...): Σ_i q_i·1[s_i ≥ 0]."""
        return (self.weights * (self._scores(features) >= 0)).sum(-1)

    def _scores(self, features: Tensor) -> Tensor:
        """By every classifier, (..., m); added up feature by feature, so that a person's are the same bits in any batch."""
        if self.intercepts.isnan().any():
            raise QueryError("head", "it has not been fitted", "train it by the mitigation")
        scores = self.intercepts.expand(*features.shape[:-1], self.members).clone()
        for feature, coefficients in zip(features.unbind(-1), self.coefficients.unbind(-1), strict=True):
            scores += feature.unsqueeze(-1) * coefficients
        return scores
