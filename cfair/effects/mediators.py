"""The indirect effect by mediator: by the attribute's children through which it enters."""

from collections.abc import Callable, Collection
from itertools import pairwise

from torch import Tensor

from cfair.effects.shapley import shares
from cfair.graph import Graph, ancestors

__all__ = ["entries", "sequential_parts", "shapley_parts"]

Mean = Callable[[Collection[str]], Tensor]  # children of the attribute that hear x1 -> the target, of any shape


def entries(graph: Graph, attribute: str, target: str) -> tuple[str, ...]:
    """The attribute's children on the way to the target, which is none of them: the mediators by which an indirect effect enters.

    A mediator that is no child of the attribute hears of it from one that is, and its part is that one's: told apart so, no node
    hears of two levels at once, and no part depends on a coupling.
    """
    above = ancestors(graph, target)
    return tuple(node for node in graph.successors(attribute) if node in above)


def sequential_parts(mediators: Collection[str], direct: Collection[str], mean: Mean) -> list[Tensor]:
    """Of each mediator, by how much the indirect effect shrinks once it, too, hears x1, those before it doing so already.

    part_j = y(x1; M_1..M_{j−1} at x1, the rest at x0) − y(x1; M_1..M_j at x1, the rest at x0): their sum is the indirect effect
    y_{x1, W_{x0}} − y_{x1}. "At x1" is the mediator's own edge from the attribute; what follows from the mediator follows from it.

    Args:
        mediators: in topological order.
        direct: the target, where it is a child of the attribute: it hears x1 throughout.
        mean: of the target.

    Source: VanderWeele & Vansteelandt (2014), Mediation analysis with multiple mediators, section 3.
    """
    order = list(mediators)
    steps = [mean([*direct, *order[:j]]) for j in range(len(order) + 1)]
    return [before - after for before, after in pairwise(steps)]


def shapley_parts(mediators: Collection[str], direct: Collection[str], mean: Mean, *, seed: int = 0) -> Tensor:
    """The same averaged over all orders in which mediators may come to hear x1, shape (mediators, ...); of more than 8, some orders."""
    order = list(mediators)

    def lost(members: frozenset[int]) -> Tensor:
        return -mean([*direct, *(order[j] for j in sorted(members))])

    return shares(len(order), lost, seed=seed)
