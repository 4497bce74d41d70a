"""Bounds where there is too much to go through: never narrower than the exact ones, finite, and refused in words where nothing is known."""

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson
from torch import Tensor

from cfair.effects import Question, bounds_of, coupling_bounds, scored
from cfair.effects.bounds_asked import nodes_moving, rows_asked
from cfair.effects.bounds_outer import Between, outer
from cfair.effects.bounds_states import coupled_on_paths
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.interfaces import Columns, Values, World
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.worlds import counterfactual

from oracles import columns_of, declare, people
from response_functions import everyone, expected, independent, monotone, randomly_coupled, tables

LEVELS = {"mechanism": "bernoulli", "levels": ["no", "yes"]}
SHAPES: dict[str, Any] = {
    "one node": {"a": (2, []), "y": (3, ["a"])},
    "confounded": {"c": (2, []), "a": (3, ["c"]), "y": (2, ["a", "c"])},
    "chain": {"a": (2, []), "m": (3, ["a"]), "y": (2, ["m"])},
    "mediated": {"a": (2, []), "m": (2, ["a"]), "y": (3, ["a", "m"])},
    "two mediators": {"a": (2, []), "m": (3, ["a"]), "w": (2, ["a"]), "y": (2, ["m", "w"])},
    "witness": {"a": (2, []), "w": (2, ["a"]), "z": (2, ["w"]), "y": (2, ["w", "z"])},
}
MEASURES = ["value", "change", "gap"]
WORKS = (10**6, 60, 20, 8, 3, 1)  # values that may be asked for: all, some, and hardly any


@dataclass(frozen=True)
class Outline:
    """What is known of a score."""

    span: tuple[float, float] = (-inf, inf)
    monotone: bool = False


def outer_of(scm: SCM, world: World, question: Question, work: int) -> tuple[Tensor, Tensor]:
    """Each person's outer bounds, (n,)."""
    rows = rows_asked(scm, world, question)
    coupled = coupled_on_paths(scm.spec, question.do, question.target, question.along)
    low, high = outer(scm, rows, question, Between(coupled, nodes_moving(scm, question)), work=work)
    return low[rows.place].mean(0), high[rows.place].mean(0)


def paid(measure: str) -> Any:
    """What is bounded of y's being at its second level, written out once more."""

    def payoff(new: Values, old: Values) -> Tensor:
        after, before = ((each["y"] == 1).double() for each in (new, old))
        return {"value": after, "change": after - before, "gap": (after - before).abs()}[measure]

    return payoff


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), measure=st.sampled_from(MEASURES), level=st.sampled_from([None, "1"]))
def test_outer_bounds_hold_the_exact_ones_and_what_any_coupling_gives(shape: str, measure: Any, level: str | None, seed: int) -> None:
    scm = SCM(tables(SHAPES[shape], seed))
    columns, _ = everyone(scm.spec)
    question = Question({"a": "1"}, "y", "1" if level or len(scm.spec.nodes["y"].levels) > 2 else None, measure)
    world = abduct(scm, columns, given=scm.spec.observed, draws=2)
    exact = bounds_of(scm, world, question)
    dice = np.random.default_rng(seed)
    free = [name for name in scm.spec.order if name not in ("a", "c")]
    couplings = [{name: make(scm, name) for name in free} for make in (monotone, independent)]
    couplings.append({name: randomly_coupled(scm, name, dice) for name in free})
    values = [expected(scm, responses, columns, {"a": 1.0}, payoff=paid(measure)) for responses in couplings]
    for work in WORKS:
        low, high = outer_of(scm, world, question, work)
        assert (low <= exact.low + 1e-12).all()
        assert (high >= exact.high - 1e-12).all()
        for value in values:
            assert (low <= value + 1e-8).all()
            assert (high >= value - 1e-8).all()


def mixed(seed: int) -> tuple[SCM, Columns]:
    """A random model of a count, a real node, a count of this count, and levels; and people."""
    dice = np.random.default_rng(seed)

    def weights(*names: str) -> dict[str, float]:
        return {name: float(dice.normal(0, 0.4)) for name in names}

    spec = declare(
        {
            "a": {**LEVELS, "parameters": {"intercept": 0.0, "weights": {}}},
            "c": {"mechanism": "poisson", "parents": ["a"], "parameters": {"intercept": 0.3, "weights": weights("a=yes")}},
            "r": {
                "mechanism": "gaussian",
                "parents": ["a", "c"],
                "parameters": {"intercept": 0.1, "weights": weights("a=yes", "c"), "scale": 0.8},
            },
            "e": {
                "mechanism": "negative_binomial",
                "parents": ["a", "c"],
                "parameters": {"intercept": -0.2, "weights": {"a=yes": float(dice.normal()), "c": 0.05}, "concentration": 3.0},
            },
            "d": {**LEVELS, "parents": ["a", "c", "r"], "parameters": {"intercept": 0.2, "weights": weights("a=yes", "c", "r")}},
        },
        outcome="d",
    )
    scm = SCM(spec)
    return scm, people(scm, 8, seed=seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bounded", [True, False])
def test_outer_bounds_of_a_prediction_from_counts_and_numbers_hold_the_exact_ones(seed: int, bounded: bool) -> None:
    scm, columns = mixed(seed)
    w = torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def score(rows: Values, n: int) -> Tensor:
        linear = w[0] * rows["c"] + w[1] * rows["r"] + w[2] * rows["d"] + w[3] * rows["e"] * 0.3
        return linear.sigmoid() if bounded else linear

    model = scored(scm, "score", ["c", "r", "e", "d"], score, Outline((0.0, 1.0) if bounded else (-inf, inf), monotone=True))
    world = abduct(model, columns, given=["a", "c", "r", "e", "d"], draws=1)
    widths = []
    for measure in ("value", "change"):  # exact bounds of gaps are found by long programs here
        question = Question({"a": "yes"}, "score", measure=measure)  # type: ignore[arg-type]
        exact = bounds_of(model, world, question)
        for work in (10**7, 20_000, 800, 8)[: 4 if bounded else 3]:  # with hardly any work d is not told apart, and refused
            low, high = outer_of(model, world, question, work)
            assert low.isfinite().all()
            assert high.isfinite().all()
            assert (low <= exact.low + 1e-9).all()
            assert (high >= exact.high - 1e-9).all()
            widths.append(float((high - low).mean()))
    assert widths[0] <= widths[2] + 1e-12  # more work is worth something
    assert widths[0] < widths[3] - 1e-3 or not bounded


def test_people_to_whom_nothing_happens_keep_their_value_to_the_last_bit() -> None:
    scm, columns = mixed(1)
    model = scored(scm, "score", ["c", "r"], lambda rows, n: rows["c"] * rows["r"], Outline(monotone=True))
    world = abduct(model, columns, given=["a", "c", "r", "e", "d"], draws=1)
    low, high = outer_of(model, world, Question({"a": "yes"}, "score"), 200)
    stay = columns["a"] == 1
    assert stay.any()
    assert torch.equal(low[stay], (columns["c"] * columns["r"])[stay])
    assert torch.equal(high[stay], low[stay])


def many(count: int, coupling: str = "monotone") -> tuple[SCM, SCM, Columns]:
    """Many nodes of six levels, a sum of them as a score, and people."""
    nodes: dict[str, Any] = {"a": (2, []), **{f"m{j}": (6, ["a"]) for j in range(count)}}
    scm = SCM(tables({**nodes, "y": (2, ["m0", "m1"])}, 1, coupling=coupling))
    names = [f"m{j}" for j in range(count)]
    return scm, scored(scm, "score", names, lambda rows, n: sum((rows[name] for name in names), torch.zeros(n))), people(scm, 30)


@pytest.mark.parametrize("coupling", ["monotone", "gumbel", "independent"])
def test_more_combinations_than_can_be_gone_through_have_outer_bounds_that_hold_the_chosen_coupling(coupling: str) -> None:
    scm, model, columns = many(5, coupling)
    assert (columns["a"] == 0).any()
    persons = coupling_bounds(model, columns, {"a": "1"}, target="score", measure="change", draws=2)
    population = coupling_bounds(model, columns, {"a": "1"}, target="score", measure="change", by="population", draws=2)
    assert persons.nodes == ("m0", "m1", "m2", "m3", "m4")
    assert (population.sharp, float(population.low)) == ("outer", pytest.approx(float(persons.low.mean()), abs=1e-12))
    draws = 2_000
    world = abduct(scm, columns, draws=draws)
    after = counterfactual(scm, world, {"a": "1"})
    moved = torch.stack([after.values[f"m{j}"] - world.values[f"m{j}"] for j in range(5)]).sum(0)
    error = 5 * moved.std(0) / draws**0.5
    assert (moved.mean(0) >= persons.low - error).all()
    assert (moved.mean(0) <= persons.high + error).all()


@pytest.mark.parametrize("own", [4_950, 5_000])
def test_a_large_count_has_finite_bounds_that_hold_the_means_of_its_two_tails(own: int) -> None:
    """Exactly, as of small counts: of everyone with this count, at most they have the largest of the other world."""
    weights = {"a=yes": float(np.log(1.2))}
    y = {"mechanism": "poisson", "parents": ["a"], "parameters": {"intercept": float(np.log(5_000)), "weights": weights}}
    scm = SCM(declare({"a": {**LEVELS, "parameters": {"intercept": 0.0, "weights": {}}}, "y": y}))
    columns = columns_of({"a": torch.zeros(1), "y": torch.tensor([float(own)])})
    bounds = coupling_bounds(scm, columns, {"a": "yes"}, target="y", draws=2)
    numbers, p = np.arange(8_000), poisson(5_000).pmf(own)
    mass, upto = poisson(6_000).pmf(numbers), poisson(6_000).cdf(numbers)
    least = np.clip(np.minimum(upto, p) - (upto - mass), 0, None) @ numbers / p
    most = np.clip(mass - np.maximum(0, (1 - p) - (upto - mass)), 0, mass) @ numbers / p
    assert bounds.sharp == "outer"
    assert poisson(6_000).ppf(1e-9) < bounds.low < least + 1e-6
    assert most - 1e-6 < bounds.high < poisson(6_000).isf(1e-9)


@pytest.mark.parametrize("name", ["full", "unaware", "residual"])
@pytest.mark.parametrize("outcome", ["bernoulli", "gaussian"])
def test_our_own_predictors_are_bounded_where_a_count_is_large(name: str, outcome: str) -> None:
    last = {**LEVELS, "parents": ["a", "c"]} if outcome == "bernoulli" else {"mechanism": "gaussian", "parents": ["a", "c"]}
    known: dict[str, Any] = {"intercept": -5.0, "weights": {"c": 0.001, "a=yes": 0.5}}
    c = {"mechanism": "negative_binomial", "parents": ["a"]}
    spec = declare(
        {
            "a": {**LEVELS, "parameters": {"intercept": 0.0, "weights": {}}},
            "c": {**c, "parameters": {"intercept": 8.5, "weights": {"a=yes": 0.2}, "concentration": 4.0}},
            "y": {**last, "parameters": known if outcome == "bernoulli" else {**known, "scale": 1.0}},
        },
        outcome="y",
        protected=["a"],
    )
    scm = SCM(spec)
    columns = people(scm, 300)
    predictor = PREDICTORS[name](scm).fit([abduct(scm, columns, draws=2)], columns["y"])
    model = scored(scm, "score", predictor.needs, predictor.deploy, predictor)
    some = columns.take(slice(0, 4))
    bounds = coupling_bounds(model, some, {"a": "yes"}, target="score", draws=2)
    assert bounds.low.isfinite().all()
    assert bounds.high.isfinite().all()
    assert (bounds.low < bounds.high)[some["a"] == 0].all()
    if outcome == "bernoulli":
        assert ((bounds.low >= 0) & (bounds.high <= 1)).all()


def test_a_map_of_which_nothing_is_known_is_refused_in_words_unless_its_values_are_probabilities() -> None:
    scm, model, columns = many(9)
    with pytest.raises(QueryError, match=r"too many combinations of levels to be asked for at each .* nothing bounds it in between"):
        coupling_bounds(model, columns, {"a": "1"}, target="score", draws=2)
    names = [f"m{j}" for j in range(9)]
    known = scored(scm, "score", names, lambda rows, n: (rows["m0"] - rows["m8"]).sigmoid(), Outline((0.0, 1.0)))
    bounds = coupling_bounds(known, columns, {"a": "1"}, target="score", draws=2)
    assert ((bounds.low >= 0) & (bounds.high <= 1) & (bounds.low <= bounds.high)).all()


def test_a_score_that_is_not_a_number_somewhere_is_refused_there_too() -> None:
    scm, _, columns = many(5)
    names = [f"m{j}" for j in range(5)]
    model = scored(scm, "score", names, lambda rows, n: sum((rows[name] for name in names), torch.zeros(n)).log(), Outline(monotone=True))
    with pytest.raises(QueryError, match="not a finite number in some world"):
        coupling_bounds(model, columns, {"a": "1"}, target="score", draws=2)
