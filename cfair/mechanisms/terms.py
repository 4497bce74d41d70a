"""What a linear predictor adds up: columns of the parents, and products of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from cfair.interfaces import Values

__all__ = ["NATURAL", "Parent", "Read", "Term", "Unit", "added_up", "combination", "folding", "plus", "summed"]


class Unit(NamedTuple):
    """The unit in which a real column is standardised: x = center + scale·z."""

    center: float = 0.0
    scale: float = 1.0


NATURAL = Unit()  # the column's own


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent as a mechanism reads it: by its levels, or in its unit.

    Args:
        name: the node.
        levels: names of its levels, the first being the reference; empty for a real or count parent.
        unit: in which a real or count parent is standardised; a latent's unit is its own.
        latent: whether it is never observed.
    """

    name: str
    levels: tuple[str, ...] = ()
    unit: Unit = NATURAL
    latent: bool = False

    @property
    def weight_names(self) -> tuple[str, ...]:
        """One weight for a number, one per level but the first for a discrete node."""
        return tuple(f"{self.name}={level}" for level in self.levels[1:]) if self.levels else (self.name,)


class Factor(NamedTuple):
    """One factor of a column: (x − center)/scale, or a level's indicator, whose unit is its own."""

    name: str
    unit: Unit


class Read(NamedTuple):
    """What a term reads of its parents: the place of each person in its table of weights, and the number that multiplies the weight.

    Args:
        place: int32, shape (...); None where there is one weight.
        number: shape (...); None where it is 1.
    """

    place: Tensor | None
    number: Tensor | None

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return max(part.numel() for part in self if part is not None)


class Term:
    """Σ over the levels but the first of the discrete parents: weight × indicators × real parents; one parent, or a product of several.

    Args:
        parents: in the order in which their names stand in the weights' names.
    """

    def __init__(self, parents: Sequence[Parent]) -> None:
        self.parents = tuple(parents)
        self.names = tuple(":".join(names) for names in product(*(parent.weight_names for parent in parents)))
        self._tabled = [parent for parent in parents if len(parent.levels) > 2]
        self._numbers = [parent for parent in parents if len(parent.levels) <= 2]  # the index of the second of two levels is its indicator
        self._steps = [len(parent.levels) - 1 for parent in self._tabled]

    @property
    def factors(self) -> tuple[tuple[Factor, ...], ...]:
        """The factors of each weight's column."""
        choices = [[Factor(name, NATURAL if p.levels else p.unit) for name in p.weight_names] for p in self.parents]
        return tuple(product(*choices))

    def read(self, values: Values) -> Read:
        """What it reads of the parents' values."""
        number: Tensor | None = None
        for parent in self._numbers:
            number = values[parent.name] if number is None else number * values[parent.name]
        return Read(combination(self._tabled, values) if self._tabled else None, number)

    def added(self, total: Tensor, read: Read, weights: Tensor) -> Tensor:
        """``total`` and this term, of ``weights`` (weights,) in the parents' own units; shape (...)."""
        if read.place is None:
            assert read.number is not None
            return torch.addcmul(total, read.number, weights[0])
        own = self._looked_up(weights, read.place)
        return total + own if read.number is None else torch.addcmul(total, own, read.number)

    def weighted(self, read: Read, weights: Sequence[float]) -> tuple[Tensor, float]:
        """What this term is the product of: numbers, shape (...), and one that multiplies them all."""
        if read.place is None:
            assert read.number is not None
            return read.number, weights[0]
        own = self._looked_up(torch.tensor(weights, dtype=torch.float64), read.place)
        return (own if read.number is None else own * read.number), 1.0

    def _looked_up(self, weights: Tensor, place: Tensor) -> Tensor:
        """Each person's weight, of ``weights`` (weights,); shape (...)."""
        table = weights.reshape(self._steps)
        table = pad(table, [1, 0] * table.dim()).flatten()  # a first level's weight is 0
        return table.index_select(0, place.flatten()).view(place.shape)


def added_up(terms: Sequence[Term], rows: Tensor, values: Values) -> list[Tensor]:
    """An intercept and the terms added up, each (...), for each of ``rows``, (outputs, 1 + weights), in the parents' own units."""
    read = [term.read(values) for term in terms]
    order = sorted(range(len(read)), key=lambda j: read[j].size)  # what is small is added up before it is broadcast
    sizes, sums = [1, *(len(term.names) for term in terms)], []
    for row in rows.unbind():
        total, *weights = row.split(sizes)
        total = total[0]
        for j in order:
            total = terms[j].added(total, read[j], weights[j])
        sums.append(total)
    return sums


def summed(terms: Sequence[Term], rows: Sequence[Sequence[float]], values: Values) -> list[Tensor]:
    """As ``added_up``, of coefficients that are plain numbers; in memory of its own, which is the caller's to write in."""
    read, sums = [term.read(values) for term in terms], []
    for intercept, *weights in rows:
        parts, place = [], 0
        for term, own in zip(terms, read, strict=True):
            parts.append(term.weighted(own, weights[place : place + len(term.names)]))
            place += len(term.names)
        total = torch.scalar_tensor(intercept, dtype=torch.float64)
        for part, weight in sorted(parts, key=_size):  # what is small is added up before it is broadcast
            total = plus(total, part, weight)
        sums.append(total)
    return sums


def plus(total: Tensor, part: Tensor, weight: float) -> Tensor:
    """The sum total + weight·part, written over ``total`` where it has the same shape."""
    return total.add_(part, alpha=weight) if total.shape == part.shape else torch.add(total, part, alpha=weight)


def _size(part: tuple[Tensor, float]) -> int:
    return part[0].numel()


def combination(parents: Sequence[Parent], values: Values) -> Tensor:
    """Which combination of the discrete parents' levels each person has, the last parent's changing fastest; int32, shape (...)."""
    index = torch.zeros((), dtype=torch.int32)
    for position, parent in enumerate(parents):
        place = values[parent.name].int()
        index = index * len(parent.levels) + place if position else place
    return index


def folding(terms: Sequence[Term], *, centered: bool, products: bool) -> tuple[Tensor, Tensor]:
    """The matrix that turns a row of coefficients of standardised columns into that of the columns themselves, and each column's unit.

    Π_i (x_i − c_i)/s_i is a sum of products of some of the x_i: each needs a coefficient of its own. Where one is not declared, a
    product's factors are not centred.

    Args:
        terms: whose columns have the coefficients, after the intercept.
        centered: whether real columns are centred; else c = 0.
        products: whether those in products are, too.

    Returns:
        Shape (1 + weights, 1 + weights), and Π_i s_i, shape (weights,).
    """
    columns = [factors for term in terms for factors in term.factors]
    place = {frozenset(factor.name for factor in factors): j for j, factors in enumerate(columns, 1)} | {frozenset[str](): 0}
    scale = torch.tensor([prod(factor.unit.scale for factor in factors) for factors in columns], dtype=torch.float64)
    matrix = torch.cat([scale.new_ones(1), 1 / scale]).diag()
    for j, factors in enumerate(columns, 1):
        lower = _lower(factors)
        if centered and (products or len(factors) == 1) and all(names in place for names, _ in lower):
            for names, shift in lower:
                matrix[j, place[names]] += shift / scale[j - 1]
    return matrix, scale


def _lower(factors: Sequence[Factor]) -> list[tuple[frozenset[str], float]]:
    """The products of some factors only in Π_i (x_i − c_i): their names, and what multiplies them."""
    shifted = [factor for factor in factors if factor.unit.center]
    found = []
    for count in range(1, len(shifted) + 1):
        for left_out in combinations(shifted, count):
            kept = frozenset(factor.name for factor in factors if factor not in left_out)
            found.append((kept, prod(-factor.unit.center for factor in left_out)))
    return found
