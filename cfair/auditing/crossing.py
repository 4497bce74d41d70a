"""The protected attributes crossed: every person's group, and every world worth asking about."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

import torch
from torch import Tensor

from cfair.comparing import Division
from cfair.errors import QueryError, nearest
from cfair.interfaces import Columns, Values
from cfair.spec import ModelSpec

__all__ = ["Crossing", "Grouping", "Moved", "Response", "crossing_of"]

POINTS = 9  # of a response curve
TAIL = 0.025  # share of people beyond either end of it


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """People of one group put into one world.

    Args:
        group: in which they are; None for everyone.
        world: into which they are put, as ``race=Black,sex=female``.
        cells: which crossed groups and worlds are added up for it, shape (groups, worlds), bool.
    """

    group: str | None
    world: str
    cells: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """One way to read the crossed groups: by one attribute, or by several at once.

    Args:
        attribute: its name in a report, ``race`` or ``race x sex``.
        names: of its groups, as ``Black`` or ``Black, female``.
        worlds: of the intervention that puts people into each group, as ``race=Black,sex=female``.
        settings: that intervention, attribute -> level.
        member: crossed group -> group of this reading, shape (crossed groups,), int64.
        others: crossed group -> index of the attributes that this reading leaves alone, shape (crossed groups,), int64.
        count: of all worlds.
    """

    attribute: str
    names: tuple[str, ...]
    worlds: tuple[str, ...]
    settings: tuple[Mapping[str, str], ...]
    member: Tensor
    others: Tensor
    count: int

    def moved(self) -> Iterator[Moved]:
        """Each group with each other one: crossed pairs that differ in this attribute only."""
        same_others = self.others.unsqueeze(1) == self.others
        for a, group in enumerate(self.names):
            for b, world in enumerate(self.worlds):
                if a != b:
                    cells = torch.zeros(len(self.member), self.count, dtype=torch.bool)
                    cells[:, : len(self.member)] = same_others & (self.member == a).unsqueeze(1) & (self.member == b)
                    yield Moved(group, world, cells)


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """A protected attribute that is a number: everyone put at each point of a grid, all else that is protected left alone.

    Args:
        attribute: its name.
        points: its values, ascending.
        first: the position of the first of its worlds among all.
        shape: crossed groups and worlds.
    """

    attribute: str
    points: tuple[float, ...]
    first: int
    shape: tuple[int, int]

    @property
    def worlds(self) -> tuple[str, ...]:
        """The label of each point's world, as ``income=1.5``."""
        return tuple(f"{self.attribute}={point:g}" for point in self.points)

    @property
    def places(self) -> slice:
        """Its worlds among all."""
        return slice(self.first, self.first + len(self.points))

    def moved(self) -> Iterator[Moved]:
        """Everyone, at each point."""
        for k, world in enumerate(self.worlds):
            cells = torch.zeros(self.shape, dtype=torch.bool)
            cells[:, self.first + k] = True
            yield Moved(None, world, cells)


@dataclass(frozen=True, slots=True)
class Crossing:
    """All combinations of the protected attributes' levels, the last one's changing fastest; then the points of those that are numbers.

    Args:
        levels: protected attribute with levels -> these, in the spec's order.
        points: protected attribute that is a number -> the values at which everyone is put.
    """

    levels: Mapping[str, Sequence[str]]
    points: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many combinations, and so crossed groups."""
        return len(list(product(*self.levels.values())))

    @property
    def worlds(self) -> int:
        """How many worlds: one per combination, and one per point."""
        return self.size + sum(map(len, self.points.values()))

    def settings(self) -> list[dict[str, str | Tensor]]:
        """The intervention of each world: attribute -> level, or its value, shape ()."""
        crossed: list[dict[str, str | Tensor]] = [dict(zip(self.levels, each, strict=True)) for each in product(*self.levels.values())]
        return crossed + [{a: torch.tensor(point, dtype=torch.float64)} for a, points in self.points.items() for point in points]

    def labels(self) -> list[str]:
        """The label of each world, as ``race=Black,sex=female`` or ``income=1.5``."""
        return [",".join(f"{a}={at if isinstance(at, str) else f'{float(at):g}'}" for a, at in each.items()) for each in self.settings()]

    def group(self, values: Values) -> Tensor:
        """Each person's combination, shape (n,), int64, from their coded attributes (n,)."""
        some = next(iter([*self.levels, *self.points]))
        index = torch.zeros(values[some].shape, dtype=torch.int64)
        for attribute, levels in self.levels.items():
            index = index * len(levels) + values[attribute].long()
        return index

    def readings(self) -> Iterator[Grouping]:
        """Each attribute with levels by itself, then, where there are several, all of them at once."""
        for attribute in self.levels:
            yield self._reading([attribute])
        if len(self.levels) > 1:
            yield self._reading(list(self.levels))

    def divisions(self, group: Tensor) -> Iterator[Division]:
        """The readings as divisions of people whose crossed groups, (n,), these are."""
        yield from (Division(each.attribute, each.names, each.member[group]) for each in self.readings())

    def responses(self) -> Iterator[Response]:
        """Each attribute that is a number."""
        first = self.size
        for attribute, points in self.points.items():
            yield Response(attribute, points, first, (self.size, self.worlds))
            first += len(points)

    def _reading(self, attributes: Sequence[str]) -> Grouping:
        combinations = list(product(*(self.levels[attribute] for attribute in attributes)))
        crossed = [dict(zip(self.levels, each, strict=True)) for each in product(*self.levels.values())]
        members = [combinations.index(tuple(setting[a] for a in attributes)) for setting in crossed]
        rest = [tuple(level for a, level in setting.items() if a not in attributes) for setting in crossed]
        kinds = sorted(set(rest))
        return Grouping(
            attribute=" x ".join(attributes),
            names=tuple(", ".join(combination) for combination in combinations),
            worlds=tuple(
                ",".join(f"{a}={level}" for a, level in zip(attributes, combination, strict=True)) for combination in combinations
            ),
            settings=tuple(dict(zip(attributes, combination, strict=True)) for combination in combinations),
            member=torch.tensor(members),
            others=torch.tensor([kinds.index(kind) for kind in rest]),
            count=self.worlds,
        )


def crossing_of(
    spec: ModelSpec,
    columns: Columns | None = None,
    points: Mapping[str, Sequence[float]] | None = None,
    *,
    attributes: Collection[str] | None = None,
) -> Crossing:
    """The spec's protected attributes: those with levels crossed, and for each that is a number POINTS evenly spaced values.

    The points reach from the TAIL quantile of ``columns`` to the one at the other end, people taken by their weights; of a count they are
    whole numbers. Without ``columns`` there are none.

    Args:
        spec: the declared model.
        columns: the people.
        points: for some of the attributes that are numbers, the values that are asked for.
        attributes: those to ask about; all if None or empty.

    Raises:
        QueryError: there is no protected attribute, one that is asked for is none, or points are none of an attribute that is a
            number.
    """
    if not spec.protected:
        raise QueryError("protected", "the model declares no protected attribute", "name one under 'protected:' to audit predictors")
    for attribute in attributes or ():
        if attribute not in spec.protected:
            raise QueryError("attributes", f"'{attribute}' is not a protected attribute", nearest(attribute, spec.protected))
    protected = [node for node in spec.nodes if node in spec.protected and (not attributes or node in attributes)]
    numbers = [node for node in protected if not spec.nodes[node].levels]
    for node, asked in (points or {}).items():
        if node not in numbers:
            raise QueryError("points", f"'{node}' is no protected attribute that is a number", nearest(node, numbers))
        _check_points(node, asked, whole=spec.nodes[node].kind == "count")
    chosen = {node: tuple(map(float, asked)) for node, asked in (points or {}).items()}
    if columns is not None:
        own = {node: _points(columns, node, whole=spec.nodes[node].kind == "count") for node in numbers if node not in chosen}
        chosen = {node: {**chosen, **own}[node] for node in numbers}
    return Crossing({node: spec.nodes[node].levels for node in protected if spec.nodes[node].levels}, chosen)


def _check_points(node: str, points: Sequence[float], *, whole: bool) -> None:
    """Refuse points that are not ascending values of an attribute.

    Raises:
        QueryError: they are not.
    """
    if not points or not all(math.isfinite(point) for point in points) or any(b <= a for a, b in pairwise(points)):
        raise QueryError("points", f"those of '{node}' are not ascending finite numbers", "give for instance [0.1, 0.2, 0.5]")
    if whole and any(point < 0 or point != int(point) for point in points):
        raise QueryError("points", f"those of '{node}', a count, are not whole numbers of 0 or more", "give for instance [0, 1, 2]")


def _points(columns: Columns, node: str, *, whole: bool) -> tuple[float, ...]:
    """Values of one attribute from a low quantile to a high one."""
    values = columns[node]
    order = values.argsort()
    weights = (torch.ones_like(values) if columns.weights is None else columns.weights)[order]
    share = (weights.cumsum(0) - weights / 2) / weights.sum()
    low, high = (float(values[order][int(torch.searchsorted(share, q).clamp(max=len(values) - 1))]) for q in (TAIL, 1 - TAIL))
    decimals = 0 if whole or high <= low else max(1 - math.floor(math.log10((high - low) / (POINTS - 1))), 0)  # of a tenth of a step
    points = torch.linspace(low, high, POINTS, dtype=torch.float64).tolist()
    return tuple(sorted({round(point, decimals) for point in points}))
