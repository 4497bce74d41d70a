"""What an explanation says."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import cast

from cfair.auditing import Json

__all__ = ["Explanation", "NodeMove", "OverCouplings", "PathShare", "Range", "WorldMove"]


@dataclass(frozen=True, slots=True)
class Range:
    """A number over posterior draws of one person's latents and noise: its mean, and an equal-tailed 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeMove:
    """A node of one person in a counterfactual world.

    Args:
        node: its name.
        factual: the name of its level, or its number; a latent's posterior mean.
        number: of a node without levels, its value.
        levels: of a node with levels, how probable each is, those that no draw has left out.
        moved: the share of draws in which it differs from the factual one.
    """

    node: str
    factual: str | float
    number: Range | None = None
    levels: Mapping[str, float] = field(default_factory=dict)
    moved: float


@dataclass(frozen=True, slots=True)
class PathShare:
    """What a path contributes to the prediction's change; the contributions of all paths add up to it.

    Args:
        path: from a protected attribute to ``prediction``; with ``...`` for all paths that end alike, where there are too many to part.
        contribution: Shapley's, in the prediction's unit.
    """

    path: tuple[str, ...]
    contribution: Range


@dataclass(frozen=True, slots=True)
class OverCouplings:
    """The range of a change over every way in which two worlds may share the noise of nodes with levels and of counts.

    Args:
        low: least mean change over draws.
        high: the largest.
        sharp: whether a coupling attains both ends; else the range may be too wide, never too narrow.
        nodes: whose couplings matter; none where the change is the same under all.
    """

    low: float
    high: float
    sharp: bool
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldMove:
    """One person in one counterfactual world.

    Args:
        world: what is done, as ``race=White``.
        prediction: the deployed prediction for the counterfactual row.
        change: by how much it differs from the factual one.
        flips: of an outcome with levels, the share of draws in which the decision differs.
        classes: of an outcome with several levels, the mean probability of each.
        nodes: the observed nodes that can move there, in the model's order.
        paths: contributions to ``change``, the largest first.
        exact: whether all coalitions of paths were asked, rather than some orders of them.
        bounds: the range of the mean change over couplings; None where it cannot be had.
        unbounded: why, if it cannot.
        outside: the share of draws whose row looks like nobody in the group; None where that cannot be said.
        why: the reason, if it cannot.
    """

    world: str
    prediction: Range
    change: Range
    flips: float | None
    classes: Mapping[str, float] = field(default_factory=dict)
    nodes: tuple[NodeMove, ...]
    paths: tuple[PathShare, ...]
    exact: bool
    bounds: OverCouplings | None
    unbounded: str | None = None
    outside: float | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One person's prediction, factual and counterfactual.

    Args:
        model: the declared model's name.
        predictor: whose prediction it is.
        outcome: what is predicted; of one with levels the prediction is the probability of ``event``.
        event: its second level, or of several the one that is explained; None of a number.
        row: the person's position in the table, 0-based.
        prediction: deployed.
        classes: of an outcome with several levels, the probability of each.
        sees: what enters the predictor's head.
        needs: the columns from which it makes that.
        factual: observed node that is evidence -> its level's name, or its number.
        latents: of each latent, its posterior given the evidence.
        worlds: in each of which the person is followed.
        draws: of the person's latents and noise.
        seed: of these.
    """

    model: str
    predictor: str
    outcome: str
    event: str | None
    row: int
    prediction: float
    classes: Mapping[str, float] = field(default_factory=dict)
    sees: tuple[str, ...]
    needs: tuple[str, ...]
    factual: Mapping[str, str | float]
    latents: tuple[NodeMove, ...]
    worlds: tuple[WorldMove, ...]
    draws: int
    seed: int

    def to_json(self) -> dict[str, Json]:
        """All of it as JSON has it."""
        document: dict[str, Json] = {"schema": 1, **asdict(self)}
        return document if self.classes else _without_classes(document)


def _without_classes(document: dict[str, Json]) -> dict[str, Json]:
    """The same of an outcome that has not several levels."""
    worlds = cast("list[dict[str, Json]]", document["worlds"])
    kept = [{key: value for key, value in world.items() if key != "classes"} for world in worlds]
    return {**{key: value for key, value in document.items() if key != "classes"}, "worlds": cast("Json", kept)}
