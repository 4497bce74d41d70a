"""What the effect is on: a node's number, one of its levels, or a prediction."""

from dataclasses import dataclass

from torch import Tensor

from cfair.errors import QueryError, nearest
from cfair.spec import ModelSpec

__all__ = ["Target", "target_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is averaged.

    Args:
        node: whose values are read.
        level: the position of the level whose probability is asked for; None: the value itself.
        prediction: whether the node is a function of its parents.
    """

    node: str
    level: int | None = None
    prediction: bool = False

    def read(self, values: Tensor) -> Tensor:
        """The number to be averaged, of values of the node: themselves, or 1 where they are the level; the shape stays."""
        return values if self.level is None else (values == self.level).to(values.dtype)


def target_of(spec: ModelSpec, of: str | None) -> Target:
    """The target that ``of`` names: a node, or a level of one as ``node=level``; the outcome if None.

    The value of a node with two levels is the indicator of the second, an ordinal one's the position of its level; of a node with unordered
    levels only the probability of one of them has a meaning.

    Raises:
        QueryError: there is no such node or level, or a node with unordered levels is named without one.
    """
    name = spec.outcome if of is None else of
    if name in spec.nodes:
        node = spec.nodes[name]
        if node.kind == "category" and len(node.levels) > 2:
            problem = f"the levels of '{name}' have no order, so that they have no mean"
            raise QueryError("of", problem, f"ask for the probability of one, as '{name}={node.levels[-1]}'")
        return Target(name)
    parent, equals, level = name.partition("=")
    if not equals or parent not in spec.nodes:
        raise QueryError("of", f"'{name}' is not a node", nearest(name, spec.nodes))
    return Target(parent, spec.level(parent, level))
