"""A model from elsewhere as something to call: what it is, which columns it names, and what its answers mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import pandas as pd

from cfair.errors import QueryError

__all__ = ["External", "Model", "Source", "source_of"]


@runtime_checkable
class _Predicts(Protocol):
    """A fitted estimator in the manner of scikit-learn."""

    def predict(self, x: pd.DataFrame) -> object: ...


@runtime_checkable
class _Probabilities(Protocol):
    """A classifier that gives a probability for each of its classes."""

    @property
    def classes_(self) -> Sequence[object]: ...

    def predict_proba(self, x: pd.DataFrame) -> object: ...


@runtime_checkable
class _NamesColumns(Protocol):
    """An estimator that was fitted on a DataFrame."""

    @property
    def feature_names_in_(self) -> Sequence[object]: ...


@runtime_checkable
class _CountsColumns(Protocol):
    """An estimator that was fitted on an array."""

    @property
    def n_features_in_(self) -> int: ...


Model: TypeAlias = Callable[[pd.DataFrame], object] | _Predicts


@dataclass(frozen=True, slots=True)
class External:
    """A model from elsewhere, with what it cannot say of itself.

    Args:
        model: a function of a DataFrame, or a fitted estimator in the manner of scikit-learn.
        output: ``score`` for numbers in a unit of their own; ``auto`` takes numbers for predictions in the outcome's unit, of a binary
            outcome for probabilities of its second level where all are between 0 and 1, and for a score otherwise.
    """

    model: object
    output: Literal["auto", "score"] = "auto"

    def __post_init__(self) -> None:
        if self.output not in ("auto", "score"):
            raise QueryError("output", f"'{self.output}' is not a kind of output", "use 'auto' or 'score'")


@dataclass(frozen=True, slots=True)
class Source:
    """A model as it is called.

    Args:
        call: from a DataFrame to its answers.
        what: it is, in words.
        needs: the columns that it names, in its order; None where it names none and is given all.
        classes: that the columns of its answers stand for, if it says.
    """

    call: Callable[[pd.DataFrame], object]
    what: str
    needs: tuple[str, ...] | None = None
    classes: tuple[object, ...] | None = None


def source_of(name: str, model: object) -> Source:
    """How a model is called: an estimator's ``predict_proba`` if it has one, else its ``predict``; a function as it is.

    Raises:
        QueryError: it is neither, or an estimator that does not know its columns by name.
    """
    if isinstance(model, _Predicts):
        what = f"{type(model).__module__.partition('.')[0]} {type(model).__name__}"
        needs = _named(name, model)
        if isinstance(model, _Probabilities):
            return Source(model.predict_proba, what, needs, tuple(model.classes_))
        return Source(model.predict, what, needs)
    if isinstance(model, type) or not callable(model):
        problem = f"a {type(model).__name__} is neither a function of a DataFrame nor a fitted estimator"
        raise QueryError(f"model '{name}'", problem, "give a function of a DataFrame, or a fitted scikit-learn estimator or pipeline")
    return Source(model, f"function {getattr(model, '__qualname__', type(model).__name__)}")


def _named(name: str, model: object) -> tuple[str, ...] | None:
    """The columns that an estimator was fitted on, if it says."""
    if isinstance(model, _NamesColumns):
        return tuple(map(str, model.feature_names_in_))
    if isinstance(model, _CountsColumns):
        problem = f"it was fitted on an array of {model.n_features_in_} columns without names, so that nobody knows which they are"
        mend = "fit it on a DataFrame, or give a function that makes the array of a DataFrame's columns"
        raise QueryError(f"model '{name}'", problem, mend)
    return None
