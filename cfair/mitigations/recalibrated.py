"""A head whose probabilities go through a map of each group's own."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from cfair.families import Kind
from cfair.heads.base import Batches, Head
from cfair.heads.logistic import Logistic
from cfair.mitigations.deciding import group_of, without_group

__all__ = ["Recalibrated"]


class Recalibrated(Head):
    """p = q_g·m_g(s) + (1 − q_g)·σ(a_g + b_g·s): s are the log-odds of a head, m_g is a rising line of straight pieces, g is the group.

    A prediction is neither 0 nor 1 while q_g < 1, and grows with s where b_g > 0.

    Args:
        inputs: features of the head below, and one more, last, where there are several groups: the index of the group.
        groups: how many.
        knots: of each m_g, between which it is straight, and beyond which it is level.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary"})
    offset: Tensor  # a, (groups,)
    slope: Tensor  # b, (groups,)
    share: Tensor  # q, (groups,)
    at: Tensor  # where a knot is, in log-odds, ascending, (groups, knots); the last is repeated where a group has fewer
    value: Tensor  # of m there, (groups, knots)

    def __init__(self, inputs: int, groups: int, knots: int) -> None:
        super().__init__(inputs)
        self.groups, self.knots = groups, knots
        self.base = Logistic(inputs - (groups > 1))
        self.register_buffer("offset", torch.zeros(groups, dtype=torch.float64))
        self.register_buffer("slope", torch.ones(groups, dtype=torch.float64))
        self.register_buffer("share", torch.zeros(groups, dtype=torch.float64))
        self.register_buffer("at", torch.zeros(groups, knots, dtype=torch.float64))
        self.register_buffer("value", torch.zeros(groups, knots, dtype=torch.float64))

    @classmethod
    def shaped(cls, state: Mapping[str, Tensor]) -> Self:
        """An empty head of the shape of a ``state_dict``."""
        groups, knots = state["at"].shape
        return cls(len(state["base.coefficients"]) + (groups > 1), groups, knots)

    def fit(self, batches: Batches) -> Self:
        """Learn the log-odds anew, and keep the maps.

        Raises:
            FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome is the same.
        """
        self.base.fit(without_group(batches, self.base.inputs))
        return self

    @property
    def span(self) -> tuple[float, float]:
        """Of probabilities."""
        return 0.0, 1.0

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., inputs) to probabilities of the second level (...)."""
        group, score = group_of(features, self.groups), self.base.score(features[..., : self.base.inputs])
        platt = (self.offset[group] + self.slope[group] * score).sigmoid()
        return torch.lerp(platt, self._line(score, group), self.share[group])

    def score(self, features: Tensor) -> Tensor:
        """The log-odds of ``predict``, (...)."""
        return self.predict(features).logit()

    def _line(self, score: Tensor, group: Tensor) -> Tensor:
        """m_g(s), (...): between two knots as far up as along."""
        value = torch.zeros_like(score)
        for g in range(self.groups):
            own = group == g
            s = score[own]
            above = torch.searchsorted(self.at[g], s).clamp(1, self.knots - 1)
            low, high = self.at[g, above - 1], self.at[g, above]
            along = ((s - low) / (high - low).where(high > low, 1.0)).clamp(0, 1).where(high > low, 1.0)
            value[own] = torch.lerp(self.value[g, above - 1], self.value[g, above], along)
        return value
