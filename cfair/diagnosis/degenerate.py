"""Columns from which nothing can be learned: constant ones, and levels that their parents tell apart without fail."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cfair.data import decode
from cfair.diagnosis.records import Check, Verdict
from cfair.interfaces import Columns
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["constant", "degenerate_columns"]

FEW = 5  # people with a level below which its separation is chance


def constant(spec: ModelSpec, columns: Columns) -> tuple[str, ...]:
    """The observed nodes that have one value in every row."""
    return tuple(node for node in spec.observed if bool((columns[node] == columns[node][0]).all()))


def degenerate_columns(scm: SCM, tables: Sequence[Columns]) -> Iterator[Check]:
    """What is wrong with the rows themselves, before any model: one check per column and reason, without a p-value.

    A level is separated where a level of a discrete parent always has it, or where its learned probabilities are higher among those who
    have it than among all others. The weights are then as far out as the prior lets them be: predictions stay finite, and say
    more than the rows do.

    Args:
        scm: with its parameters learned.
        tables: the rows it was learned from, if they are known, first; then those that are tested.
    """
    spec, said = scm.spec, set[str]()
    for columns in tables:
        for node in constant(spec, columns):
            if node not in said:
                said.add(node)
                yield _check(node, columns, "variation", "not checked", _constantly(spec, node, columns))
    columns = tables[0]
    for node in spec.observed:
        if spec.nodes[node].levels and spec.nodes[node].parents and node not in said:
            for why in (*_by_level(spec, node, columns), *_by_all_parents(scm, node, columns)):
                yield _check(node, columns, "separation", "untestable", why)


def _check(node: str, columns: Columns, statistic: str, verdict: Verdict, why: str) -> Check:
    return Check(check="column", statistic=statistic, node=node, n=columns.n, verdict=verdict, why=why)


def _constantly(spec: ModelSpec, node: str, columns: Columns) -> str:
    value = decode(spec, node, columns[node][:1])[0]
    shown = f"{value:g}" if isinstance(value, float) else value
    return f"constant: {shown} in each of {columns.n:,} rows; what its mechanism says of other values comes from the prior"


def _by_level(spec: ModelSpec, node: str, columns: Columns) -> Iterator[str]:
    """Levels of a discrete parent within which the node has one level only."""
    for parent in spec.nodes[node].parents:
        for j, level in enumerate(spec.nodes[parent].levels if parent in columns else ()):
            mine = columns[node][columns[parent] == j]
            if len(mine) >= FEW and bool((mine == mine[0]).all()):
                has = decode(spec, node, mine[:1])[0]
                rows = f"each of the {len(mine):,} rows with {parent}={level} has {node}={has}"
                yield f"separated: {rows}; the prior alone keeps its weight finite"


def _by_all_parents(scm: SCM, node: str, columns: Columns) -> Iterator[str]:
    """Levels whose learned probabilities part those who have them from the others."""
    declared = scm.spec.nodes[node]
    numbers = [parent for parent in declared.parents if not scm.spec.nodes[parent].levels]
    if not numbers or set(declared.parents) & set(scm.spec.latents):
        return
    distribution = scm.mechanisms[node].distribution(scm.parents(node, columns))
    for j, level in enumerate(declared.levels):
        has = columns[node] == j
        fitted = distribution.log_prob(torch.full_like(columns[node], float(j))).expand(columns.n)
        if _parted(fitted, has):
            yield f"separated: its parents tell {level} from the rest in every row; the prior alone keeps its weights finite"
            return


def _parted(score: Tensor, has: Tensor) -> bool:
    """Whether all scores, (n,), of those who have a level lie above all others'."""
    few = min(int(has.sum()), int((~has).sum()))
    return few >= FEW and float(score[has].min()) > float(score[~has].max())
