"""Which site's distribution changes with which site's value: the edges that a Pyro model has."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cfair.errors import SpecError
from cfair.pyro_models.program import PEOPLE, WHERE, Program

__all__ = ["check_edges"]

SHIFTS = (1, 7, 23)  # places by which people swap a node's values
SAME = 1e-9  # relative difference of two log densities that rounding may make


def check_edges(program: Program) -> None:
    """Refuse a model whose edges are not the spec's.

    For each node people swap its values and keep all others; the sites whose density at the values kept changes are its children.

    Raises:
        SpecError: an edge is declared that the model does not have, or the other way round.
    """
    found = _edges(program)
    for child, declared in program.spec.nodes.items():
        for parent in program.spec.nodes:
            edge = (parent, child) in found
            if edge and parent not in declared.parents:
                problem = f"its distribution changes with '{parent}', which the spec does not declare as its parent"
                raise SpecError(f"{WHERE}, site '{child}'", problem, f"add '{parent}' to the parents of '{child}'")
            if parent in declared.parents and not edge:
                problem = f"the spec declares '{parent}' as its parent, and its distribution does not change with it"
                raise SpecError(f"{WHERE}, site '{child}'", problem, f"take '{parent}' out of the parents of '{child}', or mend the model")


def _edges(program: Program) -> set[tuple[str, str]]:
    """All pairs (parent, child) for which swapping the parent's values changes the child's distribution."""
    before = _densities(program, {})
    found = set()
    for parent, values in program.reference.items():
        for shift in SHIFTS:
            after = _densities(program, {parent: values.roll(shift)})
            found |= {(parent, child) for child in before if child != parent and not _same(before[child], after[child])}
    return found


def _densities(program: Program, swapped: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Node -> log density of everyone's value kept, shape (PEOPLE,), at each other node's value swapped or kept."""
    with torch.no_grad():
        distributions = program.distributions({**program.reference, **swapped}, PEOPLE)
        return {node: found.log_prob(program.reference[node]) for node, found in distributions.items()}


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=SAME, atol=SAME, equal_nan=True)
