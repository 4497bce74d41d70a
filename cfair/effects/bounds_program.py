"""The couplings of several nodes that together make an expected payoff as large as it can be, over rows that share them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from cfair.effects.bounds_plans import Met, met, solved
from cfair.effects.bounds_relaxed import Relaxed, by_level
from cfair.effects.bounds_states import States

__all__ = ["Best", "best"]

SWEEPS = 50  # over the nodes, one at a time
CELLS = 20_000_000  # numbers that going through all extreme couplings may take
AT_ONCE = 2_000_000  # numbers of these at a time
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
    room = AGREE * (1 + float(states.payoff.abs().max()))
    tried: list[Best] = []
    for start in _starts(nodes, bound):
        tried.append(_climbed(states, nodes, weight, start))
        if tried[-1].exact and tried[-1].value >= most - room:
            return tried[-1]
    checked = _through_vertices(states, nodes, weight, free)
    return checked or Best(most, exact=False, plans=max(tried, key=lambda each: each.value).plans)


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
        value = float(_expected(states, shares, weight))
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
    corners = {j: listed for j in free if (listed := nodes[j].corners()) is not None}
    unlisted = [j for j in free if j not in corners]
    if len(unlisted) > 1:
        return None
    last = unlisted[0] if unlisted else max(corners, key=lambda j: prod(len(plans) for plans in corners[j]))
    others = [j for j in free if j != last]
    counts = [len(plans) for j in others for plans in corners[j]]
    size = states.payoff.numel() * max(choice.table.shape[1] for choice in states.choices)
    if prod(counts) * size > CELLS:
        return None
    found: list[Best] = []
    for numbers in torch.cartesian_prod(*map(torch.arange, counts)).reshape(-1, len(counts)).split(max(1, AT_ONCE // size)):
        tried = _best_of(states, nodes, weight, (last, _chosen(corners, others, numbers)))
        found += [tried] if tried else []
    return max(found, key=lambda each: each.value) if found else None


def _chosen(corners: Mapping[int, Sequence[Sequence[Tensor]]], others: Sequence[int], numbers: Tensor) -> dict[int, Tensor]:
    """Node -> its plans, (combinations, edges, levels, levels), from the numbers of its edges' vertices, (combinations, all edges)."""
    columns = iter(numbers.T)
    return {j: torch.stack([torch.stack(list(plans))[next(columns)] for plans in corners[j]], 1) for j in others}


def _best_of(states: States, nodes: Sequence[Met], weight: Tensor, split: tuple[int, Mapping[int, Tensor]]) -> Best | None:
    """The best of several couplings of all nodes but the last, which is set to its best given them; None where that is not known.

    Args:
        states: of m rows.
        nodes: the coupled nodes.
        weight: of the rows, shape (m,).
        split: the last node, and the others' plans, each (combinations, edges, levels, levels).
    """
    last, chosen = split
    shares = [node.conditional(chosen[j]) if j in chosen else _kept(node) for j, node in enumerate(nodes)]
    plans, exact = solved(nodes[last], _coefficient(states, shares, weight, last))
    if not exact:
        return None
    shares[last] = nodes[last].conditional(plans)
    values = _expected(states, shares, weight)
    top = int(values.argmax())
    own = {last: plans[top], **{j: each[top] for j, each in chosen.items()}}
    return Best(float(values[top]), exact=True, plans=tuple(own.get(j, _nothing(node)) for j, node in enumerate(nodes)))


def _value(states: States, nodes: Sequence[Met], plans: Sequence[Tensor], weight: Tensor) -> float:
    return float(_expected(states, _conditionals(nodes, plans), weight))


def _conditionals(nodes: Sequence[Met], plans: Sequence[Tensor]) -> list[Tensor]:
    """P(level in the new world | own level) per node under its plans, (combinations, m, levels)."""
    return [node.conditional(own) if len(node.edges) else _kept(node) for node, own in zip(nodes, plans, strict=True)]


def _expected(states: States, shares: Sequence[Tensor], weight: Tensor) -> Tensor:
    """The expected payoff (...) under conditionals (..., combinations, m, levels) per node."""
    value = states.payoff
    for choice, share in zip(reversed(states.choices), reversed(shares), strict=True):
        value = (share * by_level(value, choice)).sum(-1)
    return value.squeeze(-2) @ weight


def _coefficient(states: States, shares: Sequence[Tensor], weight: Tensor, j: int) -> Tensor:
    """The derivative of the expected payoff by node j's conditionals, (..., combinations, m, levels): P(combination)·E[payoff | both]."""
    value = states.payoff
    for choice, share in zip(reversed(states.choices[j + 1 :]), reversed(shares[j + 1 :]), strict=True):
        value = (share * by_level(value, choice)).sum(-1)
    reached = weight.unsqueeze(0)
    for share in shares[:j]:
        reached = (reached.unsqueeze(-1) * share).transpose(-1, -2).flatten(-3, -2)
    return reached.unsqueeze(-1) * by_level(value, states.choices[j])


def _nothing(node: Met) -> Tensor:
    levels = node.choice.table.shape[1]
    return torch.zeros(len(node.edges), levels, levels, dtype=torch.float64)


def _kept(node: Met) -> Tensor:
    """Everyone's own level, where no parent changed; shape (combinations, m, levels)."""
    levels = node.choice.table.shape[1]
    own = node.choice.own.expand(node.edge.shape)
    return torch.nn.functional.one_hot(own, levels).to(torch.float64)
