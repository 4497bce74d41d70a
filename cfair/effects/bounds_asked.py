"""The rows and the states of which a question about couplings asks."""

from collections.abc import Collection
from functools import partial

from torch import Tensor

from cfair.effects.bounds_records import Question
from cfair.effects.bounds_rows import Rows, distinct_rows
from cfair.effects.bounds_states import States, active_graph, coupled_on_paths, states_of
from cfair.errors import QueryError
from cfair.graph import ancestors, descendants
from cfair.interfaces import World
from cfair.scm import SCM
from cfair.worlds import counterfactual

__all__ = ["nodes_moving", "rows_asked", "states_asked", "states_of_rows"]


def states_asked(scm: SCM, factual: World, question: Question) -> tuple[States, Tensor]:
    """The states of the distinct rows, and which row each person is in each draw, (draws, n).

    Raises:
        TooManyError: they are too many.
    """
    rows = rows_asked(scm, factual, question)
    return states_of_rows(scm, rows, question), rows.place


def rows_asked(scm: SCM, factual: World, question: Question) -> Rows:
    """The rows that differ in what the answer depends on."""
    spec, target = scm.spec, question.target
    world = counterfactual(scm, factual, question.do)  # reads the settings; no other value of it is computed
    between = nodes_moving(scm, question)
    read = {target, *question.do, *between}.union(*(spec.nodes[node].parents for node in between))
    return distinct_rows(scm, factual, {node: world.values[node] for node in question.do}, [node for node in spec.order if node in read])


def states_of_rows(scm: SCM, rows: Rows, question: Question) -> States:
    """What coupled nodes may be in the new world of these rows.

    Raises:
        TooManyError: they may be too much.
    """
    target, payoff = question.target, partial(question.payoff, scm.spec)
    coupled = coupled_on_paths(scm.spec, question.do, target, question.along)
    states = states_of(scm, rows.factual, rows.do, coupled=coupled, target=target, payoff=payoff, along=question.along)
    if not bool(states.payoff.isfinite().all()):
        raise QueryError(
            "bounds over couplings", f"'{target}' is not a finite number in some world", "give a score that is finite everywhere"
        )
    return states


def nodes_moving(scm: SCM, question: Question) -> Collection[str]:
    """The nodes on a path that carries the change to the target, itself included."""
    active = active_graph(scm.spec, question.do, question.along)
    return descendants(active, tuple(question.do)) & (ancestors(active, question.target) | {question.target})
