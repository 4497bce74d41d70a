"""Predictions that are probabilities of classes: measured as a whole, and class by class."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from cfair.interfaces import Predictor

__all__ = ["by_class", "classes_of", "extents", "measured_as", "single"]


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


def extents(moves: Tensor) -> tuple[Tensor, Tensor]:
    """How far each person moves on average over draws, and with its sign, shapes (people,), from moves (draws, people[, classes]).

    D = |ŷ' − ŷ| of one number; of class probabilities their total variation distance, ½ Σ_k |p'_k − p_k|, which of two classes is the
    former, and has no sign: 0 stands for it.
    """
    if moves.ndim == 2:
        return moves.abs().mean(0), moves.mean(0)
    size = moves.abs().sum(-1).mean(0) / 2
    return size, torch.zeros_like(size)
