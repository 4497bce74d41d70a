"""From readings to what a decomposition says of terms, mediators and paths."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from cfair.effects.contrast import FORWARD, REVERSE, Given, Key, Question
from cfair.effects.parts import AlongPart, MediatorPart, PathPart
from cfair.effects.paths import Path, recanting
from cfair.effects.readings import Readings
from cfair.effects.records import Estimate
from cfair.effects.terms import MeanName, terms
from cfair.graph import Graph

__all__ = ["along_parts", "mediator_parts", "path_parts", "rows_of", "summing_to", "terms_of"]

AMONG: tuple[Given | None, Given] = (None, "start")  # everyone, and the people of x0: of whom parts are told


def rows_of(readings: Readings, *, reverse: bool = False, prefix: str = "") -> dict[str, Tensor]:
    """Term -> its row, a difference of two readings' rows, where both are there; of the worlds whose names have the prefix."""
    keys: Mapping[MeanName, Key] = REVERSE if reverse else FORWARD
    named = {mean: Key(f"{prefix}{key.what}", key.given) for mean, key in keys.items()}
    return terms({mean: readings.rows[key] for mean, key in named.items() if key in readings.rows})


def terms_of(readings: Readings, *, reverse: bool = False, prefix: str = "") -> dict[str, Estimate]:
    """Term -> estimate."""
    return {term: readings.estimate(row) for term, row in rows_of(readings, reverse=reverse, prefix=prefix).items()}


def mediator_parts(readings: Readings, question: Question) -> tuple[MediatorPart, ...]:
    """The part of each mediator."""

    def part(kind: str, name: str, given: Given | None) -> Estimate:
        return readings.estimate(readings.rows[Key(f"{kind}:{name}", given)])

    return tuple(
        MediatorPart(name, *(part(kind, name, given) for given in AMONG for kind in ("shapley", "sequential")))
        for name in question.mediators
    )


def path_parts(graph: Graph, readings: Readings, question: Question) -> tuple[PathPart, ...]:
    """The part of each path."""
    found = []
    for j, path in enumerate(question.paths):
        te, ett = (readings.estimate(readings.rows[Key(f"path:{j}", given)]) for given in AMONG)
        found.append(PathPart(path, te, ett, _recanting(graph, question, [path])))
    return tuple(found)


def along_parts(graph: Graph, readings: Readings, question: Question) -> tuple[AlongPart, ...]:
    """The effect along each set of paths."""
    found = []
    for j, paths in enumerate(question.along):
        te, ett = (readings.estimate(readings.rows[Key(f"along:{j}", given)]) for given in AMONG)
        found.append(AlongPart(paths, te, ett, _recanting(graph, question, paths)))
    return tuple(found)


def summing_to(readings: Readings, exact: Readings, question: Question) -> Readings:
    """Paths' readings of simulated people, moved alike so that they add up to the effect that is known exactly.

    The effect of the same people is off by what chance made of them: that much, shared among the paths, is taken from each. What is
    taken has mean 0, so that nothing is biased.
    """
    rows = dict(readings.rows)
    for given in AMONG:
        effect = exact.rows[Key("all", given)][0] - exact.rows[Key("none", given)][0]
        keys = [Key(f"path:{j}", given) for j in range(len(question.paths))]
        found = sum(float(rows[key][0]) for key in keys)
        for key in keys:
            rows[key] = rows[key].clone()
            rows[key][0] += (float(effect) - found) / len(keys)
    return replace(readings, rows=rows)


def _recanting(graph: Graph, question: Question, paths: Sequence[Path]) -> tuple[str, ...]:
    return recanting(graph, question.contrast.attribute, question.contrast.target.node, paths)
