"""What is asked: two levels of an attribute, a target, and by which edges and paths the second level reaches it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from cfair.effects.paths import Path
from cfair.effects.targets import Target
from cfair.effects.terms import MeanName
from cfair.graph import ancestors
from cfair.spec import ModelSpec

__all__ = ["FORWARD", "REVERSE", "SAME_NOISE", "WORLDS", "Contrast", "Given", "Key", "Question", "children_of", "groups_of"]

Given: TypeAlias = Literal["start", "end"]  # among the people of that level; None: among all

SAME_NOISE = "same noise:"  # before the name of a world in which a prediction's own inference is not done anew
WORLDS = ("none", "all", "direct", "rest")  # by what hears x1 of the attribute: nothing, everything, the target alone, all but the target


class Key(NamedTuple):
    """One mean, or one part of an effect.

    Args:
        what: one of ``WORLDS``; or "<kind>:<name>" of a mediator's or a path's part.
        given: among whom; None: everyone.
    """

    what: str
    given: Given | None = None


FORWARD: Mapping[MeanName, Key] = {
    "seen_start": Key("none", "start"),  # E[y | x0] is E[y_{x0} | x0]: what happened changes nothing
    "seen_end": Key("all", "end"),
    "start": Key("none"),
    "end": Key("all"),
    "end_given_start": Key("all", "start"),
    "direct": Key("direct"),
    "direct_given_start": Key("direct", "start"),
}
REVERSE: Mapping[MeanName, Key] = {
    "seen_start": Key("all", "end"),
    "seen_end": Key("none", "start"),
    "start": Key("all"),
    "end": Key("none"),
    "end_given_start": Key("none", "end"),
    "direct": Key("rest"),
    "direct_given_start": Key("rest", "end"),
}


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two levels of an attribute, and the target on which their difference is to tell.

    Args:
        attribute: what is set.
        start: its coded value x0.
        end: its coded value x1.
        target: what is averaged.
    """

    attribute: str
    start: float
    end: float
    target: Target

    def level(self, which: Given) -> Tensor:
        """x0 or x1, shape ()."""
        return torch.tensor(self.start if which == "start" else self.end, dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class Question:
    """A contrast, and what is to be told apart in it.

    Args:
        contrast: the levels and the target.
        mediators: the attribute's children by which the indirect effect enters, in topological order.
        paths: whose contributions are asked for; they are all there are, or a choice.
        along: sets of paths, the effect along each of which is asked for.
    """

    contrast: Contrast
    mediators: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    along: tuple[tuple[Path, ...], ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What is read of every person beside the worlds of the terms, as in ``Key``."""
        mediators = [f"{kind}:{name}" for kind in ("sequential", "shapley") for name in self.mediators]
        return (*mediators, *(f"path:{j}" for j in range(len(self.paths))), *(f"along:{j}" for j in range(len(self.along))))


def children_of(spec: ModelSpec, contrast: Contrast) -> tuple[str, ...]:
    """The attribute's children by which it reaches the target, which may be one of them, in topological order."""
    target = contrast.target.node
    reaching = {target, *ancestors(spec.graph, target)}
    return tuple(node for node in spec.order if contrast.attribute in spec.nodes[node].parents and node in reaching)


def groups_of(spec: ModelSpec, contrast: Contrast) -> dict[str, tuple[str, ...]]:
    """The worlds that all terms are made of: its name -> the children of the attribute that hear x1 in it, the others hearing x0."""
    children = children_of(spec, contrast)
    direct, rest = _parted(children, contrast.target.node)
    return dict(zip(WORLDS, ((), children, direct, rest), strict=True))


def _parted(children: Sequence[str], target: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The target, if it is a child, and the others."""
    return tuple(node for node in children if node == target), tuple(node for node in children if node != target)
