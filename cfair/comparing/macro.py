"""An outcome with several levels: measures averaged over each level against all others, as rows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cfair.comparing.apart import extent_row
from cfair.comparing.comparison import Comparison
from cfair.comparing.people import Division
from cfair.comparing.rows import Row, Said
from cfair.constraints import CONSTRAINTS, GROUP_RATES, Cells
from cfair.constraints.classes import macro_rate, macro_violation

__all__ = ["macro_rows"]

ALWAYS_EVEN = ("selection_rate", "base_rate")  # rates that add up to 1 over levels: their mean is 1/K in every group


def macro_rows(division: Division, cells: Cells, levels: Sequence[str], asked: Comparison, each: Sequence[Row]) -> Iterator[Said]:
    """Each group's macro rates, and the mean over levels of how far groups lie apart; all levels count alike.

    Args:
        division: of the people.
        cells: of shape (groups, K, K).
        levels: of the outcome.
        asked: how they are compared.
        each: the rows of each level against all others: the macro p-value, of no difference in any level, is the smallest of theirs times
            their number, at most 1 (Bonferroni).
    """
    yield from _rates(division, cells, asked)
    large = cells.people.sum((-2, -1)) >= max(asked.min_group_size, 1)
    names = [name for name, kept in zip(division.names, large.tolist(), strict=True) if kept]
    for name in asked.constraints:
        if CONSTRAINTS[name].of == "decisions":
            found = macro_violation(CONSTRAINTS[name], cells[large], names, levels, seed=asked.seed, definition=asked.definition)
            yield extent_row(f"{name}_difference[macro]", division.attribute, found.difference, found.n)
            yield extent_row(f"{name}_ratio[macro]", division.attribute, found.ratio, found.n)
            ps = [row.value for row in each if row.measure.startswith(f"{name}_p[")]
            known = [p for p in ps if p is not None]
            p = min(1.0, len(known) * min(known)) if known else None
            row = Row(predictor="", measure=f"{name}_p[macro]", attribute=division.attribute, value=p, n=found.n)
            yield row, None if known else "no level has one"


def _rates(division: Division, cells: Cells, asked: Comparison) -> Iterator[Said]:
    people = cells.people.sum((-2, -1)).tolist()
    for measure, tally in GROUP_RATES.items():
        if measure in ALWAYS_EVEN:
            continue
        found = macro_rate(tally, cells, replicates=asked.replicates, seed=asked.seed)
        for g, group in enumerate(division.names):
            value, low, high = (end[g].item() for end in found)
            row = Row(predictor="", measure=f"{measure}[macro]", attribute=division.attribute, group=group, value=None, n=int(people[g]))
            if value == value:  # not NaN
                yield replace(row, value=value) if low != low else replace(row, value=value, low=low, high=high), None
            elif people[g]:
                yield row, f"group '{group}' has nobody to whom that of a level applies"
