"""People who are compared, and the ways in which they are divided into groups."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Division", "People"]


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """One way to divide people into groups: by an attribute, or by several at once.

    Args:
        attribute: its name in a report, ``race`` or ``race x sex``.
        names: of its groups, as ``Black`` or ``Black, female``.
        member: each person's group, shape (n,), int64.
    """

    attribute: str
    names: tuple[str, ...]
    member: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Some people, and what is predicted of them.

    Args:
        y: their outcomes, shape (n,).
        predictions: predictor -> its deployed predictions, (n,), or probabilities of the outcome's several levels, (n, levels).
        weights: above 0, shape (n,); None: all weigh the same.
    """

    y: Tensor
    predictions: Mapping[str, Tensor]
    weights: Tensor | None = None

    def take(self, some: Tensor) -> "People":
        """Some of them only, by a mask of shape (n,), bool."""
        predictions = {name: y_hat[some] for name, y_hat in self.predictions.items()}
        return People(self.y[some], predictions, None if self.weights is None else self.weights[some])
