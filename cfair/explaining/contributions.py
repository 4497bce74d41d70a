"""Which paths make a person's prediction change."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from cfair.effects.paths import MOST_PATHS, first_paths, path_shapley
from cfair.effects.shapley import EXACT, shares
from cfair.explaining.ranges import over_draws
from cfair.explaining.records import PathShare
from cfair.interfaces import World
from cfair.scm import SCM
from cfair.worlds import Setting, counterfactual

__all__ = ["Followed", "contributions"]


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """A person with a prediction.

    Args:
        model: the SCM, with the prediction as its last node.
        target: that node.
        factual: the world of the person, (draws, 1).
        seed: of the orders of many paths.
    """

    model: SCM
    target: str
    factual: World
    seed: int


def contributions(followed: Followed, do: Mapping[str, Setting], attributes: Collection[str]) -> tuple[tuple[PathShare, ...], bool]:
    """What each path from the ``attributes`` adds to the prediction's move, the largest first; and whether these shares are exact.

    Where there are more paths than can be told apart, those that end by the same edge are one, and shares are Shapley's over these edges.

    Args:
        followed: the person.
        do: what is done; the nodes in it that are no ``attributes`` are held at their factual values.
        attributes: that are set.
    """
    every = first_paths(followed.model, list(do), followed.target)
    if len(every) > MOST_PATHS:
        return _by_last_edge(followed, do)
    among = [path for path in every if path[0] in attributes]
    found = path_shapley(followed.model, followed.factual, do, followed.target, paths=among, seed=followed.seed)
    told = [PathShare(path, over_draws(values[:, 0])) for path, values in zip(found.paths, found.values, strict=True)]
    return _largest_first(told), found.exact


def _by_last_edge(followed: Followed, do: Mapping[str, Setting]) -> tuple[tuple[PathShare, ...], bool]:
    """Shares of the edges into the prediction."""
    model, factual, target = followed.model, followed.factual, followed.target
    after = counterfactual(model, factual, do)
    read = [parent for parent in model.spec.nodes[target].parents if after.values[parent] is not factual.values[parent]]

    def gain(members: frozenset[int]) -> Tensor:
        moved = {read[j]: after.values[read[j]] for j in members}
        twin = counterfactual(model, factual, moved, along=[(parent, target) for parent in moved])
        return twin.values[target] - factual.values[target]

    values = shares(len(read), gain, seed=followed.seed)
    paths = [(parent, target) if parent in do else ("...", parent, target) for parent in read]
    return _largest_first([PathShare(path, over_draws(own[:, 0])) for path, own in zip(paths, values, strict=True)]), len(read) <= EXACT


def _largest_first(told: list[PathShare]) -> tuple[PathShare, ...]:
    return tuple(sorted(told, key=lambda share: -abs(share.contribution.value)))
