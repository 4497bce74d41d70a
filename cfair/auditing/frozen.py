"""The gap of predictors that stay as they were fitted, in worlds whose parameters are drawn: the model learned need not be the true one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.auditing.classes import by_class, extents, measured_as
from cfair.auditing.crossing import Crossing
from cfair.auditing.followed import distinct_people, followed
from cfair.auditing.gaps import FROZEN, Batched, Gaps, add_sizes, batched_moves, counts, deploy_all, each_world, weights_of
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor, World
from cfair.scm import SCM

__all__ = ["Drawn", "FrozenGaps", "frozen_gaps"]

PATHS = 3_000_000  # counterfactual rows in all worlds and draws together, beyond which people are left out at random
LEAST = 200  # people of each crossed group who are never left out
NOISES = 1_000  # draws of the noise of all distinct rows together, at least: each of few rows gets more of them


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The worlds in which people are moved: SCMs of one spec that differ in their parameters.

    Args:
        scms: one per draw.
        weights: of each draw, shape (S,), summing to 1.
    """

    scms: Sequence[SCM]
    weights: Tensor

    @classmethod
    def of(cls, scm: SCM, most: int) -> "Drawn | None":
        """The first ``most`` of the draws that ``scm`` holds of its parameters, which are in random order; None if it has none."""
        uncertainty = scm.uncertainty
        if uncertainty is None or not uncertainty.draws:
            return None
        count = min(uncertainty.count, most)
        return cls([scm.drawn(s) for s in range(count)], uncertainty.log_weights[:count].softmax(0))


@dataclass(frozen=True, slots=True, eq=False)
class FrozenGaps:
    """Sums over people of how far predictions move: of the mean over worlds, and in each world by itself.

    With d̄_is = mean_d |D_isd| of person i in world s, and v_s the weights of the worlds:

    Args:
        mean: sums as of the other gaps, of Σ_s v_s·d̄_is, of its signed version, and of its square.
        by_draw: predictor -> Σ_i w_i·d̄_is, shape (S, groups, worlds).
        weights: v_s, shape (S,).
    """

    mean: Gaps
    by_draw: Mapping[str, Tensor]
    weights: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Distinct rows, and the weight of the people who share each: everything that stays the same in all worlds."""

    rows: Columns
    group: Tensor
    weights: Tensor
    deployed: Mapping[str, Tensor]
    noises: int


def frozen_gaps(
    drawn: Drawn,
    predictors: Mapping[str, Predictor],
    crossing: Crossing,
    columns: Columns,
    *,
    draws: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> FrozenGaps:
    """How far frozen predictors move when people are moved in each of the drawn worlds.

    D_isd = f(x'_isd, a') − f(x_i, a) of person i, world s and draw d of the noise: f is the deployed map, all that is inferred in it as
    fitted; x'_isd is the counterfactual row that SCM s makes of noise abducted under SCM s. All worlds share the uniform numbers behind
    the noise, so that they differ by their parameters alone. Equal rows are followed once; where ``PATHS`` does not allow all
    rows, a random part of each crossed group stands for the whole of it.

    Args:
        drawn: the worlds.
        predictors: fitted.
        crossing: of the protected attributes.
        columns: people of weight above 0, with the evidence.
        draws: of the noise of one person in one world, at most.
        seed: of the noise, and of who is left out.
        progress: called with the share of the work that is done.

    Source: Kusner et al. (2017), Definition 5, in another SCM than the one that was learned, as Zhou et al. (2024) judge predictors.
    """
    most = max(PATHS // (len(drawn.scms) * crossing.size * max(crossing.worlds - 1, 1)), LEAST)
    some = followed(columns, crossing, most=most, seed=seed)
    people = _people(drawn, predictors, crossing, some, draws)
    shape = (len(drawn.scms), crossing.size, crossing.worlds)
    named = measured_as(predictors)
    by_draw = {name: torch.zeros(shape, dtype=torch.float64) for name in named}
    mean = {name: torch.zeros(2, crossing.worlds, people.rows.n, dtype=torch.float64) for name in named}
    for s, scm in enumerate(drawn.scms):
        for name, world, moved, moves in _moves(scm, predictors, crossing, people, seed):
            size, signed = extents(moves)
            by_draw[name][s, :, world].index_add_(0, people.group[moved], people.weights[moved] * size)
            mean[name][:, world, moved] += drawn.weights[s] * torch.stack([size, signed])
        if progress is not None:
            progress((s + 1) / len(drawn.scms))
    counted = counts(crossing, crossing.group(some), weights_of(some))
    return FrozenGaps(
        Gaps(counted, {name: {FROZEN: _sums(own, people, crossing.size)} for name, own in mean.items()}, {}), by_draw, drawn.weights
    )


def _people(drawn: Drawn, predictors: Mapping[str, Predictor], crossing: Crossing, columns: Columns, draws: int) -> _People:
    """What is followed through all worlds; of few rows, each by more draws of its noise."""
    spec = drawn.scms[0].spec
    read = {*spec.evidence, *spec.protected, *(node for predictor in predictors.values() for node in predictor.needs)}
    read |= {node for node in spec.held if node in columns}
    rows, weights = distinct_people(columns, read, weights_of(columns))
    deployed = {name: predictor.deploy(rows, rows.n) for name, predictor in predictors.items()}
    return _People(rows, crossing.group(rows), weights, deployed, min(-(-NOISES // rows.n), draws))


def _moves(
    scm: SCM, predictors: Mapping[str, Predictor], crossing: Crossing, people: _People, seed: int
) -> Iterator[tuple[str, int, Tensor, Tensor]]:
    """Of one drawn world: what is measured, counterfactual world, positions of those whom it moves (m,), and their moves.

    Moves have shape (draws, m), or (draws, m, classes).
    """
    factual = abduct(scm, people.rows, draws=people.noises, seed=seed)
    made = list(each_world(scm, crossing, people.rows, factual))
    worlds = [(world, moved, after) for world, _, moved, after in made]
    batched = {name: predictor for name, predictor in predictors.items() if isinstance(predictor, Batched)}
    yield from batched_moves(batched, factual, people.rows, made)
    for name, predictor in predictors.items():
        if name in batched:
            continue
        for world, moved, moves in _own_moves(predictor, factual, worlds, people.deployed[name]):
            yield from ((key, world, moved, each) for key, each in by_class(name, predictor, moves))


def _own_moves(
    predictor: Predictor, factual: World, worlds: Sequence[tuple[int, Tensor, World]], deployed: Tensor
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """World, positions of those whom it moves (m,), and their moves (draws, m[, classes]), of one predictor."""
    if predictor.function_of_row:
        before = predictor.predict(factual)
        yield from ((world, moved, (predictor.predict(after) - before)[:, moved]) for world, moved, after in worlds)
    elif worlds:
        found = deploy_all(predictor, [(after, moved) for _, moved, after in worlds])
        for (world, moved, _), own in zip(worlds, found, strict=True):
            yield world, moved, own - deployed[moved]


def _sums(mean: Tensor, people: _People, groups: int) -> Tensor:
    """The sums of people's moves, averaged over worlds, shape (2, worlds, rows), by factual group and world: (3, groups, worlds)."""
    sums = torch.zeros(3, groups, mean.shape[1], dtype=torch.float64)
    for world in range(mean.shape[1]):
        size, signed = mean[:, world]
        add_sizes(sums[:, :, world], people.group, size, signed, people.weights)
    return sums
