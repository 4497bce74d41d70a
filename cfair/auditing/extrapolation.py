"""Whether people put into another group look like anyone in it: where they do not, what is said of them rests on the model alone."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cfair.auditing.crossing import Crossing
from cfair.auditing.records import Assumption, Outside
from cfair.data.area import Area
from cfair.inference import abduct
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.worlds import counterfactual

__all__ = ["extrapolated", "outside_rows"]

PEOPLE = 1_000  # moved from a group at most
REFERENCE = 4_000  # people of the other group at most
TOLERANCE = 0.05  # share of people by which those outside may exceed the expected one before it is said


def outside_rows(scm: SCM, crossing: Crossing, columns: Columns, known: Columns, *, seed: int) -> Iterator[Outside]:
    """For each attribute with levels and ordered pair of these, how many counterfactual rows lie outside the data of the other group.

    One counterfactual row per person, at one draw of latents and noise, held nodes at their factual values; compared by the evidence,
    protected attributes aside. See ``Area`` for what is outside. Nothing where no column is left to compare.

    Args:
        scm: the model in which people are moved.
        crossing: of the protected attributes.
        columns: the audited people, without missing values.
        known: all people whose data are known.
        seed: of the draw, and of who is taken where there are many.
    """
    spec, source = scm.spec, torch.Generator().manual_seed(seed)
    nodes = tuple(node for node in spec.evidence if node not in spec.protected)
    for attribute, levels in crossing.levels.items() if nodes else ():
        areas = [Area(spec, nodes, known.take(_some(known[attribute] == j, REFERENCE, source))) for j in range(len(levels))]
        for a, group in enumerate(levels):
            mine = columns.take(_some(columns[attribute] == a, PEOPLE, source))
            if not mine.n:
                continue
            factual = abduct(scm, mine, draws=1, seed=seed)
            held = {node: mine[node] for node in spec.held if node in mine}
            for area, level in zip(areas, levels, strict=True):
                if level != group and area.known:
                    after = counterfactual(scm, factual, {attribute: level, **held})
                    count = int(area.outside({node: after.values[node][0] for node in nodes}).sum())
                    place = {"attribute": attribute, "group": group, "world": f"{attribute}={level}"}
                    yield Outside(**place, n=mine.n, outside=count, expected=area.expected * mine.n)


def extrapolated(rows: tuple[Outside, ...]) -> Iterator[Assumption]:
    """What the counts say, in words; nothing where nothing was counted."""
    if not rows:
        return
    far = [row for row in rows if row.outside - row.expected > TOLERANCE * row.n]
    worst = sorted(far, key=lambda row: row.outside / row.n, reverse=True)[:3]
    shares = "; ".join(f"{row.group} -> {row.world.partition('=')[2]} {row.outside:,} of {row.n:,}" for row in worst)
    found = f"{len(far)} of {len(rows)} pairs of groups have more rows outside than {TOLERANCE:.0%} above the expected number"
    text = "Counterfactual rows lie where the other group's data are; of those outside, what is said rests on the model alone."
    yield Assumption("support", text, f"{found}{f', the most {shares}' if shares else ''}")


def _some(which: Tensor, most: int, source: torch.Generator) -> Tensor:
    """Positions of at most so many people of those marked, in a random order."""
    people = which.nonzero().squeeze(-1)
    return people[torch.randperm(len(people), generator=source)[:most]]
