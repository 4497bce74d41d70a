"""How far a counterfactual depends on the coupling of discrete nodes' noise: its range over all couplings.

A node with levels, or a count, has the same probabilities in each world whatever joins its noise across parent configurations; what one
person would have been in another world depends on the coupling, which no data can tell. Bounds hold the mechanisms' probabilities at the
fitted model and let every such node's coupling vary, independently of the other nodes'. Real nodes keep the noise that makes them.
Hidden confounding, and errors of the model, are not covered.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor

from cfair.effects.bounds_asked import nodes_moving, rows_asked, states_of_rows
from cfair.effects.bounds_groups import highest
from cfair.effects.bounds_outer import Between, outer
from cfair.effects.bounds_records import Bounds, Grouping, Measure, Question
from cfair.effects.bounds_relaxed import stays
from cfair.effects.bounds_rows import Pairs, Rows, pairs_of
from cfair.effects.bounds_states import Active, States, TooManyError, coupled_on_paths
from cfair.errors import QueryError, nearest
from cfair.inference import abduct
from cfair.interfaces import Columns, World
from cfair.scm import SCM
from cfair.worlds import Setting, counterfactual

__all__ = ["bounds_of", "coupled_nodes", "coupling_bounds"]

BLOCK = 100_000  # draws of people at a time, where people are bounded one by one


def coupled_nodes(scm: SCM, do: Collection[str], target: str, *, along: Active = None) -> tuple[str, ...]:
    """Nodes whose coupling the counterfactual ``target`` may depend on: with levels or counts, on a path that carries the change to it.

    None for most graphs of real nodes: whoever finds none need not ask for bounds.

    Raises:
        QueryError: ``do`` or ``target`` names no node.
    """
    for node in (*do, target):
        if node not in scm.spec.nodes:
            raise QueryError("bounds over couplings", f"'{node}' is not a node", nearest(node, scm.spec.nodes))
    return coupled_on_paths(scm.spec, do, target, along)


def coupling_bounds(
    scm: SCM,
    columns: Columns,
    do: Mapping[str, Setting],
    *,
    target: str,
    level: str | float | None = None,
    measure: Measure = "value",
    along: Active = None,
    by: Grouping = "person",
    given: Collection[str] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> Bounds:
    """The range of a counterfactual answer over all couplings, given what is known of each person.

    Args:
        scm: with its parameters learned; a prediction is a node that ``scored`` put at its end.
        columns: n people.
        do: node -> level name, number, or values per person.
        target: the node asked for.
        level: one of its levels, for the probability of being there.
        measure: ``value`` in the new world, its ``change``, or the ``gap`` without its sign.
        along: the active edges; None: every edge is active.
        by: ``person``, or ``population`` for the mean, weighted where people have weights.
        given: the evidence. If None, all observed nodes for a node that the table has, and for a prediction those that are neither the
            outcome nor its descendants.
        draws: of the latents, per person.
        seed: of the draws.

    Raises:
        QueryError: what is asked for is not there, or has no number; or there are too many states to go through, and
            nothing is known of the target in between.

    Where there are too many states to go through, the bounds are outer ones, from cells of levels: see ``bounds_outer``.

    Source: Balke & Pearl (1994) for the program over response functions; Fréchet (1951) for one node and two configurations.
    """
    question = Question(do, target, level, measure, along)
    _check(scm, question, by)
    evidence = _evidence(scm, columns, target) if given is None else tuple(given)
    size = max(1, BLOCK // draws)
    blocks = [slice(start, start + size) for start in range(0, columns.n, size)]
    worlds = (abduct(scm, columns.take(people), given=evidence, draws=draws, seed=seed) for people in blocks)
    asked = [_of_people(question, people) for people in blocks]
    if by == "person":
        return _joined([bounds_of(scm, world, own) for world, own in zip(worlds, asked, strict=True)])
    chosen = torch.cat([_chosen(scm, world, own) for world, own in zip(worlds, asked, strict=True)])
    world = abduct(scm, columns, given=evidence, draws=draws, seed=seed)
    return _of_population(scm, world, question, _shares(columns.n, columns.weights), chosen)


def bounds_of(scm: SCM, factual: World, question: Question, *, by: Grouping = "person", weights: Tensor | None = None) -> Bounds:
    """The same of people who are abducted already.

    Each person's latents are held as drawn, and a value outside the evidence with them; what is bounded is the mean over draws. A coupling
    is one and the same for all draws of a person, and for the population for all people.

    Args:
        scm: the model.
        factual: people with their noise, shape (draws, n).
        question: what is asked of them.
        by: person or population.
        weights: of people, shape (n,), for the population; all alike where not given.

    Raises:
        QueryError: as ``coupling_bounds``.
    """
    _check(scm, question, by)
    chosen = _chosen(scm, factual, question)
    if by == "population":
        return _of_population(scm, factual, question, _shares(factual.shape[1], weights), chosen)
    rows = rows_asked(scm, factual, question)
    try:
        states, place = states_of_rows(scm, rows, question), rows.place
    except TooManyError:
        return _outer(scm, rows, question, chosen, share=None)
    alike, back = torch.unique(place.sort(0).values, dim=1, return_inverse=True)
    return _bounded(states, pairs_of(alike), back, chosen)


def _of_population(scm: SCM, factual: World, question: Question, share: Tensor, chosen: Tensor) -> Bounds:
    """The bounds of the mean over people who have these shares, (n,), and these values under the chosen couplings, (n,)."""
    rows = rows_asked(scm, factual, question)
    try:
        states = states_of_rows(scm, rows, question)
    except TooManyError:
        return _outer(scm, rows, question, chosen, share=share)
    return _bounded(states, pairs_of(rows.place, weights=share), torch.tensor(0), chosen @ share)


def _bounded(states: States, pairs: Pairs, back: Tensor, chosen: Tensor) -> Bounds:
    """The bounds of the groups that ``back`` names, with their values under the chosen couplings, of its shape."""
    (high, top), (low, bottom) = highest(states, pairs), highest(replace(states, payoff=-states.payoff), pairs)
    low, high = -low[back], high[back]
    nodes = tuple(choice.name for choice in states.choices if not bool(stays(choice).all()))
    return Bounds(low, high, torch.minimum(torch.maximum(chosen, low), high), (top & bottom)[back], nodes)


def _outer(scm: SCM, rows: Rows, question: Question, chosen: Tensor, *, share: Tensor | None) -> Bounds:
    """Bounds that no coupling need attain, of people, (n,), or of their mean where they have shares, from those of their rows.

    Args:
        scm: the model.
        rows: of the people.
        question: what is asked of them.
        chosen: their values under the chosen couplings, shape (n,).
        share: what each counts for, shape (n,), summing to 1.
    """
    coupled = coupled_on_paths(scm.spec, question.do, question.target, question.along)
    ends = outer(scm, rows, question, Between(coupled, nodes_moving(scm, question)))
    low, high = (end[rows.place].mean(0) for end in ends)
    if share is not None:
        low, high, chosen = low @ share, high @ share, chosen @ share
    return Bounds(low, high, torch.minimum(torch.maximum(chosen, low), high), low == high, coupled)


def _chosen(scm: SCM, factual: World, question: Question) -> Tensor:
    """Each person's value under the couplings of the model, the mean over draws, (n,)."""
    new = counterfactual(scm, factual, question.do, along=question.along)
    return question.payoff(scm.spec, new.values[question.target], factual.values[question.target]).mean(0)


def _shares(n: int, weights: Tensor | None) -> Tensor:
    """What each of n people counts for, (n,), summing to 1."""
    return torch.full((n,), 1 / n, dtype=torch.float64) if weights is None else weights.to(torch.float64) / weights.sum()


def _check(scm: SCM, question: Question, by: str) -> None:
    coupled_nodes(scm, question.do, question.target)
    for word, words, where in ((by, get_args(Grouping), "by"), (question.measure, get_args(Measure), "measure")):
        if word not in words:
            raise QueryError(where, f"'{word}' is not known", nearest(word, words))
    if question.level is not None:
        scm.spec.level(question.target, question.level)
    elif scm.spec.nodes[question.target].kind == "category":
        problem = f"'{question.target}' is a category, whose levels are no numbers"
        raise QueryError("target", problem, f"ask for one level, as level='{scm.spec.nodes[question.target].levels[0]}'")


def _evidence(scm: SCM, columns: Columns, target: str) -> tuple[str, ...]:
    """All that the table has of a person, if it has the target; else what a prediction may be inferred from."""
    if target in columns or target in scm.spec.latents:
        return tuple(node for node in scm.spec.observed if node in columns)
    return tuple(node for node in scm.spec.evidence if node in columns)


def _of_people(question: Question, people: slice) -> Question:
    """The question with values per person cut to some of them."""
    return replace(question, do={node: _cut(setting, people) for node, setting in question.do.items()})


def _cut(setting: Setting, people: slice) -> Setting:
    if isinstance(setting, Tensor):
        return setting[..., people] if setting.dim() else setting
    return setting if isinstance(setting, str | float | int) else setting[people]


def _joined(parts: Collection[Bounds]) -> Bounds:
    """Blocks of people, one after the other."""
    low, high, value, exact = (torch.cat([getattr(part, name) for part in parts]) for name in ("low", "high", "value", "exact"))
    nodes = dict.fromkeys(node for part in parts for node in part.nodes)
    return Bounds(low, high, value, exact, tuple(nodes))
