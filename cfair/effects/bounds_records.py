"""What is asked about couplings, and the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from cfair.effects.bounds_states import Active
from cfair.spec import ModelSpec
from cfair.worlds import Setting

__all__ = ["Bounds", "Grouping", "Measure", "Question"]

Measure: TypeAlias = Literal["value", "change", "gap"]
Grouping: TypeAlias = Literal["person", "population"]


@dataclass(frozen=True, slots=True)
class Question:
    """A counterfactual question whose answer may depend on couplings.

    Args:
        do: node -> what it is set to.
        target: a node, or a prediction that ``scored`` made one.
        level: asks for the target's being at this level, 1 or 0, in the place of its value.
        measure: ``value`` in the new world, its ``change`` from the factual one, or the ``gap``, the change without its sign.
        along: the active edges; None: every edge is active.
    """

    do: Mapping[str, Setting]
    target: str
    level: str | float | None = None
    measure: Measure = "value"
    along: Active = None

    def payoff(self, spec: ModelSpec, new: Tensor, old: Tensor) -> Tensor:
        """What is bounded, of the target's values in the new and in the factual world, both of one shape or broadcasting to it."""
        if self.level is not None:
            index = spec.level(self.target, self.level)
            new, old = (new == index).double(), (old == index).double()
        if self.measure == "value":
            return new
        return new - old if self.measure == "change" else (new - old).abs()


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """The range of an answer over all couplings, for each of n people, or for their mean.

    Args:
        low: shape (n,), or () of the population.
        high: of the same shape.
        value: under the couplings that the model chose, the mean over draws; a sampling error beyond an end of the range is cut off.
        exact: whether both ends are attained by a coupling; else the range may be too wide, never too narrow. Of the same shape.
        nodes: whose couplings matter, causes first.
    """

    low: Tensor
    high: Tensor
    value: Tensor
    exact: Tensor
    nodes: tuple[str, ...]

    @property
    def sharp(self) -> Literal["sharp", "outer"]:
        """Whether every end is attained by a coupling: the program over joint response functions was solved."""
        return "sharp" if bool(self.exact.all()) else "outer"

    def to_json(self) -> dict[str, object]:
        """As plain numbers, with what they are bounds over."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {
            **{name: each.tolist() for name, each in numbers.items()},
            "sharp": self.sharp,
            "nodes": list(self.nodes),
            "over": self.over,
        }

    @property
    def over(self) -> str:
        """What varies within the bounds, and what they do not cover."""
        named = ", ".join(self.nodes)
        free = f"all couplings of {named}" if named else "nothing: no coupling matters to it"
        return f"{free}; hidden confounding and errors of the model are not covered"

    def __str__(self) -> str:
        """``0.310 [0.200, 0.500] sharp, over ...``: of a population, or the means of people's."""
        value, low, high = (float(each.mean()) for each in (self.value, self.low, self.high))
        return f"{value:.3f} [{low:.3f}, {high:.3f}] {self.sharp}, over {self.over}"
