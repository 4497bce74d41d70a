"""What can be asked of bounds: predictions, counts, latents, paths, one's own settings; and what is refused."""

import json
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from torch import Tensor

from cfair.effects import Question, bounds_of, coupled_nodes, coupling_bounds, scored
from cfair.errors import QueryError
from cfair.inference import abduct
from cfair.interfaces import Values
from cfair.scm import SCM
from cfair.worlds import counterfactual

from oracles import LINEAR, columns_of, declare, people
from response_functions import everyone, tables

LEVELS = {"mechanism": "bernoulli", "levels": ["no", "yes"]}
HIRING = declare(  # a moves the job and the income, the job the income too, and y follows
    {
        "a": {**LEVELS, "parameters": {"intercept": 0.2, "weights": {}}},
        "job": {
            "mechanism": "categorical",
            "levels": ["none", "part", "full"],
            "parents": ["a"],
            "parameters": {
                "part": {"intercept": 0.1, "weights": {"a=yes": 0.8}},
                "full": {"intercept": 0.3, "weights": {"a=yes": -0.9}},
            },
        },
        "income": {
            "mechanism": "gaussian",
            "parents": ["a", "job"],
            "parameters": {"intercept": 1.0, "weights": {"a=yes": -0.5, "job=part": 1.0, "job=full": 2.5}, "scale": 0.7},
        },
        "y": {**LEVELS, "parents": ["income"], "parameters": {"intercept": -1.0, "weights": {"income": 0.6}}},
    }
)
FACTOR: dict[str, Any] = {  # y depends on a latent that x shows
    "a": {**LEVELS, "parameters": {"intercept": 0.0, "weights": {}}},
    "k": {"mechanism": "gaussian", "latent": True},
    "x": {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 1.0}},
    "y": {**LEVELS, "parents": ["a", "k"], "parameters": {"intercept": 0.3, "weights": {"a=yes": 1.2, "k": 0.8}}},
}
WITH_FACTOR = declare(FACTOR)


def score(rows: Values, n: int) -> Tensor:
    return (rows["income"] + 3 * (rows["job"] == 1).double()).sigmoid()


def conditionals(p: Any, q: Any, own: int) -> Any:
    """The corners of what P(level | own level) can be of three levels: filled in any order up to q/p(own)."""
    room = np.minimum(q / p[own], 1.0)
    for order in permutations(range(3)):
        share, left = np.zeros(3), 1.0
        for level in order:
            share[level] = min(room[level], left)
            left -= share[level]
        yield share


def test_a_prediction_s_gap_is_bounded_through_a_category_and_what_follows_it() -> None:
    """By hand: the income keeps its noise, the job is anything that Fréchet allows."""
    scm = SCM(HIRING)
    columns = people(scm, 40, seed=1)
    model = scored(scm, "score", ["job", "income"], score)
    assert coupled_nodes(model, ["a"], "score") == ("job",)
    bounds = coupling_bounds(model, columns, {"a": "yes"}, target="score", measure="gap", draws=50)
    assert bounds.sharp == "sharp"
    index = torch.arange(3).double()
    p, q = (scm.mechanisms["job"].distribution({"a": torch.full((3,), float(a)).double()}).log_prob(index).exp().numpy() for a in (0, 1))
    weights = np.array([0.0, 1.0, 2.5])
    for i in range(columns.n):
        if columns["a"][i] == 1:
            assert bounds.low[i] == bounds.high[i] == 0
            continue
        own = int(columns["job"][i])
        moved = float(columns["income"][i]) - 0.5 + weights - weights[own]
        values = 1 / (1 + np.exp(-(moved + 3 * (np.arange(3) == 1))))
        before = 1 / (1 + np.exp(-(float(columns["income"][i]) + 3 * (own == 1))))
        found = [float(x @ np.abs(values - before)) for x in conditionals(p, q, own)]
        assert abs(min(found) - float(bounds.low[i])) < 1e-9
        assert abs(max(found) - float(bounds.high[i])) < 1e-9


def test_a_prediction_is_not_inferred_from_the_outcome() -> None:
    scm = SCM(WITH_FACTOR)
    columns = people(scm, 30, seed=2)
    model = scored(scm, "score", ["x"], lambda rows, n: rows["x"])
    other = columns_of({**columns.coded, "y": 1 - columns["y"]})
    one, two = (coupling_bounds(model, each, {"a": "yes"}, target="score", draws=5) for each in (columns, other))
    assert torch.equal(one.low, two.low)
    assert torch.equal(one.low, columns["x"])
    assert one.nodes == ()


def test_with_a_latent_bounds_are_frechets_draw_by_draw_and_then_averaged() -> None:
    scm = SCM(WITH_FACTOR)
    columns = people(scm, 25, seed=3)
    world = abduct(scm, columns, given=["a", "x", "y"], draws=300, seed=4)
    bounds = bounds_of(scm, world, Question({"a": "yes"}, "y"))
    assert bounds.sharp == "sharp"
    k, a, y = world.values["k"].numpy(), columns["a"].numpy(), columns["y"].numpy()
    one = 1 / (1 + np.exp(-(0.3 + 1.2 * a + 0.8 * k)))
    p, q = np.where(y == 1, one, 1 - one), 1 / (1 + np.exp(-(1.5 + 0.8 * k)))
    low = np.where(a == 1, y, np.maximum(0, p + q - 1) / p).mean(0)
    high = np.where(a == 1, y, np.minimum(p, q) / p).mean(0)
    np.testing.assert_allclose(bounds.low.numpy(), low, atol=1e-12)
    np.testing.assert_allclose(bounds.high.numpy(), high, atol=1e-12)


def test_a_latent_that_does_not_touch_a_node_leaves_its_coupling_one_for_all_draws() -> None:
    """What pays differs by draw, and one joint distribution must serve all: sharp is narrower than draw by draw."""
    nodes = dict(FACTOR)
    nodes["m"] = {**LEVELS, "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=yes": 0.5}}}
    nodes["z"] = {
        "mechanism": "gaussian",
        "parents": ["k", "m"],
        "parameters": {"intercept": 0.0, "weights": {"k": 1.0, "m=yes": 1.0}, "scale": 1e-3},
    }
    scm = SCM(declare(nodes))
    columns = people(scm, 12, seed=5)
    model = scored(scm, "score", ["z"], lambda rows, n: rows["z"].sin())
    world = abduct(model, columns, given=["a", "x", "m"], draws=40, seed=6)
    bounds = bounds_of(model, world, Question({"a": "yes"}, "score"))
    assert bounds.sharp == "sharp"
    z, m = world.values["z"].numpy(), columns["m"].numpy()
    p, q = 0.5, 1 / (1 + np.exp(-0.5))
    payoff = np.stack([np.sin(z - m), np.sin(z - m + 1)]).mean(1)  # over draws first
    both = np.stack([(1 - x) * payoff[0] + x * payoff[1] for x in (max(0.0, p + q - 1) / p, min(p, q) / p)])
    factual = np.sin(z).mean(0)
    moves = columns["a"].numpy() == 0
    np.testing.assert_allclose(bounds.low.numpy(), np.where(moves, both.min(0), factual), atol=1e-9)
    np.testing.assert_allclose(bounds.high.numpy(), np.where(moves, both.max(0), factual), atol=1e-9)


@pytest.mark.parametrize("rates", [(0.5, 0.9), (20.0, 26.0)])
def test_a_count_s_mean_lies_between_the_means_of_its_two_tails(rates: tuple[float, float]) -> None:
    """Of everyone with count c, a share P(c): at most they have the largest counts of the other world, at least the smallest."""
    log = np.log(rates)
    spec = declare(
        {
            "a": {**LEVELS, "parameters": {"intercept": 0.0, "weights": {}}},
            "y": {"mechanism": "poisson", "parents": ["a"], "parameters": {"intercept": log[0], "weights": {"a=yes": log[1] - log[0]}}},
        }
    )
    counts = torch.tensor([round(rates[0]), round(rates[0]) + 3, 0]).double()
    columns = columns_of({"a": torch.zeros(3), "y": counts})
    bounds = coupling_bounds(SCM(spec), columns, {"a": "yes"}, target="y", draws=20)
    assert bounds.sharp == "sharp"
    numbers = np.arange(400)
    mass, upto = poisson(rates[1]).pmf(numbers), poisson(rates[1]).cdf(numbers)
    for i, count in enumerate(counts.tolist()):
        p = poisson(rates[0]).pmf(count)
        least = np.clip(np.minimum(upto, p) - (upto - mass), 0, None)
        most = np.clip(mass - np.maximum(0, (1 - p) - (upto - mass)), 0, mass)
        assert abs(float(bounds.low[i]) - (least @ numbers) / p) < 1e-6
        assert abs(float(bounds.high[i]) - (most @ numbers) / p) < 1e-6 * (1 + 1 / p)


def test_nothing_depends_on_a_coupling_where_all_nodes_are_real() -> None:
    scm = SCM(LINEAR)
    columns = people(scm, 20, seed=1)
    assert coupled_nodes(scm, ["a"], "y") == ()
    bounds = coupling_bounds(scm, columns, {"a": "yes"}, target="y", measure="change", draws=3)
    assert torch.equal(bounds.low, bounds.high)
    torch.testing.assert_close(bounds.value, torch.where(columns["a"] == 0, -1.0, 0.0).double())
    assert bounds.sharp == "sharp"
    assert "no coupling matters" in str(bounds)


def test_only_nodes_on_a_path_that_carries_the_change_are_coupled() -> None:
    spec = tables({"a": (2, []), "c": (2, []), "w": (2, ["a", "c"]), "z": (2, ["w"]), "v": (2, ["a"]), "y": (2, ["z", "c"])}, 0)
    scm = SCM(spec)
    assert coupled_nodes(scm, ["a"], "y") == ("w", "z", "y")
    assert coupled_nodes(scm, ["a", "w"], "y") == ("z", "y")
    assert coupled_nodes(scm, ["c"], "v") == ()
    assert coupled_nodes(scm, ["a"], "y", along=[("a", "w"), ("z", "y")]) == ()
    assert coupled_nodes(scm, ["a"], "w", along=[("a", "w")]) == ("w",)


def test_people_may_be_set_to_values_of_their_own_and_walked_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scm = SCM(tables({"a": (3, []), "m": (2, ["a"]), "y": (2, ["a", "m"])}, 4))
    columns, _ = everyone(scm.spec)
    own = (columns["a"] + 1) % 3
    together = coupling_bounds(scm, columns, {"a": own}, target="y", draws=10)
    named = coupling_bounds(scm, columns, {"a": [str(int(a)) for a in own]}, target="y", draws=10)
    for level in range(3):
        some = own == level
        alone = coupling_bounds(scm, columns.take(some.nonzero().squeeze(-1)), {"a": str(level)}, target="y", draws=10)
        assert torch.equal(alone.low, together.low[some])
        assert torch.equal(alone.high, together.high[some])
    monkeypatch.setattr("cfair.effects.bounds.BLOCK", 30)
    blocks = coupling_bounds(scm, columns, {"a": own}, target="y", draws=10)
    for other in (named, blocks):
        for field in ("low", "high", "value", "exact"):
            assert torch.equal(getattr(other, field), getattr(together, field))


def test_weights_count_people_as_often_as_they_say() -> None:
    scm = SCM(tables({"a": (2, []), "m": (2, ["a"]), "y": (2, ["a", "m"])}, 9))
    columns, _ = everyone(scm.spec)
    weights = torch.arange(columns.n) % 3
    many = columns.take(torch.arange(columns.n).repeat_interleave(weights))
    world, doubled = (abduct(scm, each, given=scm.spec.observed, draws=4) for each in (columns, many))
    question = Question({"a": "1"}, "y", measure="gap")
    one = bounds_of(scm, world, question, by="population", weights=weights.double())
    two = bounds_of(scm, doubled, question, by="population")
    assert abs(float(one.low - two.low)) < 1e-12
    assert abs(float(one.high - two.high)) < 1e-12


def test_the_mean_of_people_s_bounds_is_never_inside_the_population_s() -> None:
    """A population shares one coupling: its bounds are within the means of its people's, and here they are narrower."""
    scm = SCM(tables({"a": (2, []), "y": (3, ["a"])}, 3))
    columns, share = everyone(scm.spec)
    world = abduct(scm, columns, given=scm.spec.observed, draws=1)
    question = Question({"a": "1"}, "y", "2", "change")
    persons = bounds_of(scm, world, question)
    population = bounds_of(scm, world, question, by="population", weights=share)
    assert persons.low @ share < population.low - 0.01
    assert persons.high @ share > population.high + 0.01


def test_bounds_that_no_coupling_is_known_to_attain_are_called_outer_and_hold_the_value() -> None:
    scm = SCM(tables({"a": (3, []), "m": (4, ["a"]), "w": (4, ["a", "m"]), "y": (4, ["m", "w"])}, 1, coupling="monotone"))
    columns = people(scm, 12, seed=1)
    bounds = coupling_bounds(scm, columns, {"a": "1"}, target="y", level="1", measure="gap", by="population", draws=200)
    world = abduct(scm, columns, given=scm.spec.observed, draws=200)
    new = counterfactual(scm, world, {"a": "1"})
    value = ((new.values["y"] == 1).double() - (world.values["y"] == 1).double()).abs().mean()
    assert bounds.sharp == "outer"
    assert bounds.low - 0.05 < value < bounds.high + 0.05
    assert bounds.to_json()["sharp"] == "outer"


def test_what_is_said_is_plain_numbers_and_names_what_is_not_covered() -> None:
    scm = SCM(tables({"a": (2, []), "y": (2, ["a"])}, 3))
    columns, _ = everyone(scm.spec)
    bounds = coupling_bounds(scm, columns, {"a": "1"}, target="y", by="population", draws=5)
    said = json.loads(json.dumps(bounds.to_json(), allow_nan=False))
    assert said.keys() == {"value", "low", "high", "sharp", "nodes", "over"}
    assert said["nodes"] == ["y"]
    assert said["low"] <= said["value"] <= said["high"]
    assert "hidden confounding" in str(bounds)
    assert f"[{said['low']:.3f}, {said['high']:.3f}] sharp" in str(bounds)


def refused(**how: Any) -> str:
    scm = SCM(tables({"a": (2, []), "m": (3, ["a"]), "y": (2, ["m"])}, 3))
    columns, _ = everyone(scm.spec)
    asked = {"do": {"a": "1"}, "target": "y", "draws": 2, **how}
    with pytest.raises(QueryError) as error:
        coupling_bounds(how.pop("scm", scm), columns, asked.pop("do"), **{k: v for k, v in asked.items() if k != "scm"})
    return str(error.value)


def test_a_question_that_cannot_be_answered_is_refused_with_a_mend() -> None:
    assert "did you mean 'a'" in refused(do={"A": "1"}).lower() or "use one of" in refused(do={"A": "1"}).lower()
    assert "use one of: a, m, y" in refused(target="outcome").lower()
    assert "level='0'" in refused(target="m")
    assert "not one of its levels" in refused(level="7")
    assert "did you mean 'gap'" in refused(measure="gaps").lower()
    assert "did you mean 'population'" in refused(by="populations").lower()


def test_a_value_that_the_model_calls_impossible_is_refused() -> None:
    rows = [{"a": "no", "p": [1.0, 0.0]}, {"a": "yes", "p": [0.5, 0.5]}]
    a = {**LEVELS, "parameters": {"intercept": 0.0, "weights": {}}}
    y = {"mechanism": "table", "levels": ["0", "1"], "parents": ["a"], "parameters": {"probabilities": rows}}
    scm = SCM(declare({"a": a, "y": y}))
    columns = columns_of({"a": torch.tensor([0.0, 1.0]), "y": torch.tensor([1.0, 1.0])})
    with pytest.raises(QueryError, match="value of 'y' that has probability 0"):
        coupling_bounds(scm, columns, {"a": "yes"}, target="y", draws=2)


def test_a_score_that_is_not_a_number_somewhere_is_refused() -> None:
    scm = SCM(HIRING)
    model = scored(scm, "score", ["job"], lambda rows, n: rows["job"].log())
    with pytest.raises(QueryError, match="not a finite number"):
        coupling_bounds(model, people(scm, 20), {"a": "yes"}, target="score", draws=2)
