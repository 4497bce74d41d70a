"""The protected attributes crossed: every person's group, and every world worth asking about."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from cfair.errors import QueryError, nearest
from cfair.interfaces import Values
from cfair.spec import ModelSpec

__all__ = ["Crossing", "Grouping", "crossing_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """One way to read the crossed groups: by one attribute, or by several at once.

    Args:
        attribute: its name in a report, ``race`` or ``race x sex``.
        names: of its groups, as ``Black`` or ``Black, female``.
        worlds: of the intervention that puts people into each group, as ``race=Black,sex=female``.
        member: crossed group -> group of this reading, shape (crossed groups,), int64.
        others: crossed group -> index of the attributes that this reading leaves alone, shape (crossed groups,), int64.
    """

    attribute: str
    names: tuple[str, ...]
    worlds: tuple[str, ...]
    member: Tensor
    others: Tensor


@dataclass(frozen=True, slots=True)
class Crossing:
    """All combinations of the protected attributes' levels, the last attribute's changing fastest.

    Args:
        levels: protected attribute -> its levels, in the spec's order.
    """

    levels: Mapping[str, Sequence[str]]

    @property
    def size(self) -> int:
        """How many combinations."""
        return len(list(product(*self.levels.values())))

    def settings(self) -> list[dict[str, str]]:
        """The intervention that puts people into each combination: attribute -> level."""
        return [dict(zip(self.levels, combination, strict=True)) for combination in product(*self.levels.values())]

    def group(self, values: Values) -> Tensor:
        """Each person's combination, shape (n,), int64, from their coded attributes (n,)."""
        index: Tensor = torch.zeros((), dtype=torch.int64)
        for attribute, levels in self.levels.items():
            index = index * len(levels) + values[attribute].long()
        return index

    def readings(self) -> Iterator[Grouping]:
        """Each attribute by itself, then, where there are several, all of them at once."""
        for attribute in self.levels:
            yield self._reading([attribute])
        if len(self.levels) > 1:
            yield self._reading(list(self.levels))

    def _reading(self, attributes: Sequence[str]) -> Grouping:
        combinations = list(product(*(self.levels[attribute] for attribute in attributes)))
        members = [combinations.index(tuple(setting[a] for a in attributes)) for setting in self.settings()]
        rest = [tuple(level for a, level in setting.items() if a not in attributes) for setting in self.settings()]
        kinds = sorted(set(rest))
        return Grouping(
            attribute=" x ".join(attributes),
            names=tuple(", ".join(combination) for combination in combinations),
            worlds=tuple(
                ",".join(f"{a}={level}" for a, level in zip(attributes, combination, strict=True)) for combination in combinations
            ),
            member=torch.tensor(members),
            others=torch.tensor([kinds.index(kind) for kind in rest]),
        )


def crossing_of(spec: ModelSpec, attributes: Collection[str] | None = None) -> Crossing:
    """The spec's protected attributes, or some of them, crossed.

    Raises:
        QueryError: there is none, one of them has no levels, or one that is asked for is not protected.
    """
    if not spec.protected:
        raise QueryError("protected", "the model declares no protected attribute", "name one under 'protected:' to audit predictors")
    for attribute in attributes or ():
        if attribute not in spec.protected:
            raise QueryError("attributes", f"'{attribute}' is not a protected attribute", nearest(attribute, spec.protected))
    asked = [attribute for attribute in spec.protected if not attributes or attribute in attributes]
    for attribute in asked:
        if not spec.nodes[attribute].levels:
            raise QueryError(
                f"nodes.{attribute}",
                f"a protected attribute of kind {spec.nodes[attribute].kind} has no levels to swap",
                "declare levels (bernoulli, categorical, ordinal or table); response curves of numbers come with a later version",
            )
    return Crossing({attribute: spec.nodes[attribute].levels for attribute in spec.nodes if attribute in asked})
