"""What is wrong with the rows of a table of conditional probabilities."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from cfair.errors import nearest
from cfair.spec.given import Row
from cfair.spec.mistake import ROUNDING, Mistake
from cfair.spec.places import Path
from cfair.spec.records import NodeSpec

__all__ = ["row_mistakes"]


def row_mistakes(nodes: Mapping[str, NodeSpec], node: NodeSpec, rows: Sequence[Row], path: Path) -> Iterator[Mistake]:
    """What is wrong with ``rows``, which stand at ``path``: each combination of the parents' levels has one row that sums to 1."""
    if "p" in node.parents:
        yield Mistake(
            path, "a parent is called 'p', as the probabilities of a row are", "rename the parent to fix this node's probabilities"
        )
        return
    found = [mistake for position, row in enumerate(rows) for mistake in _of_row(nodes, node, row, (*path, position))]
    yield from found or list(_repeated(node, rows, path)) or _missing(nodes, node, rows, path)


def _of_row(nodes: Mapping[str, NodeSpec], node: NodeSpec, row: Row, path: Path) -> Iterator[Mistake]:
    for parent, level in row.given.items():
        if parent not in node.parents:
            yield Mistake((*path, parent), f"'{parent}' is not a parent of this node", nearest(parent, (*node.parents, "p")))
        elif level not in nodes[parent].levels:
            yield Mistake((*path, parent), f"'{level}' is not a level of '{parent}'", nearest(level, nodes[parent].levels))
    for parent in node.parents:
        if parent not in row.given:
            yield Mistake(path, f"a row does not say which level of '{parent}' it is for", f"write {parent}: and one of its levels")
    if len(row.p) != len(node.levels):
        problem = f"{len(row.p)} probabilities for {len(node.levels)} levels"
        yield Mistake((*path, "p"), problem, "write one per level, in the order of 'levels'")
    elif abs(sum(row.p) - 1) > ROUNDING:
        yield Mistake((*path, "p"), f"the probabilities sum to {sum(row.p):g}", "make them sum to 1")


def _repeated(node: NodeSpec, rows: Sequence[Row], path: Path) -> Iterator[Mistake]:
    said = [tuple(row.given[parent] for parent in node.parents) for row in rows]
    for position, levels in enumerate(said):
        if levels in said[:position]:
            yield Mistake((*path, position), f"a second row for {_named(node, levels)}", "keep one of them")


def _missing(nodes: Mapping[str, NodeSpec], node: NodeSpec, rows: Sequence[Row], path: Path) -> Iterator[Mistake]:
    said = {tuple(row.given[parent] for parent in node.parents) for row in rows}
    missing = [levels for levels in product(*(nodes[parent].levels for parent in node.parents)) if levels not in said]
    if missing:
        more = f" (nor for {len(missing) - 1} other combinations)" if len(missing) > 1 else ""
        yield Mistake(path, f"no row for {_named(node, missing[0])}{more}", "write one row per combination of the parents' levels")


def _named(node: NodeSpec, levels: Sequence[str]) -> str:
    return ", ".join(f"{parent}={level}" for parent, level in zip(node.parents, levels, strict=True)) or "this node"
