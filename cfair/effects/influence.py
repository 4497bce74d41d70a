"""An estimate with each person's influence on it, so that any two from the same people can be compared."""

from dataclasses import dataclass
from math import fsum, sqrt
from statistics import NormalDist
from typing import Self

import numpy as np

from cfair.effects.records import Estimate
from cfair.effects.regressions import Floats

__all__ = ["Effect"]

QUANTILE = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """An estimate, and how much each person moves it.

    Args:
        value: in the outcome's unit.
        influence: of each person, shape (n,), with mean 0; 0 for a person of weight 0.
    """

    value: float
    influence: Floats

    def __sub__(self, other: Self) -> "Effect":
        """The difference of two estimates from the same people."""
        return Effect(self.value - other.value, self.influence - other.influence)

    @property
    def standard_error(self) -> float:
        """√Σ influence² / n, of the exact sum: it does not hang on the order of the people."""
        return sqrt(fsum(np.square(self.influence))) / len(self.influence)

    def estimate(self) -> Estimate:
        """The value with its 95 % interval, value ± 1.96 standard errors."""
        half = QUANTILE * self.standard_error
        return Estimate(self.value, self.value - half, self.value + half)
