"""People with all their deployed predictions, for what sums over blocks cannot say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.auditing.crossing import Moved

__all__ = ["Kept"]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """People with all their deployed predictions: as they are, and in every world.

    Args:
        rows: position of each in the table as given, shape (m,), int64.
        group: each one's crossed group, shape (m,), int64.
        weights: shape (m,).
        deployed: predictor -> predictions, shape (m,).
        shifts: predictor -> by how much they change, averaged over draws, shape (worlds, m).
    """

    rows: Tensor
    group: Tensor
    weights: Tensor
    deployed: Mapping[str, Tensor]
    shifts: Mapping[str, Tensor]

    @classmethod
    def together(cls, parts: Sequence["Kept"]) -> "Kept":
        """Several blocks as one."""
        rows, group, weights = (torch.cat([getattr(part, name) for part in parts]) for name in ("rows", "group", "weights"))
        deployed = {name: torch.cat([part.deployed[name] for part in parts]) for name in parts[0].deployed}
        return cls(rows, group, weights, deployed, {name: torch.cat([part.shifts[name] for part in parts], 1) for name in parts[0].shifts})

    def take(self, people: Tensor) -> "Kept":
        """Some of them, by position, shape (k,)."""
        deployed = {name: own[people] for name, own in self.deployed.items()}
        shifts = {name: own[:, people] for name, own in self.shifts.items()}
        return Kept(self.rows[people], self.group[people], self.weights[people], deployed, shifts)

    def moved(self, name: str, pair: Moved) -> tuple[Tensor, Tensor, Tensor]:
        """Of the people whom one pair of group and world moves: predictions before and after, and weights, all of shape (k,)."""
        world = torch.zeros(pair.cells.shape[0], dtype=torch.int64)
        some = pair.cells.any(1)
        world[some] = pair.cells[some].long().argmax(1)
        people = some[self.group].nonzero().squeeze(-1)
        before = self.deployed[name][people]
        return before, before + self.shifts[name][world[self.group[people]], people], self.weights[people]
