"""Sums over all values of discrete nodes: a factor per node, eliminated one node after another."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from cfair.scm import SCM

__all__ = ["Factor", "factor_of", "grid", "largest_table", "summed"]


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A function of some discrete nodes.

    Args:
        scope: the nodes.
        table: its values, one dimension per node of the scope, of its number of levels.
    """

    scope: tuple[str, ...]
    table: Tensor


def factor_of(scm: SCM, node: str, held: Mapping[str, float]) -> Factor:
    """P(node | parents) as a table over its parents and itself, ``held`` ones being held at a level and not in the scope.

    What couples the node's noise between worlds plays no part: only its distribution is read.
    """
    spec = scm.spec.nodes[node]
    free = [parent for parent in spec.parents if parent not in held]
    parents = {name: values.unsqueeze(-1) for name, values in grid(scm, free).items()}
    parents |= {parent: torch.tensor([held[parent]], dtype=torch.float64) for parent in spec.parents if parent in held}
    levels = torch.arange(len(spec.levels), dtype=torch.float64)
    log_p = scm.mechanisms[node].distribution(parents).log_prob(levels)
    return Factor((*free, node), log_p.exp().expand(*_sizes(scm, free), len(levels)))


def grid(scm: SCM, nodes: Sequence[str]) -> dict[str, Tensor]:
    """Each node's levels along a dimension of its own, so that together they broadcast to all combinations."""
    shapes = {node: [len(scm.spec.nodes[node].levels) if other == node else 1 for other in nodes] for node in nodes}
    return {node: torch.arange(max(shape), dtype=torch.float64).reshape(shape) for node, shape in shapes.items()}


def summed(factors: Sequence[Factor], keep: Sequence[str]) -> Tensor:
    """Σ of the product of the factors over every node but ``keep``, one dimension per node of ``keep`` in its order.

    Source: Zhang & Poole (1994), A simple approach to Bayesian network computations: variable elimination.
    """
    left = list(factors)
    for node in _order([factor.scope for factor in factors], keep, _levels(factors)):
        touching = [factor for factor in left if node in factor.scope]
        scope = tuple(dict.fromkeys(name for factor in touching for name in factor.scope if name != node))
        left = [factor for factor in left if node not in factor.scope] + [Factor(scope, _product(touching, scope))]
    return _product(left, keep)


def largest_table(scm: SCM, nodes: Collection[str], keep: Collection[str], without: str) -> int:
    """How many numbers the largest table has on the way of ``summed`` over the factors of ``nodes``, their parent ``without`` held."""
    sizes = {node: max(len(scm.spec.nodes[node].levels), 1) for node in scm.spec.nodes}
    scopes = [tuple(name for name in (*scm.spec.nodes[node].parents, node) if name != without) for node in nodes]
    largest = [prod(sizes[name] for name in scope) for scope in (*scopes, tuple(keep))]
    for node in _order(scopes, keep, sizes):
        touched = {name for scope in scopes if node in scope for name in scope}
        largest.append(prod(sizes[name] for name in touched))
        scopes = [scope for scope in scopes if node not in scope] + [tuple(touched - {node})]
    return max(largest)


def _order(scopes: Sequence[tuple[str, ...]], keep: Collection[str], sizes: Mapping[str, int]) -> list[str]:
    """The nodes to sum out, each time one whose elimination makes the smallest table."""
    left = [set(scope) for scope in scopes]
    waiting = dict.fromkeys(name for scope in scopes for name in scope if name not in keep)
    order = []
    while waiting:
        unions = {node: set().union(*(scope for scope in left if node in scope)) for node in waiting}
        node = min(waiting, key=lambda each: prod(sizes[name] for name in unions[each]))
        left = [scope for scope in left if node not in scope] + [unions[node] - {node}]
        order.append(node)
        del waiting[node]
    return order


def _product(factors: Sequence[Factor], scope: Sequence[str]) -> Tensor:
    """Σ of the product over every node that is not in ``scope``."""
    if not factors:
        return torch.ones((), dtype=torch.float64)
    place = {name: i for i, name in enumerate(dict.fromkeys([*scope, *(name for factor in factors for name in factor.scope)]))}
    operands = [part for factor in factors for part in (factor.table, [place[name] for name in factor.scope])]
    product: Tensor = torch.einsum(*operands, [place[name] for name in scope])
    return product


def _sizes(scm: SCM, nodes: Sequence[str]) -> list[int]:
    return [len(scm.spec.nodes[node].levels) for node in nodes]


def _levels(factors: Sequence[Factor]) -> dict[str, int]:
    return {name: size for factor in factors for name, size in zip(factor.scope, factor.table.shape, strict=True)}
