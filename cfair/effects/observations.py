"""People's rows as an analysis of effects without a model of mechanisms reads them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cfair.effects.regressions import Floats
from cfair.errors import DataError
from cfair.weights import check_weights

__all__ = ["FROM", "OTHER", "TO", "Observations", "observations"]

FROM, TO, OTHER = 0, 1, -1  # codes of the attribute's levels: x0, x1, and every other


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """One row per person.

    Args:
        x: the attribute, shape (n,): 0 where it is x0, 1 where it is x1, -1 where it is another level.
        z: the confounders, shape (n, k).
        w: the mediators, shape (n, m).
        y: the outcome, shape (n,).
        weights: how many people each stands for, shape (n,), with mean 1.
        weighted: the weights above 0 are not all equal.
    """

    x: NDArray[np.int64]
    z: Floats
    w: Floats
    y: Floats
    weights: Floats
    weighted: bool

    @property
    def binary(self) -> bool:
        """The outcome is 0 or 1 and nothing else."""
        return bool(np.isin(self.y, (0.0, 1.0)).all())

    def take(self, rows: NDArray[np.int64]) -> Self:
        """These rows, in this order."""
        return type(self)(self.x[rows], self.z[rows], self.w[rows], self.y[rows], self.weights[rows], self.weighted)

    def order(self) -> NDArray[np.int64]:
        """Places of the rows of weight above 0, in the order of what they say: nothing then hangs on the order in which they came."""
        columns = np.column_stack([self.weights, self.w, self.z, self.y, self.x])
        places = np.lexsort(columns.T).astype(np.int64)
        return places[self.weights[places] > 0]


def observations(x: ArrayLike, z: ArrayLike, w: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Observations:
    """The rows of n people, from arrays or tensors.

    Args:
        x: 0 for x0, 1 for x1, -1 for every other level, shape (n,).
        z: confounders as numbers (levels as indicators), shape (n, k) or (n,); k may be 0.
        w: mediators likewise, shape (n, m) or (n,).
        y: outcome, shape (n,).
        weights: how many people each stands for, shape (n,).

    Raises:
        DataError: the shapes do not fit, a value is missing or infinite, or x has another value, or lacks 0 or 1.
        QueryError: the weights are no weights.
    """
    level, outcome = np.asarray(x), np.asarray(y, dtype=np.float64)
    if level.ndim != 1 or not np.isin(level, (FROM, TO, OTHER)).all():
        raise DataError("x", "the attribute is no single column of 0, 1 and -1", "code x0 as 0, x1 as 1 and every other level as -1")
    confounders, mediators = _columns("z", z, len(level)), _columns("w", w, len(level))
    if outcome.shape != level.shape or not np.isfinite(outcome).all():
        raise DataError("y", "the outcome is no column of finite numbers, one per row of x", "leave out rows without an outcome")
    people = np.ones(len(level)) if weights is None else np.asarray(weights, dtype=np.float64)
    check_weights(torch.as_tensor(people), len(level))
    for code, name in ((FROM, "x0"), (TO, "x1")):
        if not people[level == code].any():
            raise DataError("x", f"nobody has the level {name}, code {code}", "compare two levels that the rows have")
    weighted = bool(np.ptp(people[people > 0]) > 0)
    return Observations(level.astype(np.int64), confounders, mediators, outcome, people / people.mean(), weighted)


def _columns(name: str, values: ArrayLike, people: int) -> Floats:
    """As a matrix of shape (people, columns).

    Raises:
        DataError: it is none, or holds what is no finite number.
    """
    given = np.asarray(values, dtype=np.float64)
    matrix = given[:, None] if given.ndim == 1 else given
    if matrix.ndim != 2 or len(matrix) != people:
        raise DataError(name, f"shape {given.shape} for {people} rows of x", f"give an array of shape ({people}, columns)")
    if not np.isfinite(matrix).all():
        raise DataError(name, "a value is missing or infinite", "leave out its row, or fill it in")
    return matrix
