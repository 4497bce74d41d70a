"""Couplings written down as distributions of response functions, and their counterfactuals through the library's own worlds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor, nn

from cfair.interfaces import Columns, Values, World
from cfair.scm import SCM
from cfair.spec import ModelSpec
from cfair.worlds import counterfactual

from oracles import columns_of, declare, rows_of

__all__ = ["Responses", "everyone", "expected", "independent", "monotone", "randomly_coupled", "responses_to", "tables"]

MARGINS = 1e-9


@dataclass(frozen=True, eq=False)
class Responses:
    """Response functions of one node and how likely each is.

    Args:
        configurations: levels of the parents, in their order -> column of ``functions``.
        functions: the level under each configuration, shape (functions, configurations).
        share: probability of each function.
    """

    configurations: Mapping[tuple[int, ...], int]
    functions: Tensor
    share: Tensor


class FunctionNode(nn.Module):
    """A node whose noise is the number of its response function; NaN where the function says nothing, so that it must not be read."""

    noise_size = 1

    def __init__(self, spec: ModelSpec, name: str, responses: Responses) -> None:
        super().__init__()
        self.kind, self.parents = spec.nodes[name].kind, spec.nodes[name].parents
        self.level = torch.full((len(responses.share), *(len(spec.nodes[parent].levels) for parent in self.parents)), torch.nan).double()
        for configuration, place in responses.configurations.items():
            self.level[:, *configuration] = responses.functions[:, place].double()

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        known = [parents[name] for name in self.parents]
        found = self.level[(noise.long(), *(each.nan_to_num().long() for each in known))]
        return torch.where(torch.stack(torch.broadcast_tensors(*known)).isnan().any(0), torch.nan, found)


def tables(nodes: Mapping[str, tuple[int, Sequence[str]]], seed: int, *, coupling: str = "gumbel") -> ModelSpec:
    """A model of table nodes, name -> (levels, parents), its probabilities drawn at random."""
    dice = Random(seed)
    bare: dict[str, dict[str, Any]] = {
        name: {"mechanism": "table", "levels": [str(level) for level in range(levels)], "parents": list(parents), "coupling": coupling}
        for name, (levels, parents) in nodes.items()
    }
    spec = declare(bare)
    known = {name: {"probabilities": rows_of(spec, name, lambda: dice.uniform(0.05, 1.0))} for name in bare}
    return declare({name: {**node, "parameters": known[name]} for name, node in bare.items()})


def everyone(spec: ModelSpec) -> tuple[Columns, Tensor]:
    """One person of each kind that a model of tables can make, and how likely each is, (n,)."""
    people = list(product(*(range(len(spec.nodes[name].levels)) for name in spec.order)))
    values = dict(zip(spec.order, torch.tensor(people).double().T, strict=True))
    scm = SCM(spec)
    log_p = sum(scm.mechanisms[name].distribution(scm.parents(name, values)).log_prob(values[name]) for name in spec.order)
    assert isinstance(log_p, Tensor)
    return columns_of(values), log_p.exp()


def margins(scm: SCM, node: str) -> tuple[dict[tuple[int, ...], int], np.ndarray[Any, Any]]:
    """All configurations of a node's parents, and P(level | configuration), shape (configurations, levels)."""
    spec = scm.spec
    parents = spec.nodes[node].parents
    configurations = list(product(*(range(len(spec.nodes[name].levels)) for name in parents)))
    values = dict(zip(parents, torch.tensor(configurations).double().T, strict=True))
    levels = range(len(spec.nodes[node].levels))
    mechanism = scm.mechanisms[node]
    rows = [mechanism.distribution(values).log_prob(torch.full((len(configurations),), float(level)).double()).exp() for level in levels]
    return {own: place for place, own in enumerate(configurations)}, torch.stack(rows, 1).numpy()


def monotone(scm: SCM, node: str) -> Responses:
    """One uniform number for all configurations: a function for each piece between the steps of all distribution functions."""
    configurations, table = margins(scm, node)
    steps = table.cumsum(1)[:, :-1]
    ends = np.unique(np.concatenate([[0.0, 1.0], steps.flatten()]))
    middle = (ends[1:] + ends[:-1]) / 2
    functions = (middle[:, None, None] > steps).sum(-1)
    return Responses(configurations, torch.from_numpy(functions), torch.from_numpy(np.diff(ends)))


def independent(scm: SCM, node: str) -> Responses:
    """A level for each configuration, independently."""
    configurations, table = margins(scm, node)
    functions = list(product(range(table.shape[1]), repeat=len(table)))
    share = [prod(table[place, level] for place, level in enumerate(function)) for function in functions]
    return Responses(configurations, torch.tensor(functions), torch.tensor(share, dtype=torch.float64))


def randomly_coupled(scm: SCM, node: str, dice: np.random.Generator) -> Responses:
    """A vertex of all couplings, mixed with another: what random gains of response functions ask for."""
    configurations, table = margins(scm, node)
    functions = np.array(list(product(range(table.shape[1]), repeat=len(table))))
    sums = [functions[:, place] == level for place in range(len(table)) for level in range(table.shape[1])]
    found = [_solved(dice.normal(size=len(functions)), np.array(sums, dtype=float), table.flatten()) for _ in range(2)]
    share = dice.choice([0.0, 0.5])
    return Responses(configurations, torch.from_numpy(functions), torch.from_numpy((1 - share) * found[0] + share * found[1]))


def responses_to(configurations: Values, edges: Tensor, plans: Tensor, table: Tensor) -> Responses:
    """A distribution of response functions that has these joint distributions over pairs of configurations: there is one, or this fails.

    Args:
        configurations: parent -> its level in each configuration.
        edges: pairs of configurations, shape (edges, 2).
        plans: joint distributions, shape (edges, levels, levels).
        table: P(level | configuration), shape (configurations, levels).
    """
    met, place = edges.unique(return_inverse=True)
    levels = table.shape[1]
    functions = np.array(list(product(range(levels), repeat=len(met))))
    sums, totals = [], []
    for (a, b), plan in zip(place.tolist(), plans, strict=True):
        for first, second in product(range(levels), range(levels)):
            sums.append((functions[:, a] == first) & (functions[:, b] == second))
            totals.append(float(plan[first, second]))
    for corner, own in enumerate(met.tolist()):
        sums += [functions[:, corner] == level for level in range(levels)]
        totals += table[own].tolist()
    share = _solved(np.zeros(len(functions)), np.array(sums, dtype=float), np.array(totals))
    names = [tuple(int(values[own]) for values in configurations.values()) for own in met.tolist()]
    return Responses({own: place for place, own in enumerate(names)}, torch.from_numpy(functions), torch.from_numpy(share))


def _solved(gain: Any, sums: Any, totals: Any) -> Any:
    """The x ≥ 0 with sums·x = totals to MARGINS: slack keeps rounding from making it infeasible."""
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    both, room = np.concatenate([sums, -sums]), np.concatenate([totals + MARGINS, MARGINS - totals])
    found = linprog(gain, A_ub=both, b_ub=room, options=options)
    assert found.status == 0, found.message
    return np.maximum(found.x, 0.0)


def expected(scm: SCM, responses: Mapping[str, Responses], people: Columns, do: Mapping[str, float], **how: Any) -> Tensor:
    """The mean of ``how["payoff"]`` of each person's counterfactual world, over all response functions that made what the person is; (n,).

    The worlds are the library's own: the nodes of ``responses`` in the place of the model's, with a response function for noise.

    Args:
        scm: a model of tables.
        responses: node -> its coupling.
        people: their levels.
        do: node -> level.
        how: ``payoff`` of the new and the factual world's values, and ``along``.
    """
    nodes = {name: FunctionNode(scm.spec, name, responses[name]) if name in responses else own for name, own in scm.mechanisms.items()}
    who, numbers, weights = [], [], []
    for person in range(people.n):
        own = [_possible(scm, each, name, {node: int(people[node][person]) for node in people}) for name, each in responses.items()]
        numbers += list(product(*(found.tolist() for found, _ in own)))
        weights += [prod(each) for each in product(*(share.tolist() for _, share in own))]
        who += [person] * (len(numbers) - len(who))
    shape, owner = (1, len(who)), torch.tensor(who)
    values = {name: people[name][owner].expand(shape) for name in scm.spec.order}
    drawn = torch.tensor(numbers, dtype=torch.float64).reshape(len(who), len(responses)).T
    noise = {
        **dict.fromkeys(scm.spec.order, torch.zeros(shape).double()),
        **{name: row.expand(shape) for name, row in zip(responses, drawn, strict=True)},
    }
    settings = {name: torch.tensor(level, dtype=torch.float64) for name, level in do.items()}
    new = counterfactual(SCM(scm.spec, mechanisms=nodes), World(values, noise, shape), settings, along=how.get("along"))
    payoff = how["payoff"](new.values, values)[0] * torch.tensor(weights, dtype=torch.float64)
    return torch.zeros(people.n, dtype=torch.float64).index_add(0, owner, payoff)


def _possible(scm: SCM, responses: Responses, name: str, person: Mapping[str, int]) -> tuple[Tensor, Tensor]:
    """The functions that give the person's level under the person's configuration, and P(function | that)."""
    place = responses.configurations.get(tuple(person[parent] for parent in scm.spec.nodes[name].parents))
    if place is None:  # nobody's parents change from here, so that the function is not read
        return torch.zeros(1), torch.ones(1).double()
    numbers = ((responses.functions[:, place] == person[name]) & (responses.share > 0)).nonzero().squeeze(-1)
    share = responses.share[numbers]
    return numbers, share / share.sum()
