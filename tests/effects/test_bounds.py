"""Bounds over couplings: they hold what every coupling gives, and explicit couplings reach their ends."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor

from cfair.effects import Bounds, Question, bounds_of
from cfair.effects.bounds_asked import states_asked
from cfair.effects.bounds_plans import met
from cfair.effects.bounds_program import Best, best
from cfair.effects.bounds_relaxed import Relaxed, relaxed
from cfair.effects.bounds_rows import pairs_of
from cfair.effects.bounds_states import States
from cfair.inference import abduct
from cfair.interfaces import Columns, Values
from cfair.scm import SCM
from cfair.worlds import counterfactual

from response_functions import Responses, everyone, expected, independent, monotone, randomly_coupled, responses_to, tables

Shape = Mapping[str, tuple[int, Sequence[str]]]

SHAPES: dict[str, Shape] = {
    "one node": {"a": (2, []), "y": (3, ["a"])},
    "confounded": {"c": (2, []), "a": (3, ["c"]), "y": (2, ["a", "c"])},
    "chain": {"a": (2, []), "m": (3, ["a"]), "y": (2, ["m"])},
    "mediated": {"a": (2, []), "m": (2, ["a"]), "y": (3, ["a", "m"])},
    "two mediators": {"a": (2, []), "m": (2, ["a"]), "w": (2, ["a"]), "y": (2, ["m", "w"])},
    "witness": {"a": (2, []), "w": (2, ["a"]), "z": (2, ["w"]), "y": (2, ["w", "z"])},
}
MEASURES = ["value", "change", "gap"]


def payoff_of(question: Question) -> Any:
    """What is bounded, written out once more."""

    def payoff(new: Values, old: Values) -> Tensor:
        assert not new[question.target].isnan().any(), "a response that the coupling does not say was read"
        after, before = ((each[question.target] == float(str(question.level))).double() for each in (new, old))
        return {"value": after, "change": after - before, "gap": (after - before).abs()}[question.measure]

    return payoff


def asked(shape: str, seed: int, measure: Any, along: Any = None) -> tuple[SCM, Columns, Tensor, Question]:
    """A random model of this shape, one person of each kind and how many are like them, and a question about its last node."""
    scm = SCM(tables(SHAPES[shape], seed))
    columns, share = everyone(scm.spec)
    return scm, columns, share, Question({"a": "1"}, "y", "1", measure, along)


def people_of(columns: Columns) -> list[dict[str, float]]:
    return [{name: float(columns[name][i]) for name in columns} for i in range(columns.n)]


def values_under(scm: SCM, responses: Mapping[str, Responses], columns: Columns, question: Question) -> Tensor:
    """Each person's value under a coupling, shape (n,)."""
    return expected(scm, responses, columns, {"a": 1.0}, payoff=payoff_of(question), along=question.along)


def bounds_by(scm: SCM, columns: Columns, question: Question, *, by: Any, share: Tensor, draws: int = 2) -> Bounds:
    world = abduct(scm, columns, given=scm.spec.observed, draws=draws)
    return bounds_of(scm, world, question, by=by, weights=share)


def assert_within(values: Tensor, bounds: Bounds) -> None:
    assert (values >= bounds.low - 1e-8).all(), (values, bounds.low)
    assert (values <= bounds.high + 1e-8).all(), (values, bounds.high)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), measure=st.sampled_from(MEASURES))
def test_what_any_coupling_gives_lies_within_the_bounds(shape: str, measure: str, seed: int) -> None:
    scm, columns, share, question = asked(shape, seed, measure)
    persons, population = (bounds_by(scm, columns, question, by=by, share=share) for by in ("person", "population"))
    dice = np.random.default_rng(seed)
    free = [name for name in scm.spec.order if name not in ("a", "c")]
    for responses in (
        {name: monotone(scm, name) for name in free},
        {name: independent(scm, name) for name in free},
        {name: randomly_coupled(scm, name, dice) for name in free},
    ):
        values = values_under(scm, responses, columns, question)
        assert_within(values, persons)
        assert_within(values @ share, population)


def ends(states: States, rows: Tensor, weight: Tensor) -> dict[str, Best]:
    """The couplings at both ends, of rows that share them."""
    found = {}
    for end, sign in (("high", 1.0), ("low", -1.0)):
        own = replace(states.rows(rows), payoff=sign * states.payoff[:, rows])
        bound: Relaxed = relaxed(own)
        found[end] = best(own, weight, bound)
    return found


def responses_of(states: States, rows: Tensor, found: Best) -> dict[str, Responses]:
    """The couplings found, as response functions."""
    nodes = [met(choice) for choice in states.rows(rows).choices]
    return {
        node.choice.name: responses_to(node.choice.configurations, node.edges, plans, node.choice.table)
        for node, plans in zip(nodes, found.plans, strict=True)
        if len(node.edges)
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("measure", "seed"), [("value", 0), ("gap", 1)])
def test_explicit_response_functions_reach_each_persons_bounds(shape: str, measure: str, seed: int) -> None:
    scm, columns, share, question = asked(shape, seed, measure)
    bounds = bounds_by(scm, columns, question, by="person", share=share)
    assert bounds.sharp == "sharp"
    world = abduct(scm, columns, given=scm.spec.observed, draws=1)
    states, place = states_asked(scm, world, question)
    for i in range(columns.n):
        for end, found in ends(states, place[:, i], torch.ones(1).double()).items():
            responses = responses_of(states, place[:, i], found)
            reached = values_under(scm, responses, columns.take(torch.tensor([i])), question)
            assert abs(float(reached) - float(getattr(bounds, end)[i])) < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("measure", "seed"), [("change", 2), ("gap", 3)])
def test_explicit_response_functions_reach_the_populations_bounds(shape: str, measure: str, seed: int) -> None:
    scm, columns, share, question = asked(shape, seed, measure)
    bounds = bounds_by(scm, columns, question, by="population", share=share)
    world = abduct(scm, columns, given=scm.spec.observed, draws=1)
    states, place = states_asked(scm, world, question)
    pairs = pairs_of(place, weights=share / share.sum())
    assert bounds.sharp == "sharp"
    for end, found in ends(states, pairs.row, pairs.weight).items():
        responses = responses_of(states, pairs.row, found)
        reached = float(values_under(scm, responses, columns, question) @ share)
        assert abs(reached - float(getattr(bounds, end))) < 1e-6


@pytest.mark.parametrize("along", [[("a", "w"), ("w", "y")], [("a", "w"), ("w", "z"), ("z", "y")]])
@pytest.mark.parametrize("measure", ["change", "gap"])
def test_a_recanting_witness_has_bounds_that_explicit_couplings_reach(along: Any, measure: str) -> None:
    scm, columns, share, question = asked("witness", 5, measure, along)
    bounds = bounds_by(scm, columns, question, by="population", share=share)
    assert bounds.sharp == "sharp"
    assert bounds.high - bounds.low > 0.002
    world = abduct(scm, columns, given=scm.spec.observed, draws=1)
    states, place = states_asked(scm, world, question)
    pairs = pairs_of(place, weights=share / share.sum())
    for end, found in ends(states, pairs.row, pairs.weight).items():
        responses = responses_of(states, pairs.row, found)
        reached = float(values_under(scm, responses, columns, question) @ share)
        assert abs(reached - float(getattr(bounds, end))) < 1e-6
    for make in (monotone, independent):
        responses = {name: make(scm, name) for name in ("w", "z", "y")}
        assert_within(values_under(scm, responses, columns, question) @ share, bounds)


@pytest.mark.parametrize("shape", ["one node", "confounded", "mediated", "two mediators"])
def test_over_all_people_the_mean_of_a_counterfactual_value_depends_on_no_coupling(shape: str) -> None:
    """Σ_e P(e)·P(Y_a = 1 | e) = P(Y_a = 1), which the mechanisms' probabilities give."""
    scm, columns, share, question = asked(shape, 7, "value")
    bounds = bounds_by(scm, columns, question, by="population", share=share)
    there = {**columns, "a": torch.ones(columns.n).double()}
    others = [name for name in scm.spec.order if name != "a"]
    p = torch.stack([scm.mechanisms[name].distribution(scm.parents(name, there)).log_prob(columns[name]) for name in others]).sum(0).exp()
    one = (columns["a"] == 1) & (columns["y"] == 1)
    truth = float(p[one].sum())
    assert abs(float(bounds.low) - truth) < 1e-8
    assert abs(float(bounds.high) - truth) < 1e-8


@pytest.mark.parametrize("coupling", ["monotone", "gumbel", "independent"])
@pytest.mark.parametrize("shape", ["one node", "mediated", "witness"])
def test_the_model_s_own_coupling_lies_within_bounds_that_do_not_depend_on_it(coupling: str, shape: str) -> None:
    draws = 1_500
    scm = SCM(tables(SHAPES[shape], 11, coupling=coupling))
    columns, _ = everyone(scm.spec)
    question = Question({"a": "1"}, "y", "1", "gap")
    world = abduct(scm, columns, given=scm.spec.observed, draws=draws, seed=1)
    bounds = bounds_of(scm, world, question)
    other = bounds_by(SCM(tables(SHAPES[shape], 11)), columns, question, by="person", share=torch.ones(columns.n))
    torch.testing.assert_close(bounds.low, other.low, rtol=0, atol=1e-12)
    torch.testing.assert_close(bounds.high, other.high, rtol=0, atol=1e-12)
    new = counterfactual(scm, world, question.do)
    values = payoff_of(question)(new.values, world.values).mean(0)
    error = 5 * ((bounds.high.clamp(0.05, 0.5) * (1 - bounds.low.clamp(0.05, 0.5))) / draws).sqrt()
    assert (values >= bounds.low - error).all()
    assert (values <= bounds.high + error).all()
    assert ((bounds.value >= bounds.low) & (bounds.value <= bounds.high)).all()


def by_grid(scm: SCM, person: Mapping[str, float], points: int = 9) -> tuple[float, float]:
    """The range of P(y would be 1 | person) in the graph a -> m -> y, a -> y of two levels each, over a grid of conditionals.

    P(m' = 1 | m), and P(y' = 1 | y) where m' is 0 and where it is 1, each lies anywhere between Fréchet's bounds.
    """
    a, m, y = (int(person[name]) for name in "amy")

    def table(name: str, *parents: int) -> float:
        named = dict(zip(scm.spec.nodes[name].parents, (torch.tensor([float(each)]).double() for each in parents), strict=True))
        return float(scm.mechanisms[name].distribution(named).log_prob(torch.ones(1).double()).exp())

    def grid(before: float, after: float, own: int, moves: bool) -> Any:
        if not moves:
            return [float(own)]
        p = before if own else 1 - before
        return np.linspace(max(0.0, p + after - 1) / p, min(p, after) / p, points)

    moved = grid(table("m", a), table("m", 1), m, a != 1)
    ends = [grid(table("y", a, m), table("y", 1, other), y, (a, m) != (1, other)) for other in (0, 1)]
    values = [(1 - k) * zero + k * one for k, zero, one in product(moved, *ends)]
    return min(values), max(values)


@pytest.mark.parametrize("seed", range(6))
def test_a_grid_over_all_couplings_of_a_tiny_model_has_the_same_range(seed: int) -> None:
    scm = SCM(tables({"a": (2, []), "m": (2, ["a"]), "y": (2, ["a", "m"])}, seed))
    columns, share = everyone(scm.spec)
    bounds = bounds_by(scm, columns, Question({"a": "1"}, "y", "1"), by="person", share=share)
    for i, person in enumerate(people_of(columns)):
        low, high = by_grid(scm, person)
        assert abs(low - float(bounds.low[i])) < 1e-12
        assert abs(high - float(bounds.high[i])) < 1e-12


@pytest.mark.parametrize(("worlds", "levels"), [(2, 3), (3, 2), (3, 3)])
@pytest.mark.parametrize("measure", ["value", "gap"])
def test_people_who_change_places_share_one_coupling_in_both_directions_and_around_a_cycle(worlds: int, levels: int, measure: Any) -> None:
    """The program over all response functions, written out once more."""
    scm = SCM(tables({"a": (worlds, []), "y": (levels, ["a"])}, 8))
    columns, share = everyone(scm.spec)
    share = share * torch.rand(columns.n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share = share / share.sum()  # other people than the model expects, so that every coupling matters
    y, other = columns["y"].long(), (columns["a"].long() + 1) % worlds
    bounds = bounds_by(scm, columns, Question({"a": other.double()}, "y", "1", measure), by="population", share=share)
    assert bounds.sharp == "sharp"
    functions = np.array(list(product(range(levels), repeat=worlds)))
    here = functions[:, columns["a"].long()] == y.numpy()
    moved = (functions[:, other] == 1).astype(float)
    paid = moved if measure == "value" else np.abs(moved - (y == 1).numpy())
    weight = (share / scm.mechanisms["y"].distribution({"a": columns["a"]}).log_prob(columns["y"]).exp()).numpy()
    gain = (here * paid) @ weight
    sums = np.array([functions[:, world] == level for world in range(worlds) for level in range(levels)], dtype=float)
    index = torch.arange(levels).double()
    table = [
        scm.mechanisms["y"].distribution({"a": torch.full((levels,), float(world)).double()}).log_prob(index).exp()
        for world in range(worlds)
    ]
    for sign, end in ((1, bounds.low), (-1, bounds.high)):
        found = linprog(sign * gain, A_eq=sums, b_eq=torch.cat(table).numpy())
        assert abs(sign * found.fun - float(end)) < 1e-8
