"""Counterfactual gaps, summed over blocks of people: how far predictions move when the protected attributes do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Protocol, cast

import torch
from torch import Tensor

from cfair.auditing.crossing import Crossing, Grouping
from cfair.auditing.ranges import clipped
from cfair.auditing.records import Row
from cfair.inference import abduct
from cfair.interfaces import Columns, Predictor, Values, World
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import Setting, counterfactual

__all__ = ["GAPS", "Gaps", "block_gaps", "gap_rows", "worst_rows"]

GAPS = ("gap_same_noise", "gap_reabducted", "gap_own_model")
KEPT_BITS = 40  # of a counterfactual row's mantissas when it is inferred anew: draws that agree but for rounding become one row


class _OwnModel(Protocol):
    """A predictor that carries a working SCM of its own."""

    def deploy_under(self, columns: Values, do: Values, n: int) -> Tensor: ...


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Sums over people of how far their predictions move, by crossed factual group (first axis) and crossed world (second).

    Args:
        people: how many people are in each factual group, Σ_i w_i and Σ_i w_i² of their weights, shape (3, groups).
        sums: predictor -> gap -> Σ_i w_i times d̄_i, s̄_i and d̄_i², shape (3, groups, groups), where d̄_i = mean_d |D_id| and
            s̄_i = mean_d D_id.
    """

    people: Tensor
    sums: Mapping[str, Mapping[str, Tensor]]

    @classmethod
    def none(cls, predictors: Mapping[str, Predictor], crossing: Crossing) -> "Gaps":
        """The sums over nobody."""
        shape = (3, crossing.size, crossing.size)
        sums = {
            name: {gap: torch.zeros(shape, dtype=torch.float64) for gap in _gaps_of(predictor)} for name, predictor in predictors.items()
        }
        return cls(torch.zeros(3, crossing.size, dtype=torch.float64), sums)

    def __add__(self, other: "Gaps") -> "Gaps":
        sums = {name: {gap: total + other.sums[name][gap] for gap, total in own.items()} for name, own in self.sums.items()}
        return Gaps(self.people + other.people, sums)


def block_gaps(
    scm: SCM,
    predictors: Mapping[str, Predictor],
    crossing: Crossing,
    block: Columns,
    deployed: Mapping[str, Tensor],
    *,
    draws: int,
    seed: int,
) -> Gaps:
    """The gaps of one block of people in every world of ``crossing``.

    D_id = prediction for person i in the counterfactual world minus in the factual one. *Same noise*: both share draw d of the noise.
    *Re-abducted*: the deployed map on the counterfactual row, its own inference inside. *Own model*: the deployed map on the rows
    that the predictor's working SCM makes. Resolving nodes are held at their factual values in every world. People enter by their weights.

    A value that somebody lacks is drawn with the noise, and is then theirs: deployed maps read the row that it completes, in the factual
    world and in every other, draw by draw.

    Args:
        scm: the model in which people are moved.
        predictors: fitted.
        crossing: of the protected attributes.
        block: people of weight above 0, with the evidence.
        deployed: predictor -> its deployed predictions for the block, (n,).
        draws: posterior draws per person.
        seed: of the draws.

    Source: the distance form of Kusner et al. (2017), Definition 5.
    """
    factual = abduct(scm, block, draws=draws, seed=seed)
    before = {name: predictor.predict(factual) for name, predictor in predictors.items()}
    inferred = {name: _inferred(predictor, factual, deployed[name], whole=not block.missing) for name, predictor in predictors.items()}
    group = crossing.group(block)
    weights = torch.ones(block.n, dtype=torch.float64) if block.weights is None else block.weights
    held = {node: factual.values[node] if node in block.missing else block[node] for node in scm.spec.resolving if node in block}
    sums = Gaps.none(predictors, crossing).sums
    for world, setting in enumerate(crossing.settings()):
        do: dict[str, Setting] = {**setting, **held}
        moved = (group != world).nonzero().squeeze(-1)  # for the others the world is the factual one, and every gap exactly 0
        if not len(moved):
            continue
        after = counterfactual(scm, factual, do)
        for name, predictor in predictors.items():
            same = (predictor.predict(after) - before[name])[:, moved]
            _add(sums[name]["gap_same_noise"][:, :, world], group[moved], same, weights[moved])
            again = same if predictor.function_of_row else _reabducted(predictor, after, moved) - inferred[name][:, moved]
            _add(sums[name]["gap_reabducted"][:, :, world], group[moved], again, weights[moved])
            if predictor.invariant_in == "own":
                own = _own_moves(predictor, factual if block.missing else block, _coded(scm.spec, setting, held), deployed[name])
                _add(sums[name]["gap_own_model"][:, :, world], group[moved], own[:, moved], weights[moved])
    counted = [torch.bincount(group, each, minlength=crossing.size) for each in (torch.ones_like(weights), weights, weights.square())]
    return Gaps(torch.stack(counted), sums)


def _gaps_of(predictor: Predictor) -> tuple[str, ...]:
    """The gaps that a predictor has."""
    return GAPS if predictor.invariant_in == "own" else GAPS[:2]


def _reabducted(predictor: Predictor, world: World, people: Tensor) -> Tensor:
    """The deployed map on the rows of a counterfactual world, shape (draws, people)."""
    draws = world.shape[0]
    rows = {node: _rounded(world.values[node][:, people]).reshape(-1) for node in predictor.needs}
    return predictor.deploy(rows, draws * len(people)).reshape(draws, len(people))


def _inferred(predictor: Predictor, factual: World, deployed: Tensor, *, whole: bool) -> Tensor:
    """The deployed map on factual rows, shape (draws or 1, n): where somebody lacks a value, on the rows that its draws complete."""
    if whole or predictor.function_of_row:
        return deployed.unsqueeze(0)
    return _reabducted(predictor, factual, torch.arange(factual.shape[1]))


def _own_moves(predictor: Predictor, rows: Columns | World, do: Values, deployed: Tensor) -> Tensor:
    """How far a predictor's working SCM moves its predictions, (draws or 1, n): of whole rows, or of those that draws complete."""
    own = cast("_OwnModel", predictor)
    if isinstance(rows, Columns):
        return (own.deploy_under(rows, do, rows.n) - deployed).unsqueeze(0)
    size = rows.shape[0] * rows.shape[1]
    before = {node: rows.values[node].reshape(-1) for node in predictor.needs}
    after = own.deploy_under(before, {node: value.expand(rows.shape).reshape(-1) for node, value in do.items()}, size)
    return (after - predictor.deploy(before, size)).reshape(rows.shape)


def _rounded(values: Tensor) -> Tensor:
    """Values to KEPT_BITS bits of mantissa."""
    spare = 52 - KEPT_BITS
    bits = values.contiguous().view(torch.int64) + (1 << (spare - 1))
    return (bits & ~((1 << spare) - 1)).view(torch.float64)


def _coded(spec: ModelSpec, setting: Mapping[str, str], held: Values) -> dict[str, Tensor]:
    return {node: torch.tensor(float(spec.level(node, level)), dtype=torch.float64) for node, level in setting.items()} | dict(held)


def _add(sums: Tensor, group: Tensor, difference: Tensor, weights: Tensor) -> None:
    """Add people's moves, shape (draws, people), to one world's sums of their factual groups, shape (3, groups)."""
    size = difference.abs().mean(0)
    sums.index_add_(1, group, torch.stack([size, difference.mean(0), size.square()]) * weights)


def gap_rows(gaps: Gaps, crossing: Crossing) -> Iterator[Row]:
    """Every ordered pair's gap, and its signed mean."""
    for reading in crossing.readings():
        for predictor, by_gap in gaps.sums.items():
            for gap, sums in by_gap.items():
                for row, signed in _pairs(reading, predictor, gap, gaps.people, sums):
                    yield from (row, replace(row, measure=f"{gap}_signed", value=signed, low=None, high=None))


def worst_rows(rows: Iterable[Row], min_group_size: int) -> Iterator[Row]:
    """For each predictor, gap and attribute, the largest of the pairs in ``rows`` whose group has ``min_group_size`` people or more."""
    found: dict[tuple[str, str, str | None], Row] = {}
    for row in rows:
        if row.measure in GAPS and row.world is not None and (row.n or 0) >= min_group_size:
            key = (row.predictor, row.measure, row.attribute)
            found[key] = max(found.get(key, row), row, key=_extent)
    for row in found.values():
        yield replace(row, measure=f"{row.measure}_worst", group=None, world=None)


def _extent(row: Row) -> tuple[float, int]:
    """By which pairs are compared: the gap, and where gaps are equal but for rounding the size of the group."""
    return round(row.value or 0.0, 12), row.n or 0


def _pairs(reading: Grouping, predictor: str, gap: str, people: Tensor, sums: Tensor) -> Iterator[tuple[Row, float]]:
    """The gap from each group to each other one, with its signed mean: crossed pairs that differ in this attribute only, added up.

    The standard error is sd(d̄) / √(m − 1), sd dividing by the weight and m the effective number of people, (Σw)² / Σw².
    """
    same_others = reading.others.unsqueeze(1) == reading.others
    row = Row(predictor=predictor, measure=gap, attribute=reading.attribute, value=None)
    for a, group in enumerate(reading.names):
        n, weight, square = people[:, reading.member == a].sum(-1).tolist()
        for b, world in enumerate(reading.worlds):
            if a != b and n:
                cells = same_others & (reading.member == a).unsqueeze(1) & (reading.member == b)
                size, signed, squares = (float(total[cells].sum()) / weight for total in sums)
                margin = NormalDist().inv_cdf(0.975) * _error(max(squares - size**2, 0.0), weight**2 / square)
                yield clipped(replace(row, group=group, world=world, value=size, low=size - margin, high=size + margin, n=int(n))), signed


def _error(variance: float, people: float) -> float:
    """The standard error of a mean over so many people, effective ones where they have weights; 0 of one, who has no variance."""
    return (variance / (people - 1)) ** 0.5 if people > 1 else 0.0
