"""The couplings of several nodes that together make an expected payoff as large as it can be, over rows that share them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import torch
from torch import Tensor

from cfair.effects.bounds_plans import Met, met, solved
from cfair.effects.bounds_relaxed import Relaxed, by_level
from cfair.effects.bounds_states import States

__all__ = ["Best", "best"]

SWEEPS = 50  # over the nodes, one at a time
VERTICES = 2_048  # combinations of extreme couplings that are gone through
AGREE = 1e-9  # relative difference to which what is attained is what could be had at most


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The largest expected payoff over couplings.

    Args:
        value: it, or where it is not ``exact`` a number that it is not above.
        exact: whether a coupling attains it.
        plans: per coupled node, of the coupling that attained most, the joint distribution of its levels at both ends of each pair of
            configurations, (edges, levels, levels); the pairs are those of ``met``.
    """

    value: float
    exact: bool
    plans: tuple[Tensor, ...]


def best(states: States, weight: Tensor, bound: Relaxed) -> Best:
    """The best couplings for rows that share them.

    The payoff is linear in one node's coupling, the others' given. So one node is a linear program. Of several each is set to its best
    in turn, from several beginnings, until nothing improves: what that attains is sharp if it is what could be had at most, row by row.
    If not, and where there are few of them, the extreme couplings of all nodes but one are gone through: a function that is linear in
    each of several arguments is largest at vertices.

    Args:
        states: of m rows.
        weight: of the rows, shape (m,).
        bound: the best of each row by itself.
    """
    nodes = [met(choice) for choice in states.choices]
    free = [j for j, node in enumerate(nodes) if len(node.edges)]
    most = float(weight @ bound.value)
    if len(free) <= 1:
        plans, exact = _alone(states, nodes, weight, free)
        attained = _value(states, nodes, plans, weight)
        return Best(min(attained, most) if not exact else attained, exact, plans)
    found = max((_climbed(states, nodes, weight, start) for start in _starts(nodes, bound)), key=lambda each: each.value)
    room = AGREE * (1 + float(states.payoff.abs().max()))
    if found.exact and found.value >= most - room:
        return found
    checked = _through_vertices(states, nodes, weight, free)
    return checked or Best(most, exact=False, plans=found.plans)


def _alone(states: States, nodes: Sequence[Met], weight: Tensor, free: Sequence[int]) -> tuple[tuple[Tensor, ...], bool]:
    """The plans where one node's coupling matters, or none's."""
    plans = [_nothing(node) for node in nodes]
    if not free:
        return tuple(plans), True
    shares = _conditionals(nodes, plans)
    plans[free[0]], exact = solved(nodes[free[0]], _coefficient(states, shares, weight, free[0]))
    return tuple(plans), exact


def _climbed(states: States, nodes: Sequence[Met], weight: Tensor, start: Sequence[Tensor]) -> Best:
    """One node at a time set to its best, the others' coupling as it is."""
    shares, plans, exact = list(start), [_nothing(node) for node in nodes], [True] * len(nodes)
    reached = -torch.inf
    for _ in range(SWEEPS):
        for j, node in enumerate(nodes):
            if len(node.edges):
                plans[j], exact[j] = solved(node, _coefficient(states, shares, weight, j))
                shares[j] = node.conditional(plans[j])
        value = _expected(states, shares, weight)
        if value <= reached + 1e-14:
            break
        reached = value
    return Best(value, all(exact), tuple(plans))


def _starts(nodes: Sequence[Met], bound: Relaxed) -> Iterator[list[Tensor]]:
    """Beginnings: what each row by itself would have, independent worlds, and the two ways of ordering levels."""
    yield [own if len(node.edges) else _kept(node) for node, own in zip(nodes, bound.decisions, strict=True)]
    levels = [node.choice.table.shape[1] for node in nodes]
    alike = [-(torch.arange(size).unsqueeze(1) - torch.arange(size)).abs().double() for size in levels]
    for sign in (0.0, 1.0, -1.0):
        yield [_begun(node, sign * gain) for node, gain in zip(nodes, alike, strict=True)]


def _begun(node: Met, gain: Tensor) -> Tensor:
    """Conditionals of the plans of a gain that is the same for each pair of configurations; of independent worlds where it is 0."""
    if not len(node.edges):
        return _kept(node)
    first, second = node.margins
    if not gain.any():
        return node.conditional(first.unsqueeze(-1) * second.unsqueeze(-2))
    coefficient = torch.zeros(*node.edge.shape, len(gain), dtype=torch.float64) + gain[node.choice.own]
    return node.conditional(solved(node, coefficient)[0])


def _through_vertices(states: States, nodes: Sequence[Met], weight: Tensor, free: Sequence[int]) -> Best | None:
    """The best over all extreme couplings; None where they are too many, or not listed."""
    corners = {j: nodes[j].corners() for j in free}
    counts = {j: prod(len(plans) for plans in listed) for j, listed in corners.items() if listed is not None}
    unlisted = [j for j in free if j not in counts]
    if len(unlisted) > 1:
        return None
    last = unlisted[0] if unlisted else max(counts, key=lambda j: counts[j])
    if prod(count for j, count in counts.items() if j != last) > VERTICES:
        return None
    others = [j for j in free if j != last]
    tried: list[Best] = []
    for chosen in product(*(product(*(corners[j] or ())) for j in others)):
        plans = [_nothing(node) for node in nodes]
        for j, own in zip(others, chosen, strict=True):
            plans[j] = torch.stack(own)
        shares = _conditionals(nodes, plans)
        plans[last], exact = solved(nodes[last], _coefficient(states, shares, weight, last))
        if not exact:
            return None
        shares[last] = nodes[last].conditional(plans[last])
        tried.append(Best(_expected(states, shares, weight), exact=True, plans=tuple(plans)))
    return max(tried, key=lambda each: each.value)


def _value(states: States, nodes: Sequence[Met], plans: Sequence[Tensor], weight: Tensor) -> float:
    return _expected(states, _conditionals(nodes, plans), weight)


def _conditionals(nodes: Sequence[Met], plans: Sequence[Tensor]) -> list[Tensor]:
    """P(level in the new world | own level) per node under its plans, (combinations, m, levels)."""
    return [node.conditional(own) if len(node.edges) else _kept(node) for node, own in zip(nodes, plans, strict=True)]


def _expected(states: States, shares: Sequence[Tensor], weight: Tensor) -> float:
    """The expected payoff under conditionals (combinations, m, levels) per node."""
    value = states.payoff
    for choice, share in zip(reversed(states.choices), reversed(shares), strict=True):
        value = (share * by_level(value, choice)).sum(-1)
    return float(value.squeeze(0) @ weight)


def _coefficient(states: States, shares: Sequence[Tensor], weight: Tensor, j: int) -> Tensor:
    """The derivative of the expected payoff by node j's conditionals, (combinations, m, levels): P(combination)·E[payoff | it, level]."""
    value = states.payoff
    for choice, share in zip(reversed(states.choices[j + 1 :]), reversed(shares[j + 1 :]), strict=True):
        value = (share * by_level(value, choice)).sum(-1)
    reached = weight.unsqueeze(0)
    for share in shares[:j]:
        reached = (reached.unsqueeze(-1) * share).transpose(1, 2).reshape(-1, len(weight))
    return reached.unsqueeze(-1) * by_level(value, states.choices[j])


def _nothing(node: Met) -> Tensor:
    levels = node.choice.table.shape[1]
    return torch.zeros(len(node.edges), levels, levels, dtype=torch.float64)


def _kept(node: Met) -> Tensor:
    """Everyone's own level, where no parent changed; shape (combinations, m, levels)."""
    levels = node.choice.table.shape[1]
    own = node.choice.own.expand(node.edge.shape)
    return torch.nn.functional.one_hot(own, levels).to(torch.float64)
