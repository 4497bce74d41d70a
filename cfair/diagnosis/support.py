"""Whether people put into another group look like anyone in it: where they do not, the model extrapolates."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import cKDTree

from cfair.diagnosis.abducted import Drawn, world_of
from cfair.diagnosis.groups import MIN_PEOPLE
from cfair.diagnosis.records import Support
from cfair.diagnosis.streams import stream
from cfair.interfaces import Columns, Values
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual

__all__ = ["SHARE", "support"]

SHARE = 0.01  # of a group's own people who count as outside of it
TOLERANCE = 0.05  # share of people by which those outside may exceed it
PEOPLE = 2_000  # moved from a group at most, the first ones in a random order
REFERENCE = 10_000  # people of the other group at most, likewise

Floats = NDArray[np.float64]


def support(scm: SCM, draw: Drawn, known: Columns, nodes: Sequence[str], *, seed: int) -> list[Support]:
    """For each attribute and ordered pair of its levels, the share of counterfactual rows (x', a') outside the data of group a'.

    One counterfactual row per person, at one draw of latents and noise. Column by column a row is outside where its value is beyond
    the group's range, or a level that nobody there has; jointly where it has such a level, or its distance to the nearest of the group's
    people exceeds the (1 − SHARE) quantile of that distance among them, columns in units of their sd in the group, two levels √2 apart.
    Were the rows people of the group, as many would be outside as a beta-binomial number: this is the p-value.

    Args:
        scm: with its parameters learned.
        draw: one draw of each tested row's latents and noise.
        known: all people whose data are known, tested or not.
        nodes: columns by which rows are compared: observed and not protected.
        seed: of the order in which people are taken.
    """
    spec, generator = scm.spec, stream(seed, "support")
    found: list[Support] = []
    for attribute in (node for node in spec.nodes if node in spec.protected and spec.nodes[node].levels):
        levels = spec.nodes[attribute].levels
        theirs = [_some(known[attribute] == j, REFERENCE, generator) for j in range(len(levels))]
        mine = [_some(draw.values[attribute] == j, PEOPLE, generator) for j in range(len(levels))]
        areas = [_Area(spec, nodes, {node: known[node][people] for node in nodes}) for people in theirs]
        for a, b in permutations(range(len(levels)), 2):
            if not len(mine[a]):
                continue
            factual = world_of(draw, mine[a], spec.observed)
            moved = counterfactual(scm, factual, {attribute: levels[b]})
            rows = {node: moved.values[node][0] for node in nodes}
            found.append(_compared(areas[b], rows, attribute=attribute, pair=(levels[a], levels[b])))
    return found


class _Area:
    """Where the people of one group are.

    Args:
        spec: the declared model.
        nodes: their columns.
        values: node -> (m,).
    """

    def __init__(self, spec: ModelSpec, nodes: Sequence[str], values: Values) -> None:
        self.spec, self.nodes, self.values = spec, tuple(nodes), values
        self.size = len(next(iter(values.values()))) if nodes else 0
        self.rank = max(int(SHARE * (self.size + 1)), 1)  # the limit is the rank-th largest distance among the group's own people
        if self.size >= MIN_PEOPLE:
            self.unit = {node: float(values[node].std()) or 1.0 for node in nodes}
            self.tree = cKDTree(self.points(values))
            self.limit = float(np.sort(self.distances(values, others=1))[-self.rank])

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
        nearest = np.asarray(self.tree.query(self.points(values), k=[1 + others])[0], dtype=np.float64)[:, 0]
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


def _compared(area: _Area, rows: Values, *, attribute: str, pair: tuple[str, str]) -> Support:
    n = len(next(iter(rows.values()))) if rows else 0
    place = Support(attribute=attribute, group=pair[0], world=pair[1], n=n, columns={}, tolerance=TOLERANCE)
    if not area.nodes:
        return replace(place, why="there is no column to compare")
    if area.size < MIN_PEOPLE:
        return replace(place, why=f"only {area.size} people have {attribute}={pair[1]}")
    outside = int((area.distances(rows) > area.limit).sum())
    return replace(
        place,
        columns={node: area.beyond(node, rows) for node in area.nodes},
        outside=outside / n,
        expected=area.rank / (area.size + 1),
        p=float(stats.betabinom(n, area.rank, area.size + 1 - area.rank).sf(outside - 1)),
    )


def _some(which: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Positions of at most so many people of those marked, in a random order."""
    people = which.nonzero().squeeze(-1)
    return people[torch.randperm(len(people), generator=generator)[:most]]
