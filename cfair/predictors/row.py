"""Predictors that are functions of the row: a head on some of its columns."""

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from torch import Tensor

from cfair.access import guard, sees
from cfair.heads.base import Head
from cfair.interfaces import Values, World, Worlds
from cfair.predictors.features import Batches, features, head_of, in_every_draw, observed_features
from cfair.scm import SCM

__all__ = ["Constant", "Full", "NonDescendants", "Unaware"]


class _FromRow(ABC):
    """A head on the columns that ``cfair.access`` grants to ``name``.

    Args:
        scm: whose graph decides what may be seen.
        head: a name in HEADS, or "auto" by the outcome's kind.
        features: some of the columns that may be seen; all if None.

    Raises:
        LeakageError: ``features`` has a column that this predictor must not see.
    """

    name: ClassVar[str]
    invariant_in: ClassVar[Literal["declared", "own"] | None]
    function_of_row: ClassVar[bool] = True

    def __init__(self, scm: SCM, *, head: str = "auto", features: Sequence[str] | None = None) -> None:
        self.scm = scm
        self.sees = sees(scm.spec, self.name) if features is None else guard(scm.spec, self.name, features)
        self.needs = self.sees
        self.fitted = head_of(scm.spec, head, self.sees)

    @property
    def classes(self) -> tuple[str, ...]:
        """The levels of which it gives probabilities; none where a prediction is one number."""
        return self.scm.spec.classes

    @property
    def span(self) -> tuple[float, float]:
        """As of its head."""
        return self.fitted.span

    @property
    def monotone(self) -> bool:
        """As of its head, which reads numbers as they are."""
        return self.fitted.monotone

    def fit(self, worlds: Worlds, outcome: Tensor, *, weights: Tensor | None = None) -> Self:
        """Learn the head from people, whole or in blocks, their outcomes, (n,), and their weights, (n,), if they have any."""
        self.fitted.fit(Batches(worlds, outcome, self.seen, weights=weights))
        return self

    @property
    def head(self) -> Head:
        """What makes predictions of what it sees."""
        return self.fitted

    def seen(self, world: World) -> Tensor:
        """What the head reads of a world, shape (draws or 1, n, k)."""
        return observed_features(self.scm.spec, self.sees, world)

    def predict(self, world: World) -> Tensor:
        """Predictions (draws, n), or (draws, n, classes)."""
        return in_every_draw(self.fitted.predict(self.seen(world)), world)

    def deploy(self, columns: Values, n: int) -> Tensor:
        """Predictions (n,) of rows, or (n, classes)."""
        return self.fitted.predict(features(self.scm.spec, self.sees, columns, (n,)))


class Constant(_FromRow):
    """The mean outcome, or the shares of its levels, weighted where people are: sees nothing."""

    name = "constant"
    invariant_in = "declared"


class Full(_FromRow):
    """Sees every observed node but the outcome and its descendants."""

    name = "full"
    invariant_in = None


class Unaware(_FromRow):
    """Sees what ``full`` sees but the protected attributes: their descendants still carry them."""

    name = "unaware"
    invariant_in = None


class NonDescendants(_FromRow):
    """Sees the observed nodes that descend from no protected attribute (Kusner et al. 2017, level 1; counterfactually fair by Lemma 1)."""

    name = "nondescendants"
    invariant_in = "declared"
