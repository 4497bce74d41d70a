"""Worlds: simulated, counterfactual, and what may be asked of them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeAlias
from weakref import proxy

import numpy as np
import torch
from torch import Tensor

from cfair.errors import QueryError, nearest
from cfair.interfaces import Mechanism, Values, World
from cfair.lazy import Lazy
from cfair.scm import SCM
from cfair.settings import Setting, coded, label
from cfair.spec import ModelSpec

__all__ = ["Setting", "collapse", "counterfactual", "simulate"]

Edges: TypeAlias = Collection[tuple[str, str]]


def simulate(scm: SCM, n: int, *, seed: int = 0) -> World:
    """New people, n of them, drawn from the model with their noise: values and noise of shape (1, n).

    Raises:
        QueryError: n is not positive.
    """
    if n < 1:
        raise QueryError("rows", f"{n} people cannot be simulated", "ask for at least 1")
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Tensor] = {}
    noise: dict[str, Tensor] = {}
    for node, mechanism in scm.mechanisms.items():
        shape = (1, n) if mechanism.noise_size == 1 else (1, n, mechanism.noise_size)
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64).clamp(min=2**-54)  # 0 has no finite noise
        noise[node] = mechanism.noise(uniform)
        values[node] = mechanism.value(noise[node], scm.parents(node, values)).expand(1, n)
    return World(values, noise, (1, n), label="simulated")


def counterfactual(scm: SCM, factual: World, do: Mapping[str, Setting], *, along: Edges | None = None) -> World:
    """The world in which the same people had lived under ``do``.

    Sets each intervened node, then recomputes from the noise of ``factual`` each node of which a parent changed. A person
    none of whose parents changed at a node keeps its factual value, bit for bit.

    Args:
        scm: the model in which the question is asked.
        factual: an abducted or simulated world; values and noise of shape (draws, n).
        do: node -> level name, number in the node's own unit, level names per person, or coded values of shape (n,) or (draws, n).
        along: the active edges, as (parent, child): a node reads the parent of an active edge from the new world and every
            other parent from the factual one. None: every edge is active.

    Returns:
        A world of the same shape that shares ``factual``'s noise and moments.

    Raises:
        QueryError: ``do`` or ``along`` names a node, level or edge that the model does not have.

    Source: Pearl (2009), Causality, Theorem 7.1.7, steps 2 and 3; with ``along``, edge interventions as in Shpitser & Tchetgen
    Tchetgen (2016).
    """
    spec = scm.spec
    settings = {node: coded(spec, node, setting, factual.shape) for node, setting in do.items()}
    moving = _moving(spec, settings, None if along is None else _edges(spec, along))
    thunks: dict[str, Callable[[], Tensor]] = {}
    values = Lazy(thunks)
    new: Values = proxy(values)  # a thunk that kept the mapping that keeps the thunk would keep its tensors, too
    changed: dict[str, Tensor | bool] = {}
    for node, mechanism in scm.mechanisms.items():
        if node in settings:
            thunks[node] = partial(settings.__getitem__, node)
        elif node in moving:
            thunks[node] = partial(_value, mechanism, node, factual, _Read(spec.nodes[node].parents, moving[node], new, changed))
        else:
            thunks[node] = partial(factual.values.__getitem__, node)
    return replace(factual, values=values, label=label(spec, factual.label, do))


def collapse(values: Tensor) -> Tensor:
    """One draw, shape (1, n, ...), of values that are an expanded view because all draws agree; others as they are."""
    return values[:1] if values.stride(0) == 0 else values


class _Read(NamedTuple):
    """What a node reads.

    Args:
        parents: of the node.
        moving: those of them that it reads from the new world.
        new: the new world's values.
        changed: node -> for whom its value is another than in the factual world, where that is known already.
    """

    parents: tuple[str, ...]
    moving: Collection[str]
    new: Values
    changed: dict[str, Tensor | bool]


def _moving(spec: ModelSpec, settings: Collection[str], active: Edges | None) -> dict[str, tuple[str, ...]]:
    """Node that may move, and is not set itself -> its parents that are read from the new world."""
    moving: dict[str, tuple[str, ...]] = {}
    for node in spec.order:
        if node not in settings:
            parents = spec.nodes[node].parents
            moved = tuple(p for p in parents if (p in settings or p in moving) and (active is None or (p, node) in active))
            if moved:
                moving[node] = moved
    return moving


def _value(mechanism: Mechanism, node: str, factual: World, read: _Read) -> Tensor:
    """The node's value where a parent changed, its factual one elsewhere; shape (draws, n)."""
    moved = _moved(factual.values, read)
    if moved is False:
        return factual.values[node]
    parents = {p: _distinct((read.new if p in read.moving else factual.values)[p]) for p in read.parents}
    value = mechanism.value(collapse(factual.noise[node]), parents)
    if moved is not True:
        value = _where(moved, value, collapse(factual.values[node]))
    return value if value.shape == factual.shape else value.expand(factual.shape)


def _moved(before: Values, read: _Read) -> Tensor | bool:
    """For whom a parent's value is another; parents after one that is another for everyone are not read."""
    found: Tensor | bool = False
    for parent in read.moving:
        if parent not in read.changed:
            read.changed[parent] = _changed(before[parent], read.new[parent])
        mask = read.changed[parent]
        if mask is True:
            return True
        found = found | mask
    return found


def _changed(before: Tensor, after: Tensor) -> Tensor | bool:
    """For whom a value is another: everyone, nobody, or some, of a shape that broadcasts to (draws, n)."""
    if after is before:
        return False
    mask = _distinct(after).numpy() != _distinct(before).numpy()  # numpy compares and counts three times as fast as torch
    count = int(np.count_nonzero(mask))
    return torch.from_numpy(mask) if 0 < count < mask.size else count > 0


def _where(mask: Tensor, value: Tensor, other: Tensor) -> Tensor:
    """``value`` where ``mask`` holds, else ``other``, bit for bit; torch's own ``where`` waits on each person that it cannot guess."""
    chosen, left = value.view(torch.int64), other.view(torch.int64)
    return left.bitwise_xor(chosen).bitwise_and(mask.long().neg_()).bitwise_xor(left).view(torch.float64)


def _distinct(values: Tensor) -> Tensor:
    """Values of shape (draws, n), one of those that agree because they are an expanded view: (1, n), (draws, 1) or (1, 1)."""
    draws, people = values.stride()
    if draws and people:
        return values
    return values[: None if draws else 1, : None if people else 1]


def _edges(spec: ModelSpec, along: Edges) -> frozenset[tuple[str, str]]:
    """The active edges, once they are known to be the graph's."""
    edges = frozenset(spec.graph.edges)
    active = frozenset((parent, child) for parent, child in along)
    for parent, child in sorted(active - edges):
        known = sorted(f"{a} -> {b}" for a, b in edges)
        raise QueryError("along", f"'{parent} -> {child}' is not an edge of the graph", nearest(f"{parent} -> {child}", known))
    return active
