"""Predictions that are probabilities of classes: measured as a whole, and class by class."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from cfair.interfaces import Predictor, Values

__all__ = ["by_class", "classes_of", "each_map", "extents", "measured_as", "single", "sizes"]


@runtime_checkable
class _OfClasses(Protocol):
    """A predictor that gives class probabilities, or may."""

    @property
    def classes(self) -> tuple[str, ...]: ...


def classes_of(predictor: Predictor) -> tuple[str, ...]:
    """Names of the classes of which a predictor gives probabilities; empty of one that gives one number."""
    return predictor.classes if isinstance(predictor, _OfClasses) else ()


def measured_as(predictors: Mapping[str, Predictor]) -> dict[str, Predictor]:
    """Name -> predictor of all that is measured: each predictor, and each class of one as ``name[class]``."""
    return {key: each for name, each in predictors.items() for key in (name, *(f"{name}[{level}]" for level in classes_of(each)))}


def single(predictors: Mapping[str, Predictor]) -> list[str]:
    """The names of all that is measured and is one number per person: not several classes as a whole."""
    return [name for name in measured_as(predictors) if name not in predictors or not classes_of(predictors[name])]


def by_class(name: str, predictor: Predictor, values: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What a predictor says, (..., n[, classes]), under its name, and what it says of each class, (..., n), as ``name[class]``."""
    yield name, values
    yield from ((f"{name}[{level}]", values[..., k]) for k, level in enumerate(classes_of(predictor)))


def each_map(name: str, predictor: Predictor) -> Iterator[tuple[str, Callable[[Values, int], Tensor]]]:
    """The deployed map as one number per row, (n,): under its name, or that of each class under ``name[class]``."""
    classes = classes_of(predictor)
    if not classes:
        yield name, predictor.deploy
    yield from ((f"{name}[{level}]", partial(_of_class, predictor, k)) for k, level in enumerate(classes))


def _of_class(predictor: Predictor, k: int, columns: Values, n: int) -> Tensor:
    return predictor.deploy(columns, n)[:, k]


def sizes(moves: Tensor) -> Tensor:
    """How far each person moves in each draw, (draws, people), from moves (draws, people[, classes]), as of ``extents``."""
    return moves.abs() if moves.ndim == 2 else moves.abs().sum(-1) / 2


def extents(moves: Tensor) -> tuple[Tensor, Tensor]:
    """How far each person moves on average over draws, and with its sign, shapes (people,), from moves (draws, people[, classes]).

    D = |ŷ' − ŷ| of one number; of class probabilities their total variation distance, ½ Σ_k |p'_k − p_k|, which of two classes is the
    former, and has no sign: 0 stands for it.
    """
    size = sizes(moves).mean(0)
    return size, moves.mean(0) if moves.ndim == 2 else torch.zeros_like(size)
