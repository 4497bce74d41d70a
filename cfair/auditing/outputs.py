"""What a model from elsewhere answered, read as numbers: predictions, probabilities of classes, or a score."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfair.errors import CodeError, QueryError
from cfair.spec import NodeSpec, level_text

__all__ = ["Answer", "OutputKind", "check_values", "read_answer"]

OutputKind: TypeAlias = Literal["prediction", "probability", "classes", "score"]

SUM = 1e-6  # how far a row's class probabilities may be from adding up to 1: what float32 leaves
EDGE = 1e-9  # how far outside of [0, 1] rounding may put a probability
MANY = 5  # rows that a message names


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a model said of n rows.

    Args:
        values: shape (n,), or (n, classes).
        classes: names of the classes; empty where each row got one number.
        note: how it was read, where the model did not say.
        labels: whether it said levels of the outcome, not numbers.
    """

    values: Tensor
    classes: tuple[str, ...] = ()
    note: str = ""
    labels: bool = False

    def taken(self, rows: Tensor) -> "Answer":
        """What it said of some rows, given by mask, (n,), bool."""
        return replace(self, values=self.values[rows])


def read_answer(
    answer: object, n: int, outcome: NodeSpec, *, where: str, classes: Sequence[object] | None = None, labels: bool | None = None
) -> Answer:
    """The numbers in what a model returned for n rows.

    One number per row is taken as it is. Levels of the outcome, by their text, become its probability: 0 or 1. Probabilities of classes
    become that of the second level of a binary outcome, and else stay one column per class, in the order of the outcome's levels where
    they are these.

    Args:
        answer: an array, tensor, list, Series or DataFrame.
        n: rows that were given.
        outcome: whose levels the model may speak of.
        where: the model, for messages.
        classes: that its columns stand for, if it says.
        labels: whether each row's answer is a level; None: if all are, and no fractions.

    Raises:
        CodeError: it has another shape, is no number, or not finite; or a row's class probabilities do not add up to 1.
        QueryError: classes are not the outcome's levels.
    """
    if isinstance(answer, pd.DataFrame):
        classes = list(answer.columns) if len(answer.columns) > 1 else classes
    array = np.asarray(answer.detach().cpu() if isinstance(answer, Tensor) else answer)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape[:1] != (n,) or array.ndim > 2:
        problem = f"it returned {_shape(array)} for {n} row{'s' if n != 1 else ''}"
        raise CodeError(where, problem, "return one number per row, or one row of class probabilities")
    if array.ndim == 2:
        return _of_classes(_numbers(array, where), outcome, where, classes)
    if labels or (labels is None and array.dtype.kind != "f" and outcome.discrete):
        found = _labels(array, outcome)
        if labels and found is None:
            problem = "some of its answers are levels of the outcome, and others are not"
            raise CodeError(where, problem, "return levels for every row, or numbers for every row")
        if found is not None:
            return found
    return Answer(torch.from_numpy(check_values(_numbers(array, where), where)))


def check_values(values: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """The values as they are.

    Raises:
        CodeError: some are not finite.
    """
    wrong = ~np.isfinite(values) if values.ndim == 1 else ~np.isfinite(values).all(1)
    if wrong.any():
        rows = ", ".join(map(str, np.flatnonzero(wrong)[:MANY].tolist()))
        more = f" and {wrong.sum() - MANY} more" if wrong.sum() > MANY else ""
        problem = f"it returned NaN or infinity for {wrong.sum()} of {len(values)} rows (of those given, {rows}{more})"
        raise CodeError(where, problem, "return a finite number for every row")
    return values


def _shape(array: NDArray[np.generic]) -> str:
    return "one value" if array.ndim == 0 else f"an array of shape {array.shape}"


def _numbers(array: NDArray[np.generic], where: str) -> NDArray[np.float64]:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        wrong = next(each for each in array.reshape(-1).tolist() if not _is_number(each))
        problem = f"it returned {wrong!r}, which is neither a number nor a level of the outcome"
        raise CodeError(where, problem, "return numbers, or the outcome's levels as the table writes them") from None


def _is_number(answer: object) -> bool:
    try:
        float(answer)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _labels(array: NDArray[np.generic], outcome: NodeSpec) -> Answer | None:
    """The probabilities, 0 or 1, that levels stand for; None where not all are levels."""
    codes, distinct = pd.factorize(pd.Series(array.tolist(), dtype=object), use_na_sentinel=True)
    places = _places([level_text(value) for value in distinct], outcome)
    if places is None or (codes < 0).any():
        return None
    levels = torch.tensor(places)[torch.from_numpy(codes)]
    if len(outcome.levels) == 2:
        return Answer(levels.double(), labels=True)
    return Answer(torch.nn.functional.one_hot(levels, len(outcome.levels)).double(), outcome.levels, labels=True)


def _places(names: Sequence[str], outcome: NodeSpec) -> list[int] | None:
    """The level that each name is, by its text; None unless all are different levels."""
    own = {level_text(level.strip()): i for i, level in enumerate(outcome.levels)}
    places = [own.get(name.strip(), -1) for name in names]
    return places if -1 not in places and len(set(places)) == len(places) else None


def _of_classes(values: NDArray[np.float64], outcome: NodeSpec, where: str, classes: Sequence[object] | None) -> Answer:
    check_values(values, where)
    wrong = (np.abs(values.sum(1) - 1) > SUM) | (values < -EDGE).any(1)
    if wrong.any():
        row = values[wrong][0]
        problem = f"{wrong.sum()} of {len(values)} rows are no probabilities of classes: one adds up to {row.sum():.6g}"
        raise CodeError(where, problem, "return class probabilities that add up to 1, or one number per row")
    found, count = torch.from_numpy(values), values.shape[1]
    if classes is None:
        if outcome.discrete and count == len(outcome.levels):
            note = f"its columns were read as the levels of the outcome, in their order: {', '.join(outcome.levels)}"
            return _leveled(found, list(range(count)), outcome, note)
        return Answer(found, tuple(map(str, range(count))), "its classes have no names, and are called by their position")
    names = [level_text(name) for name in classes]
    if len(names) != count or not outcome.discrete:
        return Answer(found, tuple(names) if len(names) == count else tuple(map(str, range(count))))
    places, note = _places(names, outcome), ""
    if places is None and len(outcome.levels) == 2 and [name.lower() for name in names] in (["0", "1"], ["false", "true"]):
        places, note = [0, 1], f"its classes {names[0]} and {names[1]} were read as {outcome.levels[0]} and {outcome.levels[1]}"
    if places is None and count != len(outcome.levels):
        return Answer(found, tuple(names))  # of something else than the outcome
    if places is None:
        problem = f"its classes are {', '.join(names)}, and the outcome's levels {', '.join(outcome.levels)}"
        raise QueryError(where, problem, "fit it on the levels that are declared, or give a function that returns their probabilities")
    return _leveled(found, places, outcome, note)


def _leveled(values: Tensor, places: Sequence[int], outcome: NodeSpec, note: str) -> Answer:
    """Probabilities by the outcome's levels: that of the second of two."""
    whole = torch.zeros(len(values), len(outcome.levels), dtype=torch.float64)
    whole[:, list(places)] = values
    return Answer(whole[:, 1].clone(), note=note) if len(outcome.levels) == 2 else Answer(whole, outcome.levels, note)
