"""Columns from which nothing can be learned: constant ones, and levels that their parents tell apart without fail."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cfair.data import decode
from cfair.diagnosis.records import Check, Verdict
from cfair.diagnosis.separation import separating_columns, told_apart
from cfair.inference.free import FreeParameters
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
    have it than among all others; beside latent parents, where a linear score of the observed ones parts them (see ``told_apart``). The
    weights are then as far out as the prior lets them be: predictions stay finite, and say more than the rows do.

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
    """Levels that the observed parents together tell from the others, some of these parents being numbers."""
    declared = scm.spec.nodes[node]
    observed = [parent for parent in declared.parents if not scm.spec.nodes[parent].latent]
    if all(scm.spec.nodes[parent].levels for parent in observed):
        return
    whose = "its parents tell"
    if len(observed) == len(declared.parents):
        found = _by_probability(scm, node, columns)
    else:
        whose, found = f"{' and '.join(observed)} alone tell{'s' if len(observed) == 1 else ''}", _by_programme(scm, node, columns)
    if found is not None:
        yield f"separated: {whose} {found} in every row; the prior alone keeps its weights finite"


def _by_probability(scm: SCM, node: str, columns: Columns) -> str | None:
    """The first level whose learned probabilities part those who have it from the others, if there is one."""
    distribution = scm.mechanisms[node].distribution(scm.parents(node, columns))
    for j, level in enumerate(scm.spec.nodes[node].levels):
        fitted = distribution.log_prob(torch.full_like(columns[node], float(j))).expand(columns.n)
        if _parted(fitted, columns[node] == j):
            return f"{level} from the rest"
    return None


def _by_programme(scm: SCM, node: str, columns: Columns) -> str | None:
    """The first level that a score of the observed parents parts from the others, or all levels of an ordered node, if there is one."""
    declared, level = scm.spec.nodes[node], columns[node].long()
    if "weights" not in declared.family.parameters or not FreeParameters(scm, [node]).count:
        return None
    seen = separating_columns(scm.spec, node, columns)
    present, place = level.unique(return_inverse=True)
    if declared.kind == "ordinal":
        enough = int(torch.bincount(place).min()) >= FEW
        return "its levels apart" if enough and told_apart(seen, place) else None
    for j in present.tolist():
        has = level == j
        if min(int(has.sum()), int((~has).sum())) >= FEW and told_apart(seen, has.long()):
            return f"{declared.levels[j]} from the rest"
    return None


def _parted(score: Tensor, has: Tensor) -> bool:
    """Whether all scores, (n,), of those who have a level lie above all others'."""
    few = min(int(has.sum()), int((~has).sum()))
    return few >= FEW and float(score[has].min()) > float(score[~has].max())
