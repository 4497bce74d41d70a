"""Where the people of one group are: whether a row looks like anyone in it."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cfair.interfaces import Values
from cfair.spec import ModelSpec

__all__ = ["Area"]

SHARE = 0.01  # of a group's own people who count as outside of it
FEW = 12  # dimensions up to which a tree finds the nearest sooner than all distances do
ROWS = 1_000  # whose distances to everyone are held at a time
FEWEST = 20  # people below whom nobody can say where a group is

Floats = NDArray[np.float64]


class Area:
    """Where the people of one group are.

    Args:
        spec: the declared model.
        nodes: their columns, at least one.
        values: node -> (m,).

    ``known`` is whether there are FEWEST of them; otherwise nothing may be asked.
    """

    def __init__(self, spec: ModelSpec, nodes: Sequence[str], values: Values) -> None:
        self.spec, self.nodes, self.values = spec, tuple(nodes), values
        self.size = len(next(iter(values.values()))) if nodes else 0
        self.rank = max(int(SHARE * (self.size + 1)), 1)  # the limit is the rank-th largest distance among the group's own people
        self.known = self.size >= FEWEST
        if self.known:
            self.unit = {node: float(values[node].std()) or 1.0 for node in nodes}
            points = self.points(values)
            self.nearest = _nearest_in_few(points) if points.shape[1] <= FEW else _nearest_in_many(points)
            self.limit = float(np.sort(self.distances(values, others=1))[-self.rank])

    @property
    def expected(self) -> float:
        """The share of the group's own people who would be outside, were each compared with all others."""
        return self.rank / (self.size + 1)

    def outside(self, values: Values) -> NDArray[np.bool_]:
        """Whether each row is farther from everyone in the group than its own people are from one another, but for SHARE of them; (m,)."""
        return np.asarray(self.distances(values) > self.limit)

    def points(self, values: Values) -> Floats:
        """Rows as points: numbers in units of their sd in the group, levels as corners √2 apart; shape (m, dimensions)."""
        columns = []
        for node in self.nodes:
            levels = self.spec.nodes[node].levels
            x = values[node].numpy()
            columns += [(x == j).astype(np.float64) for j in range(len(levels))] if levels else [x / self.unit[node]]
        return np.stack(columns, -1)

    def distances(self, values: Values, *, others: int = 0) -> Floats:
        """From each row to the nearest of the group's people, ∞ where one of its levels is nobody's; shape (m,).

        Args:
            values: the rows, node -> (m,).
            others: 1 where the rows are the group's own people, who are not to be compared with themselves.
        """
        nearest = self.nearest(self.points(values), others)
        for node in self.nodes:
            if levels := len(self.spec.nodes[node].levels):
                people = torch.bincount(self.values[node].long(), minlength=levels)
                nearest[(people[values[node].long()] <= others).numpy()] = np.inf
        return nearest

    def beyond(self, node: str, values: Values) -> float:
        """Share of the rows whose value of one node nobody in the group reaches."""
        theirs, x = self.values[node], values[node]
        if self.spec.nodes[node].levels:
            return float((~torch.isin(x, theirs)).double().mean())
        return float(((x < theirs.min()) | (x > theirs.max())).double().mean())


def _nearest_in_few(people: Floats) -> Callable[[Floats, int], Floats]:
    """From points, and how many of the nearest to pass over, to the distance to the next one, by a tree."""
    tree = cKDTree(people)
    return lambda points, others: np.asarray(tree.query(points, k=[1 + others])[0], dtype=np.float64)[:, 0]


def _nearest_in_many(people: Floats) -> Callable[[Floats, int], Floats]:
    """The same by all distances."""
    known = torch.from_numpy(people)

    def nearest(points: Floats, others: int) -> Floats:
        rows = torch.from_numpy(points).split(ROWS)
        distances = [
            torch.cdist(some, known, compute_mode="donot_use_mm_for_euclid_dist").kthvalue(1 + others, dim=1).values for some in rows
        ]
        return np.asarray(torch.cat(distances).numpy(), dtype=np.float64)

    return nearest
