"""How differences between groups relate to what people's predictions do when they are moved between them, in words."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from statistics import NormalDist

from cfair.auditing import Json, Row
from cfair.report.figures import Figures
from cfair.report.gaps import largest_pair
from cfair.report.numbers import ROUNDING, plain
from cfair.report.sheets import Sheet

__all__ = ["Together", "related", "together"]

TITLE = "How group differences and counterfactual gaps relate"
SMALL = 0.02  # of a probability, or of the outcome's standard deviation: moves below it are none worth speaking of
GAP, SIGNED = "gap_reabducted", "gap_reabducted_signed"  # of the deployed predictor, as the groups' means are


@dataclass(frozen=True, slots=True)
class Together:
    """A pair of groups, by how far their predictions lie apart and by how far those of one move when they are put into the other.

    Args:
        predictor: its name.
        attribute: a protected attribute.
        group: of the people who are moved.
        other: into which they are moved.
        difference: mean prediction of ``other`` minus that of ``group``.
        low: lower end of its interval, which holds for all pairs at once.
        high: upper end.
        gap: mean absolute move.
        signed: mean move.
    """

    predictor: str
    attribute: str
    group: str
    other: str
    difference: float
    low: float
    high: float
    gap: float
    signed: float

    @property
    def left(self) -> float:
        """The part of the difference that moving people does not account for."""
        return self.difference - self.signed

    @property
    def differ(self) -> bool:
        """Whether the groups can be told apart."""
        return self.low > 0 or self.high < 0


def related(figures: Figures, *, full: bool = False) -> Iterator[Sheet]:
    """A line per predictor and attribute, and words on those where one of the two hides what the other shows; nothing without both.

    Args:
        figures: of a report.
        full: of an outcome with several levels, a line per level, too.
    """
    names = figures.measured if full else figures.predictors
    everything = (each for attribute in _single(figures) for name in names for each in together(figures, name, attribute))
    found = [each for each in everything if max(each.gap, abs(each.difference)) > ROUNDING]
    if not found:
        return
    header = ("predictor", "moved", "groups\ndiffer by", "moving people\naccounts for", "left")
    rows = [(each.predictor, f"{each.group} -> {each.other}", *_numbers(each)) for each in found]
    note = (
        "Of the pair that moves furthest, or where none moves, differs most: how far the means of predictions lie apart, the mean move of "
        "the first group's people into the second, and what is left: by the declared model, what comes along accepted paths and what the "
        "attribute did not cause."
    )
    yield Sheet(title=TITLE, note=note, header=header, rows=rows, names=2, keys=2, after=tuple(_said(figures, found)))


def together(figures: Figures, predictor: str, attribute: str) -> Iterator[Together]:
    """The pair of groups that moves furthest under a predictor; where none moves, the one that differs most; nothing without figures."""
    means = _means(figures, predictor, attribute)
    pairs = [pair for first, second in permutations(means, 2) for pair in _pair(figures, predictor, attribute, means, (first, second))]
    worst = largest_pair(figures, predictor, attribute, GAP)
    if not pairs or worst is None:
        return
    if (worst.value or 0.0) > ROUNDING:
        own = [pair for pair in pairs if (pair.group, f"{attribute}={pair.other}") == (worst.group, worst.world)]
        yield from own or pairs[:0]
    else:
        yield max(pairs, key=lambda pair: pair.difference)


def _single(figures: Figures) -> list[str]:
    return [attribute for attribute in figures.leveled if " x " not in attribute]


def _means(figures: Figures, predictor: str, attribute: str) -> dict[str, Row]:
    """The mean predictions of groups that are large enough to count."""
    least = figures.option("min_group_size", 1)
    rows = ((group, figures.row(predictor, "mean_prediction", attribute, group)) for group in figures.groups[attribute])
    return {
        group: row for group, row in rows if row is not None and row.value is not None and row.low is not None and (row.n or 0) >= least
    }


def _pair(figures: Figures, predictor: str, attribute: str, means: Mapping[str, Row], pair: tuple[str, str]) -> Iterator[Together]:
    """Both figures of one ordered pair; nothing where the people were not moved."""
    first, second = pair
    gap, signed = (figures.found.get((predictor, kind, attribute, first, f"{attribute}={second}")) for kind in (GAP, SIGNED))
    if gap is None or signed is None or gap.value is None or signed.value is None:
        return
    apart = (means[second].value or 0.0) - (means[first].value or 0.0)
    margin = _wider(len(means)) * sum(_half(means[group]) ** 2 for group in pair) ** 0.5
    yield Together(predictor, attribute, first, second, apart, apart - margin, apart + margin, gap.value, signed.value)


def _half(row: Row) -> float:
    """Half of a mean's interval."""
    return ((row.high or 0.0) - (row.low or 0.0)) / 2


def _wider(groups: int) -> float:
    """How many times wider an interval of 95 % is that is to hold for all pairs of so many groups at once (Bonferroni)."""
    normal, pairs = NormalDist(), max(groups * (groups - 1) // 2, 1)
    return normal.inv_cdf(1 - 0.025 / pairs) / normal.inv_cdf(0.975)


def _numbers(each: Together) -> tuple[str, str, str]:
    scale = max(abs(each.difference), abs(each.low), abs(each.high), abs(each.signed))
    apart = f"{plain(each.difference, scale)} [{plain(each.low, scale)}, {plain(each.high, scale)}]"
    return apart, plain(_unrounded(each.signed), scale), plain(each.left, scale)


def _unrounded(value: float) -> float:
    return 0.0 if abs(value) < ROUNDING else value


def _said(figures: Figures, found: list[Together]) -> Iterator[str]:
    """What each pair shows that one of its two figures hides."""
    for each in found:
        least = SMALL * _spread(figures, each.predictor)
        if each.gap > least and _alike(figures, each):
            yield _hidden(figures, each)
        elif each.gap <= least and each.differ and abs(each.difference) > least:
            yield _not_caused(figures, each)


def _alike(figures: Figures, each: Together) -> bool:
    """Whether the groups cannot be told apart: by their decisions of a binary outcome, else by their means."""
    row = figures.row(each.predictor, "demographic_parity_difference", each.attribute)
    if row is not None and row.low is not None:
        return row.low <= 0
    return not each.differ


def _spread(figures: Figures, predictor: str) -> float:
    """1 of a probability, else the outcome's standard deviation, RMSE/√(1 − R²)."""
    rmse, r2 = (figures.row(predictor, metric) for metric in ("rmse", "r2"))
    if figures.binary or rmse is None or r2 is None or r2.value is None or r2.value >= 1:
        return 1.0
    return (rmse.value or 0.0) / math.sqrt(1 - r2.value)


def _hidden(figures: Figures, each: Together) -> str:
    """No difference, and a gap: a threshold, moves up and down, too few people to tell, or influences that cancel."""
    what = "decisions" if figures.row(each.predictor, "demographic_parity_difference", each.attribute) is not None else "mean predictions"
    opening = (
        f"by {each.attribute} under {each.predictor}: {what} of the groups cannot be told apart, and yet people of {each.group} move by "
        f"{plain(each.gap)} when they are moved to {each.other}"
    )
    if each.differ:
        return f"HIDDEN {opening}: their mean predictions do differ, by {plain(each.difference)}, on one side of the threshold."
    if abs(each.signed) < each.gap / 2:
        return f"HIDDEN {opening}, some up and some down, by {plain(each.signed)} on average: the group's mean hides it."
    if each.low <= each.signed <= each.high:
        return f"TOO FEW {opening}: what that accounts for, {plain(each.signed)}, is within the interval of the difference."
    return (
        f"HIDDEN {opening}: {plain(each.signed)} by being moved is cancelled by {plain(each.left)} {_otherwise(figures, each.attribute)}."
    )


def _not_caused(figures: Figures, each: Together) -> str:
    """A difference, and no gap."""
    apart = f"{plain(each.difference)} [{plain(each.low)}, {plain(each.high)}]"
    return (
        f"NOT MOVED by {each.attribute} under {each.predictor}: nobody's prediction moves, and yet those of {each.other} lie {apart} from "
        f"those of {each.group}, {_otherwise(figures, each.attribute)}."
    )


def _otherwise(figures: Figures, attribute: str) -> str:
    """By what groups may differ that moving people leaves as it is, as the declared graph has it."""
    model = figures.report.model
    held = [str(node) for node in _list(model.get("held"))]
    parents = [str(node) for node in _list(_mapping(model.get("causes")).get(attribute))]
    ways = []
    if held:
        ways.append(f"along paths that the DAG does not call unfair (through {', '.join(held)})")
    if parents:
        ways.append(f"by what '{attribute}' did not cause (what causes it: {', '.join(parents)})")
    if not ways:
        return f"for which the declared model, in which nothing causes '{attribute}', gives no reason but chance"
    return " or ".join(ways)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
