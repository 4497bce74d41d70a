"""Means in worlds that share their noise: of abducted or simulated people, a block at a time."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import torch
from torch import Tensor

from cfair.effects.contrast import SAME_NOISE, WORLDS, Contrast, Given, Key, Question, groups_of
from cfair.effects.mediators import sequential_parts, shapley_parts
from cfair.effects.paths import along_paths
from cfair.effects.shapley import shares
from cfair.errors import QueryError
from cfair.interfaces import Measured, World
from cfair.lazy import Lazy
from cfair.scm import SCM
from cfair.weights import evened
from cfair.worlds import counterfactual

__all__ = ["LEVELS", "Tally", "measured", "tally", "tally_of_facts"]

LEVELS: tuple[Given, ...] = get_args(Given)


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What each person adds to each mean; means are ratios Σ w·added / Σ w·counted.

    Args:
        added: key -> mean over draws of y·m, shape (n,), with m how much the person belongs to those whose mean is asked for.
        counted: level, or None for everyone -> mean over draws of m, shape (n,).
    """

    added: Mapping[Key, Tensor]
    counted: Mapping[Given | None, Tensor]


def tally(
    scm: SCM, worlds: Iterable[World], question: Question, *, same_noise: Callable[[World], Tensor] | None = None, seed: int = 0
) -> Tally:
    """What each of the people in ``worlds`` adds: all terms from the same draws and the same noise.

    y in the worlds "none" (x0), "all" (x1), "direct" (y_{x1, W_{x0}}) and "rest" (y_{x0, W_{x1}}), by ``counterfactual`` along edges.
    A person belongs to a level of a discrete attribute if that is theirs, m = 1 or 0; nobody has just one value of a continuous one,
    and m is the density p(x | pa_A) there, since with A set no y depends on A's own noise: E[y_x'|A=x] = E[y_x'·m]/E[m].

    Args:
        scm: in which worlds are made.
        worlds: the people, abducted or simulated, in blocks.
        question: what is asked.
        same_noise: predictions of a world whose inference is not done anew, beside the target.
        seed: of sampled orders, where mediators or paths are many.
    """
    parts = [_block(scm, world, question, same_noise, seed) for world in worlds]
    return Tally(
        {key: torch.cat([part.added[key] for part in parts]) for key in parts[0].added},
        {given: torch.cat([part.counted[given] for part in parts]) for given in parts[0].counted},
    )


def tally_of_facts(values: Tensor, attribute: Tensor, contrast: Contrast) -> Tally:
    """What people add to the means of their two groups, all that can be had where nobody knows the values of other worlds.

    Args:
        values: of the target, shape (n,).
        attribute: of the people, shape (n,).
        contrast: the levels.
    """
    members = {given: (attribute == contrast.level(given)).to(torch.float64) for given in LEVELS}
    keys: dict[Given, Key] = {"start": Key("none", "start"), "end": Key("all", "end")}
    return Tally({keys[given]: values * m for given, m in members.items()}, {given: members[given] for given in LEVELS})


def measured(found: Tally, key: Key, weights: Tensor | None = None) -> Measured:
    """A mean θ with people's influence on it, w·(added − θ·counted)/E[w·counted], and how many people have a weight above 0.

    Args:
        found: of n people.
        key: one of ``found.added``.
        weights: of the people, (n,); None: one each.

    Raises:
        QueryError: nobody is anywhere near a value of the attribute.
    """
    added, counted = found.added[key], found.counted[key.given]
    own = torch.ones_like(added) if weights is None else evened(weights)
    people = int((own > 0).sum())
    total = (own * counted).sum()
    if not total > 0:
        problem = "the density of the attribute is 0 for everybody at a value that is compared: nobody is anywhere near it"
        raise QueryError("attribute", problem, "compare values that people have")
    value = (own * added).sum() / total
    return Measured(float(value), own * (added - value * counted) * (people / total), people)


def _block(scm: SCM, factual: World, question: Question, same_noise: Callable[[World], Tensor] | None, seed: int) -> Tally:
    """What the people of one block add."""
    contrast = question.contrast
    members = {given: _membership(scm, factual, contrast, given) for given in LEVELS}
    values = _values(scm, factual, question, seed)
    if same_noise is not None:
        values |= _with_same_noise(scm, factual, contrast, same_noise)
    added = {Key(what): value.mean(0) for what, value in values.items()}
    for what, value in values.items():
        among = LEVELS if what.removeprefix(SAME_NOISE) in WORLDS else LEVELS[:1]
        added |= {Key(what, given): (value * members[given]).mean(0) for given in among}
    everyone = torch.ones(factual.shape[1], dtype=torch.float64)
    return Tally(added, {None: everyone, **{given: m.mean(0) for given, m in members.items()}})


def _membership(scm: SCM, factual: World, contrast: Contrast, given: Given) -> Tensor:
    """How much each person and draw belongs to a level of the attribute, shape (draws, n)."""
    attribute, level = contrast.attribute, contrast.level(given)
    if scm.spec.nodes[attribute].kind != "real":
        return (factual.values[attribute] == level).to(torch.float64).expand(factual.shape)
    density = scm.mechanisms[attribute].distribution(scm.parents(attribute, factual.values)).log_prob(level).exp()
    return density.expand(factual.shape)


def _values(scm: SCM, factual: World, question: Question, seed: int) -> dict[str, Tensor]:
    """Everything that is averaged, of each draw and person, shape (draws, n)."""
    hearing = _hearing(scm, factual, question.contrast)
    groups = groups_of(scm.spec, question.contrast)
    values = {what: hearing(heard) for what, heard in groups.items()}
    if question.mediators:
        steps = sequential_parts(question.mediators, groups["direct"], hearing)
        parts = shapley_parts(question.mediators, groups["direct"], hearing, seed=seed)
        values |= {f"sequential:{name}": part for name, part in zip(question.mediators, steps, strict=True)}
        values |= {f"shapley:{name}": part for name, part in zip(question.mediators, parts, strict=True)}
    return values | _by_path(scm, factual, question, seed)


def _with_same_noise(scm: SCM, factual: World, contrast: Contrast, predict: Callable[[World], Tensor]) -> dict[str, Tensor]:
    """Predictions in the worlds of the terms, of what was inferred once; in the mixed ones the attribute's column alone is another's."""
    attribute, levels = contrast.attribute, {given: contrast.level(given) for given in LEVELS}
    worlds = {given: counterfactual(scm, factual, {attribute: level}) for given, level in levels.items()}

    def showing(world: World, level: Tensor) -> World:
        thunks = {node: partial(world.values.__getitem__, node) for node in world.values}
        return replace(world, values=Lazy({**thunks, attribute: partial(level.expand, world.shape)}))

    made = {
        "none": worlds["start"],
        "all": worlds["end"],
        "direct": showing(worlds["start"], levels["end"]),
        "rest": showing(worlds["end"], levels["start"]),
    }
    return {f"{SAME_NOISE}{what}": predict(world) for what, world in made.items()}


def _by_path(scm: SCM, factual: World, question: Question, seed: int) -> dict[str, Tensor]:
    """Each path's contribution, and the effect along each set of paths: y moves from world x0, shape (draws, n)."""
    contrast, target = question.contrast, question.contrast.target
    before = counterfactual(scm, factual, {contrast.attribute: contrast.level("start")})
    do = {contrast.attribute: contrast.level("end")}

    def moved(paths: Collection[tuple[str, ...]]) -> Tensor:
        return target.read(along_paths(scm, before, do, paths, target.node)) - target.read(before.values[target.node])

    found = {f"along:{j}": moved(paths) for j, paths in enumerate(question.along)}
    if question.paths:
        parts = shares(len(question.paths), lambda members: moved([question.paths[j] for j in members]), seed=seed)
        found |= {f"path:{j}": part for j, part in enumerate(parts)}
    return found


def _hearing(scm: SCM, factual: World, contrast: Contrast) -> Callable[[Collection[str]], Tensor]:
    """From children of the attribute that hear x1, the others hearing x0, to the target's values, shape (draws, n).

    Whoever is at x1 already keeps the factual value, bit for bit, in the world in which all children hear x1.
    """
    attribute, target = contrast.attribute, contrast.target
    worlds = {given: counterfactual(scm, factual, {attribute: contrast.level(given)}) for given in LEVELS}

    relevant = set(groups_of(scm.spec, contrast)["all"])

    def value(heard: Collection[str]) -> Tensor:
        if not heard or set(heard) == relevant:
            return target.read(worlds["end" if heard else "start"].values[target.node])
        edges = [edge for edge in scm.spec.graph.edges if edge[0] != attribute or edge[1] in heard]
        after = counterfactual(scm, worlds["start"], {attribute: contrast.level("end")}, along=edges)
        return target.read(after.values[target.node])

    return value
