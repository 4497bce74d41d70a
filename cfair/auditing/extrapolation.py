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

MANY = (1_000, 4_000)  # people moved from a group, and people of the other one with whom they are compared, at most
FEW = (200, 1_500)  # the same of intersections, of which there are many
FEWEST = 30  # people below whom a share outside says little
TOLERANCE = 0.05  # share of people by which those outside may exceed the expected one before it is said


def outside_rows(scm: SCM, crossing: Crossing, columns: Columns, known: Columns, *, seed: int) -> Iterator[Outside]:
    """For each ordered pair of groups, intersections included, how many counterfactual rows lie outside the data of the other group.

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
    held = {node: columns[node] for node in spec.held if node in columns}
    for reading in crossing.readings() if nodes else ():
        most, reference = FEW if len(reading.settings[0]) > 1 else MANY
        theirs, mine = (reading.member[crossing.group(people)] for people in (known, columns))
        areas = [Area(spec, nodes, known.take(_some(theirs == g, reference, source))) for g in range(len(reading.names))]
        for a, group in enumerate(reading.names):
            chosen = _some(mine == a, most, source)
            if not len(chosen):
                continue
            factual = abduct(scm, columns.take(chosen), draws=1, seed=seed)
            own = {node: values[chosen] for node, values in held.items()}
            for area, setting, world in zip(areas, reading.settings, reading.worlds, strict=True):
                if world != reading.worlds[a] and area.known:
                    after = counterfactual(scm, factual, {**setting, **own})
                    count = int(area.outside({node: after.values[node][0] for node in nodes}).sum())
                    expected = area.expected * len(chosen)
                    yield Outside(attribute=reading.attribute, group=group, world=world, n=len(chosen), outside=count, expected=expected)


def extrapolated(rows: tuple[Outside, ...]) -> Iterator[Assumption]:
    """What the counts say, in words; nothing where nothing was counted."""
    if not rows:
        return
    telling = [row for row in rows if row.n >= FEWEST]
    far = [row for row in telling if row.outside - row.expected > TOLERANCE * row.n]
    worst = sorted(far, key=lambda row: row.outside / row.n, reverse=True)[:3]
    shares = "; ".join(f"{row.group} -> {row.world} {row.outside:,} of {row.n:,}" for row in worst)
    pairs = f"{len(far)} of {len(telling)} pairs of groups of {FEWEST} people or more"
    found = f"{pairs} have more rows outside than {TOLERANCE:.0%} above the expected number"
    text = "Counterfactual rows lie where the other group's data are; of those outside, what is said rests on the model alone."
    yield Assumption("support", text, f"{found}{f', the most {shares}' if shares else ''}")


def _some(which: Tensor, most: int, source: torch.Generator) -> Tensor:
    """Positions of at most so many people of those marked, in a random order."""
    people = which.nonzero().squeeze(-1)
    return people[torch.randperm(len(people), generator=source)[:most]]
