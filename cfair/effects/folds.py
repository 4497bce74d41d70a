"""How nuisances are learned from people of other folds than those for whom they are used."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfair.effects.learners import Learners
from cfair.effects.observations import FROM, TO, Observations
from cfair.errors import QueryError

__all__ = ["LEVELS", "CrossFitting", "split"]

LEVELS = (FROM, TO)


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossFitting:
    """How nuisances are learned.

    Args:
        learners: see ``learners_for``.
        folds: parts of the rows; each part's nuisances are learned from the others.
        trim: a propensity below this share of its level's own frequency is raised to it, so no person weighs more than 1/trim times
            what one of an independent level would. 0.02 at equal frequencies is the usual 0.01.
        most_trimmed: share of the people, at most, whose propensities may be raised.
        seed: of the folds.

    Raises:
        QueryError: a number is out of its range.
    """

    learners: Learners
    folds: int = 5
    trim: float = 0.02
    most_trimmed: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise QueryError("folds", f"{self.folds} folds leave nobody to learn from", "use 5")
        if not 0 < self.trim < 1:
            raise QueryError("trim", f"{self.trim} is not in (0, 1)", "use 0.02")
        if not 0 <= self.most_trimmed <= 1:
            raise QueryError("most_trimmed", f"{self.most_trimmed} is not in [0, 1]", "use 0.1")


def split(rows: Observations, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row, shape (n,): at random, with equal shares of each level, and of each binary outcome within it, in every fold.

    Raises:
        QueryError: one of these groups is smaller than the number of folds.
    """
    strata = np.stack([rows.x, rows.y.astype(np.int64) if rows.binary else np.zeros_like(rows.x)], axis=1)
    generator, fold, placed = np.random.default_rng(seed), np.empty(len(rows.x), dtype=np.int64), 0
    for level, outcome in np.unique(strata, axis=0):
        members = generator.permutation(np.flatnonzero((strata == (level, outcome)).all(axis=1)))
        fold[members] = (placed + np.arange(len(members))) % folds
        placed += len(members)
    for level in LEVELS:
        for outcome in (0, 1) if rows.binary else (0,):
            _check_stratum(int((strata == (level, outcome)).all(axis=1).sum()), level, outcome if rows.binary else None, folds)
    return fold


def _check_stratum(people: int, level: int, outcome: int | None, folds: int) -> None:
    """Refuse what cannot be in every fold.

    Raises:
        QueryError: fewer people than folds.
    """
    if people < folds:
        who = f"level x{level}" + ("" if outcome is None else f" with the outcome {outcome}")
        raise QueryError("folds", f"{people} rows of {who} for {folds} folds", "use fewer folds, or levels of which there are more rows")
