"""A distribution of people in a row, seen in another shape of as many."""

from collections.abc import Sequence
from math import prod
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint

__all__ = ["Reshaped"]


class Reshaped(Distribution):
    """``base``, of a batch shape whose sizes multiply to as many as those of ``shape``, with batch shape ``shape``, row by row."""

    arg_constraints: ClassVar = {}

    def __init__(self, base: Distribution, shape: Sequence[int], validate_args: bool | None = None) -> None:
        self.base = base
        super().__init__(torch.Size(shape), validate_args=False)

    @property
    def support(self) -> Constraint | None:
        """That of the base."""
        return self.base.support

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> "Reshaped":
        """The same distribution over a larger batch: draws before the people, or one person's for many."""
        new = tuple(batch_shape)
        if self.batch_shape.numel() == 1:
            alone = self.base if tuple(self.base.batch_shape) == (1,) else Reshaped(self.base, (1,))
            return Reshaped(self.base.expand((prod(new),)) if alone is self.base else alone.expand((prod(new),)), new)
        lead = new[: len(new) - len(self.batch_shape)]
        if new[len(lead) :] != tuple(self.batch_shape):
            raise NotImplementedError(f"{tuple(self.batch_shape)} people cannot become {new}")
        return Reshaped(self.base.expand((prod(lead), *self.base.batch_shape)), new)

    def read(self, name: str) -> Tensor:
        """A parameter of the base, of shape ``batch_shape``."""
        value: Tensor = getattr(self.base, name)
        return value.expand(self.base.batch_shape).reshape(self.batch_shape)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws, shape sample_shape + batch_shape, float64."""
        drawn = self.base.sample(torch.Size(sample_shape))
        return drawn.reshape(*sample_shape, *self.batch_shape).to(torch.float64)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, shape (..., *batch_shape)."""
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        lead = shape[: len(shape) - len(self.batch_shape)]
        if shape[len(lead) :] != self.batch_shape:  # one person's density at many values
            return self.expand(shape).log_prob(value)
        found = self.base.log_prob(value.expand(shape).reshape(*lead, *self.base.batch_shape))
        return found.reshape(shape)

    @property
    def mean(self) -> Tensor:
        """The base's."""
        return self.base.mean.reshape(self.batch_shape)

    @property
    def variance(self) -> Tensor:
        """The base's."""
        return self.base.variance.reshape(self.batch_shape)
