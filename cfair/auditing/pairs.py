"""Gaps between ordered pairs of groups, from sums over crossed groups."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

from torch import Tensor

from cfair.auditing.crossing import Crossing, Grouping, Response
from cfair.auditing.frozen import FrozenGaps
from cfair.auditing.gaps import EPSILON, FROZEN, GAPS, Gaps
from cfair.auditing.records import Curve
from cfair.comparing import Row, clipped
from cfair.interfaces import Predictor
from cfair.metrics import spread

__all__ = ["Pair", "curves", "frozen_rows", "gap_rows", "mean_error", "pairs", "readings", "worst_rows"]


def gap_rows(gaps: Gaps, crossing: Crossing) -> Iterator[Row]:
    """Every ordered pair's gap with its interval over people, and its signed mean; and everyone's at each point of a response curve."""
    for reading in readings(crossing):
        for predictor, by_gap in gaps.sums.items():
            for gap, sums in by_gap.items():
                for pair in pairs(reading, gaps.people, sums):
                    row = pair.row(predictor, gap, reading.attribute)
                    margin = NormalDist().inv_cdf(0.975) * pair.error
                    yield clipped(replace(row, low=pair.size - margin, high=pair.size + margin))
                    yield replace(row, measure=f"{gap}_signed", value=pair.signed)


def curves(gaps: Gaps, crossing: Crossing, units: Mapping[str, float]) -> Iterator[Curve]:
    """Every ordered pair's (δ, ε) curve, but for those that are 0 throughout; ``units`` are those in which EPSILON counts."""
    for reading in readings(crossing):
        for predictor, beyond in gaps.beyond.items():
            for moved in reading.moved():
                n, weight, _ = gaps.people[:, moved.cells.any(1)].sum(-1).tolist()
                delta, share = beyond[:, :, moved.cells].sum(-1).tolist()
                if any(delta):
                    yield Curve(
                        predictor=predictor,
                        attribute=reading.attribute,
                        group=moved.group,
                        world=moved.world,
                        epsilon=tuple(units[predictor] * epsilon for epsilon in EPSILON),
                        delta=tuple(total / weight for total in delta),
                        share=tuple(total / weight for total in share),
                        n=int(n),
                    )


def frozen_rows(frozen: FrozenGaps, predictors: Mapping[str, Predictor], crossing: Crossing) -> Iterator[Row]:
    """Every ordered pair's gap under frozen predictors, its interval over drawn worlds, and the two errors apart.

    The parameter error is the gap's standard deviation over the drawn worlds, the sampling error that of the mean over people. Of a
    function of the row it is the parameter error of its same-noise gap, too: in one world the two are one.
    """
    for reading in readings(crossing):
        for name, sums in frozen.mean.sums.items():
            for pair in pairs(reading, frozen.mean.people, sums[FROZEN]):
                over = spread(frozen.by_draw[name][:, pair.cells].sum(-1) / pair.weight, frozen.weights)
                row = pair.row(name, FROZEN, reading.attribute)
                yield clipped(replace(row, low=over.low, high=over.high))
                yield replace(row, measure=f"{FROZEN}_signed", value=pair.signed)
                yield replace(row, measure=f"{FROZEN}_parameter_error", value=over.sd)
                yield replace(row, measure=f"{FROZEN}_sampling_error", value=pair.error)
                if predictors[name].function_of_row:
                    yield replace(row, measure="gap_same_noise_parameter_error", value=over.sd)


def readings(crossing: Crossing) -> Iterator[Grouping | Response]:
    """By every attribute, and by all that have levels at once."""
    yield from crossing.readings()
    yield from crossing.responses()


def worst_rows(rows: Iterable[Row], min_group_size: int) -> Iterator[Row]:
    """For each predictor, gap and attribute, the largest of the pairs in ``rows`` whose group has ``min_group_size`` people or more."""
    found: dict[tuple[str, str, str | None], Row] = {}
    for row in rows:
        if row.measure in (*GAPS, FROZEN) and row.world is not None and (row.n or 0) >= min_group_size:
            key = (row.predictor, row.measure, row.attribute)
            found[key] = max(found.get(key, row), row, key=_extent)
    for row in found.values():
        yield replace(row, measure=f"{row.measure}_worst", group=None, world=None)


def _extent(row: Row) -> tuple[float, int]:
    """By which pairs are compared: the gap, and where gaps are equal but for rounding the size of the group."""
    return round(row.value or 0.0, 12), row.n or 0


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """An ordered pair of groups: how far the people of one move when they are put into the other.

    Args:
        group: in which they are; None for everyone, put at a point of a response curve.
        world: into which they are put.
        people: how many.
        weight: Σ w over them.
        size: the gap, mean |D|.
        signed: mean D.
        error: the standard error of ``size`` over people.
        cells: the crossed groups and worlds that it adds up, (groups, worlds), bool.
    """

    group: str | None
    world: str
    people: int
    weight: float
    size: float
    signed: float
    error: float
    cells: Tensor

    def row(self, predictor: str, measure: str, attribute: str) -> Row:
        """The gap without an interval."""
        return Row(
            predictor=predictor, measure=measure, attribute=attribute, group=self.group, world=self.world, value=self.size, n=self.people
        )


def pairs(reading: Grouping | Response, people: Tensor, sums: Tensor) -> Iterator[Pair]:
    """Each group that has people with each world that moves them.

    Args:
        reading: of the crossed groups and worlds.
        people: how many are in each crossed group, Σ w and Σ w², shape (3, groups).
        sums: Σ w times d̄, s̄ and d̄² of them in each world, shape (3, groups, worlds).
    """
    for moved in reading.moved():
        n, weight, square = people[:, moved.cells.any(1)].sum(-1).tolist()
        if n:
            size, signed, squares = (float(total[moved.cells].sum()) / weight for total in sums)
            error = mean_error(squares - size**2, weight**2 / square)
            yield Pair(moved.group, moved.world, int(n), weight, size, signed, error, moved.cells)


def mean_error(variance: float, people: float) -> float:
    """The standard error of a mean, sd / √(m − 1), sd dividing by the weight and m the effective number of people, (Σw)² / Σw²;
    0 of one, who has no variance.
    """
    return (max(variance, 0.0) / (people - 1)) ** 0.5 if people > 1 else 0.0
