"""How far groups lie apart under one constraint, as rows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from cfair.comparing.comparison import Comparison
from cfair.comparing.rows import Row, Said
from cfair.constraints.base import Cells, Constraint
from cfair.constraints.pairwise import Pairs, pairwise
from cfair.constraints.permutation import permuted
from cfair.constraints.treatment_equality import treatment_equality_share
from cfair.constraints.violation import Extent, Violation, undefined, violation_of

__all__ = ["apart_rows", "extent_row", "pair_name"]


def apart_rows(constraint: Constraint, cells: Cells, asked: Comparison, *, attribute: str, names: Sequence[str]) -> Iterator[Said]:
    """The difference and the ratio of groups, each two groups' difference, and the permutation p-value.

    Args:
        constraint: of decisions.
        cells: of the groups that are compared, all of which have people, (groups, 2, 2).
        asked: how they are compared.
        attribute: that divides people into the groups.
        names: of the groups.
    """
    p = permuted(constraint, cells, replicates=asked.replicates, seed=asked.seed)
    n = int(constraint.tally(cells.people)[1].sum())
    reason = f"fewer than two groups have {' or '.join(constraint.strata)}" if p is None else None
    yield Row(predictor="", measure=f"{constraint.name}_p", attribute=attribute, value=p, n=n), reason
    yield from _forms(constraint, cells, asked, attribute=attribute, names=names)
    if constraint.name == "treatment_equality":
        yield from _forms(treatment_equality_share, cells, asked, attribute=attribute, names=names)


def _forms(constraint: Constraint, cells: Cells, asked: Comparison, *, attribute: str, names: Sequence[str]) -> Iterator[Said]:
    """The largest difference, the smallest ratio, and each two groups."""
    pairs = pairwise(constraint, cells, seed=asked.seed, definition=asked.definition)
    n = int(constraint.tally(cells.people)[1].sum())
    if reason := undefined(constraint, cells, names, asked.definition):
        found = Violation(Extent(None, reason=reason), Extent(None, reason=reason), n)
    else:
        found = violation_of(constraint, cells, pairs, asked.definition)
    yield extent_row(f"{constraint.name}_difference", attribute, found.difference, n)
    yield extent_row(f"{constraint.name}_ratio", attribute, found.ratio, n)
    yield from _pair_rows(constraint, pairs, _people(constraint, cells), attribute=attribute, names=names)


def _pair_rows(constraint: Constraint, pairs: Pairs, people: Tensor, *, attribute: str, names: Sequence[str]) -> Iterator[Said]:
    """Each two groups' signed difference in each stratum; ``people``, (strata, groups), are those to whom the rate applies."""
    for s, stratum in enumerate(constraint.strata):
        measure = f"{constraint.name}_pair" + (f"[{constraint.labels[s]}]" if constraint.labels else "")
        ends = zip(*(each[s].tolist() for each in pairs.difference), strict=True)
        for g, h, (value, low, high) in zip(pairs.earlier.tolist(), pairs.later.tolist(), ends, strict=True):
            row = Row(predictor="", measure=measure, attribute=attribute, group=pair_name(names, g, h), value=None)
            row = replace(row, n=int(people[s, g] + people[s, h]))
            if value == value:  # not NaN
                yield replace(row, value=value, low=low, high=high), None
            else:
                empty = [names[each] for each in (g, h) if people[s, each] == 0]
                yield row, f"group '{empty[0]}' has no {stratum}" if empty else "a group has no errors of the kind to divide by"


def pair_name(names: Sequence[str], earlier: int, later: int) -> str:
    """A pair of groups as a report names it: the later less the earlier one."""
    return f"{names[later]} - {names[earlier]}"


def extent_row(measure: str, attribute: str, extent: Extent, n: int) -> Said:
    """A row with its interval, and why it has none."""
    return Row(predictor="", measure=measure, attribute=attribute, value=extent.value, low=extent.low, high=extent.high, n=n), extent.reason


def _people(constraint: Constraint, cells: Cells) -> Tensor:
    return constraint.tally(cells.people)[1]
