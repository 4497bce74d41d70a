"""The distinct rows of a world, and who has how much of each: what is alike is solved once."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cfair.interfaces import World
from cfair.scm import SCM

__all__ = ["Pairs", "Rows", "distinct_rows", "pairs_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Distinct rows, a row being one draw of one person.

    Args:
        factual: one draw of the m distinct rows, shape (1, m).
        do: node -> what it is set to, shape (m,).
        place: which row each person is in each draw, shape (draws, n), int64; one draw where all agree.
    """

    factual: World
    do: Mapping[str, Tensor]
    place: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Groups of rows within which a coupling is one and the same, each group with its rows, shape (pairs,).

    Args:
        group: of each pair, ascending, int64.
        row: of each pair, int64.
        weight: of the row in its group, summing to 1 by group.
        groups: how many there are.
    """

    group: Tensor
    row: Tensor
    weight: Tensor
    groups: int

    def mean(self, values: Tensor) -> Tensor:
        """The mean by group, shape (groups,), of what rows have, shape (m,)."""
        return torch.zeros(self.groups, dtype=torch.float64).index_add(0, self.group, self.weight * values[self.row])


def distinct_rows(scm: SCM, factual: World, do: Mapping[str, Tensor], nodes: Iterable[str]) -> Rows:
    """The rows that differ in what matters: the values, and where real the noise, of ``nodes``, and what is set.

    Args:
        scm: the model.
        factual: of shape (draws, n).
        do: node -> coded values, shape (draws, n).
        nodes: all that the answer depends on.
    """
    kept = tuple(nodes)
    read = [*(factual.values[node] for node in kept), *do.values()]
    read += [factual.noise[node] for node in kept if scm.spec.nodes[node].kind == "real"]
    draws = 1 if all(tensor.stride(0) == 0 for tensor in read) else factual.shape[0]
    n = factual.shape[1]
    key = torch.cat([tensor[:draws].reshape(draws * n, -1) for tensor in read], 1)
    distinct, place = torch.unique(key, dim=0, return_inverse=True)
    first = torch.empty(len(distinct), dtype=torch.int64).scatter_(0, place, torch.arange(draws * n))
    values = {node: factual.values[node][:draws].reshape(-1)[first].unsqueeze(0) for node in scm.spec.nodes}
    noise = _noises(scm, factual, first, draws, kept)
    rows = replace(factual, values=values, noise=noise, shape=(1, len(first)), moments=None)
    return Rows(rows, {node: value[:draws].reshape(-1)[first] for node, value in do.items()}, place.reshape(draws, n))


def _noises(scm: SCM, factual: World, first: Tensor, draws: int, kept: Collection[str]) -> dict[str, Tensor]:
    """Noise of the rows, shape (1, m, ...); nodes that do not matter, or whose coupling is what varies, have none: 0."""
    none = torch.zeros(1, len(first), dtype=torch.float64)
    noise = dict.fromkeys(scm.spec.nodes, none)
    for node in kept:
        if scm.spec.nodes[node].kind == "real":
            own = factual.noise[node][:draws]
            noise[node] = own.reshape(draws * factual.shape[1], *own.shape[2:])[first].unsqueeze(0)
    return noise


def pairs_of(place: Tensor, *, weights: Tensor | None = None) -> Pairs:
    """Each person's rows, or with ``weights`` everyone's in one group.

    Args:
        place: shape (draws, n), as in ``Rows``.
        weights: of people, shape (n,), summing to 1.
    """
    draws, n = place.shape
    if weights is not None:
        share = (weights / draws).expand(draws, n).flatten()
        row, inverse = torch.unique(place, return_inverse=True)
        weight = torch.zeros(len(row), dtype=torch.float64).index_add(0, inverse.flatten(), share)
        return Pairs(torch.zeros_like(row), row, weight, 1)
    rows = int(place.max()) + 1
    key, count = torch.unique(torch.arange(n) * rows + place, return_counts=True)
    return Pairs(key.div(rows, rounding_mode="floor"), key % rows, count.double() / draws, n)
