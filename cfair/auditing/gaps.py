"""Counterfactual gaps, summed over blocks of people: how far predictions move when the protected attributes do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from cfair.auditing.classes import by_class, extents, measured_as, single, sizes
from cfair.auditing.crossing import Crossing
from cfair.auditing.kept import Kept
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor, Values, World
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual

__all__ = ["EPSILON", "FEW", "FROZEN", "GAPS", "Batched", "Gaps", "add_moves", "add_sizes", "batched_moves", "block_gaps"]
__all__ += ["counts", "deploy_all", "each_world", "kept_as", "no_shifts", "weights_of", "world_under"]

EPSILON = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # of probability, or of the outcome's standard deviation
FEW = 0.05  # of a person's draws: of more, the person is counted
GAPS = ("gap_same_noise", "gap_reabducted", "gap_own_model")
FROZEN = "gap_frozen"  # see frozen.py
KEPT_BITS = 40  # of a counterfactual row's mantissas when it is inferred anew: draws that agree but for rounding become one row


@runtime_checkable
class Batched(Protocol):
    """A function of the row that is asked of all worlds at once, as calls of it are dear."""

    def predict_all(self, worlds: Sequence[tuple[World, Tensor]], carried: Values) -> list[Tensor]:
        """Predictions of some people, (m,) positions, in each world: (draws or 1, m[, classes]); ``carried`` holds what no world has."""
        ...


class _OwnModel(Protocol):
    """A predictor that carries a working SCM of its own."""

    def deploy_under(self, columns: Values, do: Values, n: int) -> Tensor: ...


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Sums over people of how far their predictions move, by crossed factual group (first axis) and crossed world (second).

    Args:
        people: how many people are in each factual group, Σ_i w_i and Σ_i w_i² of their weights, shape (3, groups).
        sums: predictor -> gap -> Σ_i w_i times d̄_i, s̄_i and d̄_i², shape (3, groups, worlds), where d̄_i = mean_d |D_id| and
            s̄_i = mean_d D_id.
        beyond: predictor -> of the deployed map's moves, Σ_i w_i·δ_i(ε) and Σ_i w_i·1{δ_i(ε) > FEW} for each of EPSILON, with δ_i(ε) the
            share of draws in which |D_id| > ε, shape (2, epsilons, groups, worlds).
    """

    people: Tensor
    sums: Mapping[str, Mapping[str, Tensor]]
    beyond: Mapping[str, Tensor]

    @classmethod
    def none(cls, predictors: Mapping[str, Predictor], crossing: Crossing) -> "Gaps":
        """The sums over nobody."""
        shape = (3, crossing.size, crossing.worlds)
        named = measured_as(predictors)
        sums = {name: {gap: torch.zeros(shape, dtype=torch.float64) for gap in _gaps_of(each)} for name, each in named.items()}
        beyond = {name: torch.zeros(2, len(EPSILON), *shape[1:], dtype=torch.float64) for name in named}
        return cls(torch.zeros(3, crossing.size, dtype=torch.float64), sums, beyond)

    def __add__(self, other: "Gaps") -> "Gaps":
        sums = {name: {gap: total + other.sums[name][gap] for gap, total in own.items()} for name, own in self.sums.items()}
        return Gaps(self.people + other.people, sums, {name: own + other.beyond[name] for name, own in self.beyond.items()})


def block_gaps(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    crossing: Crossing,
    block: Columns,
    deployed: Mapping[str, Tensor],
    *,
    units: Mapping[str, float],
    draws: int,
    seed: int,
) -> tuple[Gaps, Kept]:
    """The gaps of one block of people in every world of ``crossing``, and by how much each one's deployed predictions change.

    D_id = prediction for person i in the counterfactual world minus in the factual one. *Same noise*: both share draw d of the noise.
    *Re-abducted*: the deployed map on the counterfactual row, its own inference inside. *Own model*: the deployed map on the rows
    that the predictor's working SCM makes. Nodes that the spec holds keep their factual values in every world.
    People enter by their weights.

    A value that somebody lacks is drawn with the noise, and is then theirs: deployed maps read the row that it completes, in the factual
    world and in every other, draw by draw.

    Args:
        scm: the model in which people are moved.
        predictors: fitted.
        crossing: of the protected attributes.
        block: people of weight above 0, with the evidence.
        deployed: predictor -> its deployed predictions for the block, (n[, classes]).
        units: what is measured -> that in which EPSILON counts.
        draws: posterior draws per person.
        seed: of the draws.

    Source: the distance form of Kusner et al. (2017), Definition 5.
    """
    factual = abduct(scm, block, draws=draws, seed=seed)
    batched = {name: predictor for name, predictor in predictors.items() if isinstance(predictor, Batched)}
    none, everyone = Gaps.none(predictors, crossing), predictors
    predictors = {name: predictor for name, predictor in predictors.items() if name not in batched}
    before = {name: predictor.predict(factual) for name, predictor in predictors.items()}
    inferred = {name: _inferred(predictor, factual, deployed[name], whole=not block.missing) for name, predictor in predictors.items()}
    group, weights = crossing.group(block), weights_of(block)
    sums, beyond, shifts = none.sums, none.beyond, no_shifts(everyone, crossing, block.n)
    worlds = each_world(scm, crossing, block, factual)
    if batched:
        worlds = iter(made := list(worlds))
        for name, world, moved, moves in batched_moves(batched, factual, block, made):
            add_moves(Gaps(none.people, sums, beyond), shifts, name, world, moved, moves, group, weights, units[name])
    for world, do, moved, after in worlds:
        for name, predictor in predictors.items():
            same = (predictor.predict(after) - before[name])[:, moved]
            again = same if predictor.function_of_row else _reabducted(predictor, after, moved) - inferred[name][:, moved]
            found = {"gap_same_noise": same, "gap_reabducted": again}
            if predictor.invariant_in == "own":
                own = _own_moves(predictor, factual if block.missing else block, _coded(scm.spec, do), deployed[name])
                found["gap_own_model"] = own[:, moved]
            for gap, moves in found.items():
                for key, each in by_class(name, predictor, moves):
                    _add(sums[key][gap][:, :, world], group[moved], each, weights[moved])
            for key, each in by_class(name, predictor, again):
                _add_deployed(Gaps(none.people, sums, beyond), shifts, key, world, moved, each, group, weights, units[key])
    return Gaps(counts(crossing, group, weights), sums, beyond), Kept(block.rows, group, weights, kept_as(everyone, deployed), shifts)


def add_moves(
    gaps: Gaps,
    shifts: Mapping[str, Tensor],
    name: str,
    world: int,
    moved: Tensor,
    moves: Tensor,
    group: Tensor,
    weights: Tensor,
    unit: float,
) -> None:
    """Add the moves of a function of the row, (draws, m[, classes]), of the people at ``moved``, (m,), to what is kept of one world."""
    for gap in GAPS[:2]:  # the two are one
        _add(gaps.sums[name][gap][:, :, world], group[moved], moves, weights[moved])
    _add_deployed(gaps, shifts, name, world, moved, moves, group, weights, unit)


def _add_deployed(
    gaps: Gaps,
    shifts: Mapping[str, Tensor],
    name: str,
    world: int,
    moved: Tensor,
    moves: Tensor,
    group: Tensor,
    weights: Tensor,
    unit: float,
) -> None:
    """Of the deployed map's moves, (draws, m[, classes]), add how often they are large, and keep by how much each person's is."""
    _add_beyond(gaps.beyond[name][..., world], group[moved], sizes(moves) / unit, weights[moved])
    if name in shifts:
        shifts[name][world, moved] = moves.mean(0)


def no_shifts(predictors: Mapping[str, Predictor], crossing: Crossing, n: int) -> dict[str, Tensor]:
    """Zeros (worlds, n) for everything that is measured and is one number per person."""
    return {name: torch.zeros(crossing.worlds, n, dtype=torch.float64) for name in single(predictors)}


def kept_as(predictors: Mapping[str, Predictor], deployed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Deployed predictions (n,) of everything that is measured and is one number per person."""
    named = {key: values for name, each in predictors.items() for key, values in by_class(name, each, deployed[name])}
    return {name: named[name] for name in single(predictors)}


def batched_moves(
    predictors: Mapping[str, Predictor], factual: World, block: Columns, worlds: Sequence[tuple[int, object, Tensor, World]]
) -> Iterator[tuple[str, int, Tensor, Tensor]]:
    """Of functions of the row that are asked of all worlds at once: name, world, positions of those whom it moves (m,), and their moves.

    Moves have shape (draws, m), or (draws, m, classes).
    """
    everyone = torch.arange(block.n)
    for name, predictor in predictors.items():
        asked = [(factual, everyone), *((after, moved) for _, _, moved, after in worlds)]
        before, *found = cast("Batched", predictor).predict_all(asked, block.coded)
        for (world, _, moved, _), after in zip(worlds, found, strict=True):
            for key, moves in by_class(name, predictor, after - before[:, moved]):
                yield key, world, moved, moves


def each_world(
    scm: SCM, crossing: Crossing, block: Columns, factual: World
) -> Iterator[tuple[int, Mapping[str, str | Tensor], Tensor, World]]:
    """Each counterfactual world: its position, what is done, the positions of those whom it moves, and the world itself.

    Held nodes (``ModelSpec.held``), and protected attributes that nobody asks about, keep their factual values. For people who are
    where the world would put them it is the factual one, and every gap exactly 0.
    """
    group = crossing.group(block)
    for world, setting in enumerate(crossing.settings()):
        moved = (group != world).nonzero().squeeze(-1)  # a point of a response curve moves everyone
        do: dict[str, str | Tensor] = {**setting, **_held(scm, crossing, block, factual)}
        if len(moved):
            yield world, do, moved, counterfactual(scm, factual, do)


def world_under(scm: SCM, crossing: Crossing, block: Columns, factual: World, setting: Mapping[str, str | Tensor]) -> World:
    """The world of one setting of ``crossing``, for everyone in it."""
    return counterfactual(scm, factual, {**setting, **_held(scm, crossing, block, factual)})


def _held(scm: SCM, crossing: Crossing, block: Columns, factual: World) -> dict[str, Tensor]:
    """Nodes that keep their factual values in every world: held ones, and protected attributes that nobody asks about."""
    asked = {*crossing.levels, *crossing.points}
    kept = (*scm.spec.held, *(node for node in scm.spec.protected if node not in asked))
    return {node: factual.values[node] if node in block.missing else block[node] for node in kept if node in block}


def weights_of(columns: Columns) -> Tensor:
    """Everyone's weight, shape (n,); one each where there are none."""
    return torch.ones(columns.n, dtype=torch.float64) if columns.weights is None else columns.weights


def counts(crossing: Crossing, group: Tensor, weights: Tensor) -> Tensor:
    """How many people are in each crossed group, Σ w and Σ w², shape (3, groups)."""
    each = (torch.ones_like(weights), weights, weights.square())
    return torch.stack([torch.bincount(group, powers, minlength=crossing.size) for powers in each])


def _gaps_of(predictor: Predictor) -> tuple[str, ...]:
    """The gaps that a predictor has."""
    return GAPS if predictor.invariant_in == "own" else GAPS[:2]


def _reabducted(predictor: Predictor, world: World, people: Tensor) -> Tensor:
    """The deployed map on the rows of a counterfactual world, shape (draws, people[, classes])."""
    return deploy_all(predictor, [(world, people)])[0]


def deploy_all(predictor: Predictor, worlds: Sequence[tuple[World, Tensor]]) -> list[Tensor]:
    """The deployed map on the rows of some people in each of several worlds, shapes (draws, people[, classes]): all at once."""
    shapes = [(world.shape[0], len(people)) for world, people in worlds]
    rows = {node: torch.cat([_rounded(world.values[node][:, people]).reshape(-1) for world, people in worlds]) for node in predictor.needs}
    sizes = [draws * people for draws, people in shapes]
    predicted = predictor.deploy(rows, sum(sizes)).split(sizes)
    return [each.reshape(*shape, *each.shape[1:]) for each, shape in zip(predicted, shapes, strict=True)]


def _inferred(predictor: Predictor, factual: World, deployed: Tensor, *, whole: bool) -> Tensor:
    """The deployed map on factual rows, (draws or 1, n[, classes]): where somebody lacks a value, on the rows that its draws complete."""
    if whole or predictor.function_of_row:
        return deployed.unsqueeze(0)
    return _reabducted(predictor, factual, torch.arange(factual.shape[1]))


def _own_moves(predictor: Predictor, rows: Columns | World, do: Values, deployed: Tensor) -> Tensor:
    """How far a predictor's working SCM moves predictions, (draws or 1, n[, classes]): of whole rows, or of those that draws complete."""
    own = cast("_OwnModel", predictor)
    if isinstance(rows, Columns):
        return (own.deploy_under(rows, do, rows.n) - deployed).unsqueeze(0)
    size = rows.shape[0] * rows.shape[1]
    before = {node: rows.values[node].reshape(-1) for node in predictor.needs}
    after = own.deploy_under(before, {node: value.expand(rows.shape).reshape(-1) for node, value in do.items()}, size)
    return (after - predictor.deploy(before, size)).reshape(*rows.shape, *after.shape[1:])


def _rounded(values: Tensor) -> Tensor:
    """Values to KEPT_BITS bits of mantissa."""
    spare = 52 - KEPT_BITS
    bits = values.contiguous().view(torch.int64) + (1 << (spare - 1))
    return (bits & ~((1 << spare) - 1)).view(torch.float64)


def _coded(spec: ModelSpec, do: Mapping[str, str | Tensor]) -> dict[str, Tensor]:
    """What is done, coded: a level's position, or the tensor of values that are held."""
    return {
        node: at if isinstance(at, Tensor) else torch.tensor(float(spec.level(node, at)), dtype=torch.float64) for node, at in do.items()
    }


def _add(sums: Tensor, group: Tensor, moves: Tensor, weights: Tensor) -> None:
    """Add people's moves, shape (draws, people[, classes]), to one world's sums of their factual groups, shape (3, groups)."""
    add_sizes(sums, group, *extents(moves), weights)


def _add_beyond(sums: Tensor, group: Tensor, sizes: Tensor, weights: Tensor) -> None:
    """Add how often sizes, shape (draws, people), pass each of EPSILON to one world's sums, shape (2, epsilons, groups)."""
    limits = torch.tensor(EPSILON, dtype=torch.float64).reshape(-1, 1, 1)
    delta = (sizes > limits).sum(1).double() / sizes.shape[0]  # (epsilons, people)
    sums.index_add_(2, group, torch.stack([delta, (delta > FEW).double()]) * weights)


def add_sizes(sums: Tensor, group: Tensor, size: Tensor, signed: Tensor, weights: Tensor) -> None:
    """Add how far each moves on average over draws, and with its sign, both (people,), to sums of shape (3, groups)."""
    sums.index_add_(1, group, torch.stack([size, signed, size.square()]) * weights)
