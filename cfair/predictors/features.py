"""From named columns to what a head reads, and the batches it learns from."""

from collections.abc import Callable, Collection, Iterable, Iterator

import torch
from torch import Tensor

from cfair.errors import QueryError
from cfair.heads import head_for
from cfair.heads.base import Head
from cfair.interfaces import Values, World, Worlds
from cfair.spec import ModelSpec
from cfair.weights import check_weights
from cfair.worlds import collapse

__all__ = ["Batches", "count_features", "each_block", "features", "head_of", "in_every_draw", "observed_features"]


def head_of(spec: ModelSpec, name: str, seen: Collection[str]) -> Head:
    """The head called ``name``, or the outcome's own if it is "auto", on what ``features`` makes of the nodes ``seen``."""
    levels = len(spec.nodes[spec.outcome].levels)
    return head_for(spec.outcome_kind, name)(count_features(spec, seen), max(levels, 2))


def in_every_draw(predictions: Tensor, world: World) -> Tensor:
    """Predictions (draws or 1, n[, classes]) as (draws, n[, classes])."""
    return predictions.expand(*world.shape, *predictions.shape[2:])


def count_features(spec: ModelSpec, nodes: Collection[str]) -> int:
    """How many numbers ``features`` makes of ``nodes``."""
    return sum(max(len(spec.nodes[node].levels) - 1, 1) for node in nodes)


def features(
    spec: ModelSpec,
    nodes: Collection[str],
    values: Values,
    shape: torch.Size | tuple[int, ...],
    *,
    probabilities: Values | None = None,
) -> Tensor:
    """What a head reads, shape (*shape, k): numbers as they are, a discrete node as the indicators of its levels but the first.

    Args:
        spec: declares the nodes.
        nodes: in the order of their columns.
        values: node -> (...), which broadcasts to ``shape``.
        shape: of the answer but its last dimension.
        probabilities: discrete node -> its levels' probabilities, (..., levels), which then stand for the indicators.
    """
    expected = probabilities or {}
    table = torch.zeros(1 + count_features(spec, nodes), *shape, dtype=torch.float64)  # each column contiguous; the first is no feature
    first = 1
    for node in nodes:
        levels = spec.nodes[node].levels
        last = first + count_features(spec, [node])
        if node in expected:
            table[first:last] = expected[node].expand(*shape, -1).movedim(-1, 0)[1:]
        elif levels:
            table.scatter_(0, _place(values[node], first).expand(1, *shape), 1.0)
        else:
            table[first] = values[node]
        first = last
    return table[1:].movedim(0, -1)


def _place(level: Tensor, first: int) -> Tensor:
    """The column in which each level's indicator stands where the second level's is ``first``, and 0 for the first level; int64."""
    return torch.where(level > 0, level + (first - 1), 0.0).long()


def each_block(worlds: Worlds) -> Iterable[World]:
    """Blocks of people; one world is one block."""
    return (worlds,) if isinstance(worlds, World) else worlds


class Batches(Iterable[tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]]):
    """Features, outcomes and perhaps weights of every (draw, person) pair, a block of people at a time, walked as often as a head needs.

    Args:
        worlds: abducted people, whole or in blocks.
        outcome: of all people in the order of the blocks, shape (n,).
        seen: a world's features, shape (draws or 1, n of the block, k).
        weights: of all people, shape (n,); one each if None.
        keep: which people take part, shape (n,), bool; everyone if None.

    Raises:
        QueryError: a weight is negative, not finite or missing, or (on walking) there are more or fewer outcomes than people.
    """

    def __init__(
        self,
        worlds: Worlds,
        outcome: Tensor,
        seen: Callable[[World], Tensor],
        *,
        weights: Tensor | None = None,
        keep: Tensor | None = None,
    ) -> None:
        self._worlds, self._outcome, self._seen, self._weights = each_block(worlds), outcome, seen, weights
        self._keep = torch.ones(len(outcome), dtype=torch.bool) if keep is None else keep
        if weights is not None:
            check_weights(weights, len(outcome))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]]:
        first = 0
        for world in self._worlds:
            last = first + world.shape[1]
            keep = self._keep[first:last]
            if last > len(self._outcome):
                break
            block = self._seen(world)[:, keep]
            rows = block.flatten(0, 1), self._outcome[first:last][keep].expand(block.shape[:2]).flatten()
            yield rows if self._weights is None else (*rows, self._weights[first:last][keep].expand(block.shape[:2]).flatten())
            first = last
        if first != len(self._outcome):
            raise QueryError(
                "outcome", f"{len(self._outcome)} outcomes for worlds of another number of people", "give one outcome per person"
            )


def observed_features(spec: ModelSpec, nodes: Collection[str], world: World) -> Tensor:
    """Features of a world, one draw where all agree: shape (draws or 1, n, k)."""
    values = {node: collapse(world.values[node]) for node in nodes}
    draws = max((value.shape[0] for value in values.values()), default=1)
    return features(spec, nodes, values, (draws, world.shape[1]))
