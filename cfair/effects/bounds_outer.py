"""Bounds over couplings where there is too much to go through: never too narrow, often too wide.

Coupled nodes are divided into cells, the fewer the more of them there are, and the world is followed cell by cell, in topological order:
which values each node can take there, and how likely each cell can be at most, by Fréchet's bound on the person's own level.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from cfair.effects.bounds_boxes import Box, boxed
from cfair.effects.bounds_cells import Divided, divided
from cfair.effects.bounds_reached import Node
from cfair.effects.bounds_records import Question
from cfair.effects.bounds_rows import Rows
from cfair.effects.bounds_states import TooManyError
from cfair.effects.linear_program import filled
from cfair.errors import QueryError
from cfair.scm import SCM

__all__ = ["Between", "outer"]

COUNTED = 64  # cells of a count, at most
FEW = 4  # to which counts are cut down before nodes with levels are
MOST = 250_000  # values that are asked for at a time
WORK = 2_000_000  # of all rows, if they are not too many
LEAST = 2_000  # of one row, however many there are


@dataclass(frozen=True, slots=True)
class Between:
    """The nodes that move.

    Args:
        coupled: those with levels or counts, causes first.
        moving: they and the real ones, on a path that carries the change to the target, itself included.
    """

    coupled: tuple[str, ...]
    moving: Collection[str]


def outer(scm: SCM, rows: Rows, question: Question, between: Between, *, work: int = WORK) -> tuple[Tensor, Tensor]:
    """Two numbers between which each row's expected payoff lies under every coupling, shapes (m,).

    A count's tail of probability 1e-12 is left out, as where states are gone through.

    Args:
        scm: the model.
        rows: m distinct ones.
        question: what is asked of them.
        between: the nodes that move.
        work: values that are asked for, of all rows together.

    Raises:
        TooManyError: nothing is known of the target between the values at which it could be asked for.
        QueryError: a row has a level that the model says is impossible.

    Source: Fréchet (1951); the recursion as in ``relaxed``, with what is not decided left to whatever pays most.
    """
    m = rows.factual.shape[1]
    cells, cost = _plan(scm, between.coupled, max(min(work // m, MOST), min(work, LEAST)))
    parts = [_ends(scm, _some(rows, part), question, between, cells) for part in torch.arange(m).split(max(1, MOST // cost))]
    low, high = (torch.cat(ends) for ends in zip(*parts, strict=True))
    return low, high


def _plan(scm: SCM, coupled: Sequence[str], most: int) -> tuple[dict[str, int], int]:
    """Cells of each node, so that no more than so many values are asked for; and how many they are."""
    counts = [node for node in coupled if not scm.spec.nodes[node].levels]
    cells = {node: len(scm.spec.nodes[node].levels) or COUNTED for node in coupled}
    while (cost := prod(_size(scm, node, cells[node]) for node in coupled)) > most:
        large = [node for node in counts if cells[node] > FEW] or [node for node in coupled if cells[node] > 1 and node not in counts]
        large = large or [node for node in coupled if cells[node]]
        node = max(large, key=lambda each: cells[each])
        cells[node] = cells[node] * 3 // 4 if node in counts or cells[node] == 1 else 1
    return cells, cost


def _size(scm: SCM, node: str, cells: int) -> int:
    """What a node multiplies the work by: its cells, with one for what the person is; a count is asked for at both ends of each."""
    if not cells:
        return 1
    levels = len(scm.spec.nodes[node].levels)
    return 2 * (cells + 1) if not levels else cells if cells == levels else cells + 1


def _some(rows: Rows, part: Tensor) -> Rows:
    factual = rows.factual
    values = {node: value[:, part] for node, value in factual.values.items()}
    noise = {node: each[:, part] if each.shape[1] > 1 else each for node, each in factual.noise.items()}
    cut = replace(factual, values=values, noise=noise, shape=(1, len(part)))
    return Rows(cut, {node: value[part] for node, value in rows.do.items()}, rows.place)


def _ends(scm: SCM, rows: Rows, question: Question, between: Between, cells: Mapping[str, int]) -> tuple[Tensor, Tensor]:
    """Both ends for some rows."""
    target, steps = _followed(scm, rows, question, between, cells)
    if bool((target.low.isnan() | (target.thin & target.low.isinf())).any()):
        problem = f"'{question.target}' is not a finite number in some world"
        raise QueryError("bounds over couplings", problem, "give a score that is finite everywhere")
    if not bool(target.finite.all()):
        problem = (
            f"'{question.target}' depends on too many combinations of levels to be asked for at each "
            f"({', '.join(between.coupled)}), and nothing bounds it in between"
        )
        raise TooManyError("bounds over couplings", problem, "bound the effect along fewer edges, or of a node nearer to what is set")
    own = rows.factual.values[question.target][0]
    low, high = _paid(scm, question, target, own)
    shape = (*(step.box.low.shape[j] for j, step in enumerate(steps)), len(own))
    return -_induced(-low.expand(shape), steps), _induced(high.expand(shape), steps)


def _followed(scm: SCM, rows: Rows, question: Question, between: Between, cells: Mapping[str, int]) -> tuple[Box, list[Divided]]:
    """Where the target lies in each combination of cells, and the coupled nodes' cells, causes first."""
    spec, along, m = scm.spec, question.along, rows.factual.shape[1]
    shape = (*(1 for _ in between.coupled), m)
    old = {node: Box(value.reshape(shape), value.reshape(shape)) for node, value in rows.factual.values.items()}
    new = {**old, **{node: Box(value.reshape(shape), value.reshape(shape)) for node, value in rows.do.items()}}
    steps = list[Divided]()
    for name in (node for node in spec.order if node in between.moving):
        parents = {p: (new if along is None or (p, name) in along else old)[p] for p in spec.nodes[name].parents}
        if name in between.coupled:
            before = {parent: rows.factual.values[parent][0] for parent in parents}
            steps.append(divided(scm, Node(name, rows.factual.values[name][0], before, parents, len(steps)), cells[name]))
            new[name] = steps[-1].box
        else:
            new[name] = _kept(boxed(scm, name, rows.factual.noise[name], parents), parents, old, old[name].low)
    return new[question.target], steps


def _kept(box: Box, parents: Mapping[str, Box], old: Mapping[str, Box], own: Tensor) -> Box:
    """The factual value, bit for bit, where no parent changed."""
    same = torch.ones(1, dtype=torch.bool)
    for parent, after in parents.items():
        same = same & after.thin & (after.low == old[parent].low)
    return Box(torch.where(same, own, box.low), torch.where(same, own, box.high))


def _paid(scm: SCM, question: Question, target: Box, own: Tensor) -> tuple[Tensor, Tensor]:
    """Between which two numbers the payoff lies where the target lies in a box, its factual values being ``own``, (m,)."""
    low, high = target.low, target.high
    if question.level is not None:
        index = scm.spec.level(question.target, question.level)
        low, high = ((low == index) & (high == index)).double(), ((low <= index) & (high >= index)).double()
        own = (own == index).double()
    if question.measure == "value":
        return low, high
    if question.measure == "change":
        return low - own, high - own
    ends = torch.stack([(low - own).abs(), (high - own).abs()])
    return torch.where((low <= own) & (own <= high), 0.0, ends.amin(0)), ends.amax(0)


def _induced(payoff: Tensor, steps: Sequence[Divided]) -> Tensor:
    """The largest expected payoff of each row, (m,), from that of each combination of cells, (*cells, m): the last node's first."""
    for step in reversed(steps):
        gain = payoff.transpose(-1, -2)
        payoff = (filled(gain, step.capacity.expand(gain.shape)) * gain).sum(-1)
    return payoff
