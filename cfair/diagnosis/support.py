"""Whether people put into another group look like anyone in it: where they do not, the model extrapolates."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import torch
from scipy import stats

from cfair.data.area import Area
from cfair.diagnosis.abducted import Drawn, world_of
from cfair.diagnosis.records import Support
from cfair.diagnosis.streams import stream
from cfair.interfaces import Columns, Values
from cfair.scm import SCM
from cfair.worlds import counterfactual

__all__ = ["support"]

TOLERANCE = 0.05  # share of people by which those outside may exceed it
PEOPLE = 2_000  # moved from a group at most, the first ones in a random order
REFERENCE = 10_000  # people of the other group at most, likewise


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
        areas = [Area(spec, nodes, {node: known[node][people] for node in nodes}) for people in theirs]
        for a, b in permutations(range(len(levels)), 2):
            if not len(mine[a]):
                continue
            factual = world_of(draw, mine[a], spec.observed)
            moved = counterfactual(scm, factual, {attribute: levels[b]})
            rows = {node: moved.values[node][0] for node in nodes}
            found.append(_compared(areas[b], rows, attribute=attribute, pair=(levels[a], levels[b])))
    return found


def _compared(area: Area, rows: Values, *, attribute: str, pair: tuple[str, str]) -> Support:
    n = len(next(iter(rows.values()))) if rows else 0
    place = Support(attribute=attribute, group=pair[0], world=pair[1], n=n, columns={}, tolerance=TOLERANCE)
    if not area.nodes:
        return replace(place, why="there is no column to compare")
    if not area.known:
        return replace(place, why=f"only {area.size} people have {attribute}={pair[1]}")
    outside = int(area.outside(rows).sum())
    return replace(
        place,
        columns={node: area.beyond(node, rows) for node in area.nodes},
        outside=outside / n,
        expected=area.expected,
        p=float(stats.betabinom(n, area.rank, area.size + 1 - area.rank).sf(outside - 1)),
    )


def _some(which: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Positions of at most so many people of those marked, in a random order."""
    people = which.nonzero().squeeze(-1)
    return people[torch.randperm(len(people), generator=generator)[:most]]
