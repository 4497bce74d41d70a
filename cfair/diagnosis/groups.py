"""Who belongs to which group: everyone, and the levels of each protected attribute."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cfair.interfaces import Values
from cfair.spec import ModelSpec

__all__ = ["EVERYONE", "MIN_PEOPLE", "Group", "Groups", "groups_of"]

MIN_PEOPLE = 20  # below which a group's variances and covariances say too little to be judged
QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")


class Group(NamedTuple):
    """Everyone, or those with one level of a protected attribute."""

    attribute: str | None = None
    name: str | None = None


EVERYONE = Group()


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The groups of a table.

    Args:
        names: everyone first, then the levels of each attribute; a protected number is cut at its quartiles.
        cuts: attribute that is a number -> its quartiles in the table, shape (3,).
    """

    names: tuple[Group, ...]
    cuts: Mapping[str, Tensor]

    def members(self, values: Values) -> Tensor:
        """1 where a person belongs to a group, shape (..., n, groups), from attributes of shape (..., n)."""
        shape = next(iter(values.values())).shape
        columns = [torch.ones(shape, dtype=torch.float64)]
        for attribute in dict.fromkeys(group.attribute for group in self.names[1:]):
            assert attribute is not None
            level = self._level(attribute, values[attribute]).expand(shape)
            columns += [(level == j).to(torch.float64) for j in range(sum(group.attribute == attribute for group in self.names))]
        return torch.stack(columns, -1)

    def blocks(self) -> Iterator[slice]:
        """Positions of the groups that part the people: everyone, then each attribute's."""
        start = 0
        for attribute in dict.fromkeys(group.attribute for group in self.names):
            size = sum(group.attribute == attribute for group in self.names)
            yield slice(start, start + size)
            start += size

    def _level(self, attribute: str, values: Tensor) -> Tensor:
        return torch.bucketize(values, self.cuts[attribute]).to(torch.float64) if attribute in self.cuts else values


def groups_of(spec: ModelSpec, columns: Values) -> Groups:
    """Everyone, and each protected attribute's groups in the spec's order."""
    names, cuts = [EVERYONE], {}
    for attribute in (node for node in spec.nodes if node in spec.protected):
        if not spec.nodes[attribute].levels:
            cuts[attribute] = torch.quantile(columns[attribute], torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
        names += [Group(attribute, level) for level in spec.nodes[attribute].levels or QUARTERS]
    return Groups(tuple(names), cuts)
