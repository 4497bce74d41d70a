"""From a question to its readings: summed exactly where all nodes involved are discrete, else from people who share their noise."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cfair.data import blocks
from cfair.effects.contrast import WORLDS, Contrast, Given, Key, Question, groups_of
from cfair.effects.enumeration import mean
from cfair.effects.mediators import sequential_parts, shapley_parts
from cfair.effects.monte_carlo import LEVELS, Tally, tally
from cfair.effects.paths import Path, recanting
from cfair.effects.prediction import Prediction, model_with, world_with
from cfair.effects.readings import Readings, exact_readings, tallied_readings
from cfair.effects.shapley import shares
from cfair.effects.shared import shared_by
from cfair.inference import abduct, occurrences
from cfair.interfaces import Columns, World
from cfair.scm import SCM
from cfair.worlds import simulate

__all__ = ["Work", "drawn_models", "enumerated", "followed"]

BLOCK_DRAWS = 400_000  # draws in a block: bounds the memory, and fits the processor's cache
FEW = 2_000  # people who are followed under drawn parameters: how values differ between draws does not hang on more of them
FEW_DRAWS = 20  # of the noise of each of these


@dataclass(frozen=True, slots=True)
class Work:
    """How much work to spend.

    Args:
        draws: posterior draws per abducted person.
        people: who are simulated where there is no table.
        parameter_draws: of those that the SCM holds, how many are looked at; all if None.
        seed: of all draws.
        block_rows: abducted people whose worlds are held at a time; by ``draws`` if None.
    """

    draws: int
    people: int
    parameter_draws: int | None
    seed: int
    block_rows: int | None = None


def enumerated(scm: SCM, prediction: Prediction | None, question: Question, work: Work, *, certain: bool) -> Readings:
    """Exact readings of worlds and mediators, and of paths unless a witness recants; under each draw of the parameters, too."""
    drawn, weights = drawn_models(scm, work)
    values, *others = (_exact(model_with(each, prediction), question, work.seed) for each in (scm, *drawn))
    return exact_readings(values, others, weights, certain=certain)


def followed(
    scm: SCM,
    prediction: Prediction | None,
    question: Question,
    work: Work,
    *,
    columns: Columns | None = None,
    given: Collection[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Readings:
    """Readings of people who share their noise between worlds: those of a table, abducted, or as many simulated ones.

    Args:
        scm: the model, without the prediction.
        prediction: whose effects are asked for, if not a node's.
        question: what is asked.
        work: how much to spend.
        columns: the people; None: simulated ones.
        given: the evidence of which abducted people's noise is drawn.
        progress: called with the number of people done, after each block.
    """
    drawn, weights = drawn_models(scm, work)
    few = columns if columns is None else _some(columns, question.contrast, work.seed)
    less = replace(work, draws=min(work.draws, FEW_DRAWS), people=min(work.people, 10 * FEW))

    def tallied(each: SCM, people: Columns | None, effort: Work, tell: Callable[[int], None] | None) -> Tally:
        model = model_with(each, prediction)
        worlds = _simulated(each, effort) if people is None else _abducted(each, people, given, effort)
        with_it = _told((world_with(model, world, prediction) for world in worlds), tell)
        return tally(model, with_it, question, same_noise=None if prediction is None else prediction.same_noise, seed=effort.seed)

    found = tallied(scm, columns, work, progress)
    shared = shared_by(scm, drawn, columns, question.contrast.target.node, seed=work.seed)
    others = [(tallied(each, few, less, None), None if few is None else few.weights) for each in drawn]
    return tallied_readings(found, None if columns is None else columns.weights, others, weights, shared=shared)


def _exact(model: SCM, question: Question, seed: int) -> dict[Key, float]:
    """Everything that single edges out of the attribute tell."""
    contrast = question.contrast
    groups = groups_of(model.spec, contrast)
    found = {Key(what, given): mean(model, contrast, groups[what], given) for what in WORLDS for given in (None, *LEVELS)}
    for among in (None, LEVELS[0]):
        parts = _exact_parts(model, question, groups["direct"], among, seed)
        found |= {Key(what, among): float(part) for what, part in parts.items()}
    return found


def _exact_parts(model: SCM, question: Question, direct: Collection[str], given: Given | None, seed: int) -> dict[str, Tensor]:
    """The parts of mediators and of paths, among everyone or the people of one level."""
    contrast, mediators, paths = question.contrast, question.mediators, question.paths

    def hearing(heard: Collection[str]) -> Tensor:
        return torch.tensor(mean(model, contrast, heard, given), dtype=torch.float64)

    def moved(some: Collection[Path]) -> Tensor:
        return hearing({path[1] for path in some}) - hearing(())

    def recants(some: Collection[Path]) -> bool:
        return bool(recanting(model.spec.graph, contrast.attribute, contrast.target.node, some))

    found = {f"along:{j}": moved(some) for j, some in enumerate(question.along) if not recants(some)}
    if mediators:
        steps, parts = sequential_parts(mediators, direct, hearing), shapley_parts(mediators, direct, hearing, seed=seed)
        found |= {f"sequential:{name}": part for name, part in zip(mediators, steps, strict=True)}
        found |= {f"shapley:{name}": part for name, part in zip(mediators, parts, strict=True)}
    if paths and not any(recants([path]) for path in paths):
        contributions = shares(len(paths), lambda members: moved([paths[j] for j in members]), seed=seed)
        found |= {f"path:{j}": part for j, part in enumerate(contributions)}
    return found


def drawn_models(scm: SCM, work: Work) -> tuple[list[SCM], Tensor]:
    """The model under drawn parameters, if it holds some, and the weights of the draws, shape (S,)."""
    uncertainty = scm.uncertainty
    held = uncertainty.count if uncertainty is not None and uncertainty.draws else 0
    count = held if work.parameter_draws is None else min(held, work.parameter_draws)
    weights = uncertainty.log_weights[:count].softmax(0) if uncertainty is not None else torch.zeros(0, dtype=torch.float64)
    return [scm.drawn(s) for s in range(count)], weights


def _some(columns: Columns, contrast: Contrast, seed: int) -> Columns:
    """At most about 2·``FEW`` people, at random: as many of each of the two levels as of all, weighted by what they then stand for."""
    share = torch.full((columns.n,), FEW / columns.n, dtype=torch.float64)
    for given in LEVELS:
        members = columns[contrast.attribute] == contrast.level(given)
        share = torch.where(members, share.maximum(FEW / (2 * members.sum())), share)
    share = share.clamp(max=1)
    uniform = torch.rand(columns.n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    own = torch.ones_like(share) if columns.weights is None else columns.weights
    return replace(columns, weights=own / share).take((uniform < share).nonzero().squeeze(-1))


def _abducted(scm: SCM, columns: Columns, given: Collection[str], work: Work) -> Iterator[World]:
    """The factual worlds of a table's people, a block at a time; equal people have draws of their own."""
    occurrence, done = occurrences({node: columns.coded[node] for node in given}), 0
    for block in blocks(columns, work.block_rows or max(BLOCK_DRAWS // work.draws, 1)):
        own = occurrence[done : done + block.n]
        yield abduct(scm, block, given=given, draws=work.draws, seed=work.seed, occurrence=own)
        done += block.n


def _simulated(scm: SCM, work: Work) -> Iterator[World]:
    """New people, a block at a time, each with a seed of its own."""
    starts = range(0, work.people, BLOCK_DRAWS)
    seeds = torch.randint(2**62, (len(starts),), generator=torch.Generator().manual_seed(work.seed)).tolist()
    for start, seed in zip(starts, seeds, strict=True):
        yield simulate(scm, min(BLOCK_DRAWS, work.people - start), seed=seed)


def _told(worlds: Iterator[World], progress: Callable[[int], None] | None) -> Iterator[World]:
    """The same worlds, telling after each how many people have been done."""
    done = 0
    for world in worlds:
        yield world
        done += world.shape[1]
        if progress is not None:
            progress(done)
