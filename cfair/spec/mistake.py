"""A mistake in a declaration that is well formed by itself."""

from typing import NamedTuple

from cfair.spec.places import Path

__all__ = ["ROUNDING", "Mistake"]

ROUNDING = 1e-6  # how far written probabilities may sum from 1


class Mistake(NamedTuple):
    """What is wrong at the end of a path of keys, and how to mend it."""

    path: Path
    problem: str
    mend: str
