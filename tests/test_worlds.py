"""Simulated and counterfactual worlds."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from cfair.data import read_table
from cfair.errors import QueryError
from cfair.families import FAMILIES
from cfair.graph import descendants
from cfair.inference import abduct, learn
from cfair.interfaces import World
from cfair.scm import SCM
from cfair.spec import find_model, load_spec
from cfair.worlds import Setting, counterfactual, simulate

from oracles import LINEAR, assert_mean, declare, people, random_spec

SEEDS = range(20)


def factual_of(seed: int, *, n: int = 40, draws: int = 7, given: bool = True) -> tuple[SCM, World]:
    """A random model of all families with a latent, and its world abducted from a table, or from what comes before the outcome."""
    spec = random_spec(seed)
    scm = SCM(spec)
    return scm, abduct(scm, people(scm, n, seed=seed), given=spec.observed if given else None, draws=draws, seed=seed)


def other(scm: SCM, world: World, node: str) -> Tensor:
    """Values that ``node`` can have and that differ from the factual ones for half of the people."""
    values, half = world.values[node].clone(), torch.arange(world.shape[1]) % 2 == 0
    levels = scm.spec.nodes[node].levels
    values[:, half] = (values[:, half] + 1) % len(levels) if levels else values[:, half] + 1
    return values


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("given", [True, False])
def test_doing_what_happened_changes_nothing(seed: int, given: bool) -> None:
    scm, factual = factual_of(seed, given=given)
    for do in ({"a": factual.values["a"]}, {"b": factual.values["b"].clone(), "c": factual.values["c"]}, {}):
        world = counterfactual(scm, factual, do)
        assert all(torch.equal(world.values[node], factual.values[node]) for node in scm.spec.order)


@pytest.mark.parametrize("seed", SEEDS)
def test_evidence_is_the_table_bit_for_bit_and_noise_makes_it_again(seed: int) -> None:
    spec = random_spec(seed)
    scm = SCM(spec)
    columns = people(scm, 40, seed=seed)
    world = abduct(scm, columns, given=spec.observed, draws=5, seed=seed)
    for node in spec.observed:
        assert torch.equal(world.values[node], columns[node].expand(5, 40))
        again = scm.mechanisms[node].value(world.noise[node], scm.parents(node, world.values)).expand(5, 40)
        if spec.nodes[node].kind == "real":
            torch.testing.assert_close(again, world.values[node], rtol=1e-12, atol=1e-12)
        else:
            assert torch.equal(again, world.values[node])


@pytest.mark.parametrize("seed", SEEDS[:10])
@pytest.mark.parametrize("node", ["a", "b", "d", "u"])
def test_only_descendants_move_and_only_where_a_parent_did(seed: int, node: str) -> None:
    scm, factual = factual_of(seed)
    world = counterfactual(scm, factual, {node: other(scm, factual, node)})
    unmoved = torch.arange(factual.shape[1]) % 2 == 1
    after = descendants(scm.spec.graph, [node])
    for each in scm.spec.order:
        if each not in after and each != node:
            assert torch.equal(world.values[each], factual.values[each])
        assert torch.equal(world.values[each][:, unmoved], factual.values[each][:, unmoved])


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_worlds_share_their_noise_moments_and_evidence(seed: int) -> None:
    scm, factual = factual_of(seed)
    world = counterfactual(scm, factual, {"a": "L1"})
    assert world.noise is factual.noise
    assert world.moments is factual.moments
    assert world.given == factual.given
    assert world.shape == factual.shape
    assert all(world.values[node].shape == world.shape for node in scm.spec.order)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_moves_follows_from_the_same_noise(seed: int) -> None:
    scm, factual = factual_of(seed)
    world = counterfactual(scm, factual, {"b": other(scm, factual, "b")})
    for node in descendants(scm.spec.graph, ["b"]):
        moved = (world.values[node] != factual.values[node]).any(0)
        again = scm.mechanisms[node].value(world.noise[node], scm.parents(node, world.values)).expand(world.shape)
        torch.testing.assert_close(again[:, moved], world.values[node][:, moved], rtol=1e-12, atol=1e-12)


def test_there_and_back_is_the_factual_world() -> None:
    scm, factual = factual_of(3)
    there = counterfactual(scm, factual, {"b": other(scm, factual, "b")})
    back = counterfactual(scm, there, {"b": factual.values["b"]})
    for node in scm.spec.order:
        torch.testing.assert_close(back.values[node], factual.values[node], rtol=1e-12, atol=1e-12)


@pytest.fixture(scope="module")
def linear() -> tuple[SCM, World]:
    scm = SCM(LINEAR)
    return scm, simulate(scm, 500, seed=0)


def test_total_direct_and_mediated_effects_equal_their_closed_forms(linear: tuple[SCM, World]) -> None:
    scm, factual = linear
    moved = 1.0 - factual.values["a"]
    total = counterfactual(scm, factual, {"a": "yes"}).values["y"] - factual.values["y"]
    direct = counterfactual(scm, factual, {"a": "yes"}, along={("a", "y")}).values["y"] - factual.values["y"]
    mediated = counterfactual(scm, factual, {"a": "yes"}, along={("a", "m"), ("m", "y")}).values["y"] - factual.values["y"]
    torch.testing.assert_close(total, -1.0 * moved)
    torch.testing.assert_close(direct, 2.0 * moved)
    torch.testing.assert_close(mediated, -3.0 * moved)
    torch.testing.assert_close(direct + mediated, total)


def test_a_resolving_variable_is_one_more_entry_of_do(linear: tuple[SCM, World]) -> None:
    scm, factual = linear
    held = counterfactual(scm, factual, {"a": "yes", "m": factual.values["m"]})
    direct = counterfactual(scm, factual, {"a": "yes"}, along=[("a", "y")])
    assert torch.equal(held.values["y"], direct.values["y"])
    assert torch.equal(held.values["m"], factual.values["m"])


def test_an_inactive_edge_shields_what_lies_behind_it(linear: tuple[SCM, World]) -> None:
    scm, factual = linear
    world = counterfactual(scm, factual, {"a": "yes"}, along=[("a", "m")])
    assert torch.equal(world.values["y"], factual.values["y"])
    torch.testing.assert_close(world.values["m"] - factual.values["m"], 3.0 * (1 - factual.values["a"]))
    everything = counterfactual(scm, factual, {"a": "yes"}, along=tuple(LINEAR.graph.edges))
    assert torch.equal(everything.values["y"], counterfactual(scm, factual, {"a": "yes"}).values["y"])
    assert torch.equal(counterfactual(scm, factual, {"a": "yes"}, along=[]).values["m"], factual.values["m"])


def test_edges_may_be_written_as_lists(linear: tuple[SCM, World]) -> None:
    scm, factual = linear
    listed, paired = (
        counterfactual(scm, factual, {"a": "yes"}, along=[cast("tuple[str, str]", edge)]) for edge in (["a", "y"], ("a", "y"))
    )
    assert torch.equal(listed.values["y"], paired.values["y"])


def test_people_may_each_have_their_own_setting(linear: tuple[SCM, World]) -> None:
    scm, factual = linear
    names = ["yes" if i % 3 else "no" for i in range(500)]
    world = counterfactual(scm, factual, {"a": names})
    assert torch.equal(world.values["a"][0], (torch.arange(500) % 3 > 0).double())
    assert world.label == "a=(per person)"


def test_draws_may_each_have_their_own_setting() -> None:
    scm, factual = factual_of(1)
    values = torch.randint(2, factual.shape, generator=torch.Generator().manual_seed(0)).double()
    world = counterfactual(scm, factual, {"a": values})
    assert torch.equal(world.values["a"], values)
    rows = torch.arange(3)
    for draw in range(2):
        alone = counterfactual(scm, factual, {"a": values[draw]})
        assert all(torch.equal(alone.values[node][draw, rows], world.values[node][draw, rows]) for node in scm.spec.order)


NUMERIC = declare(
    {
        "a": {"mechanism": "bernoulli", "levels": ["0", "1"], "parameters": {"intercept": 0.0, "weights": {}}},
        "t": {"mechanism": "bernoulli", "levels": ["false", "true"], "parameters": {"intercept": 0.0, "weights": {}}},
        "c": {"mechanism": "poisson", "parents": ["a", "t"], "parameters": {"intercept": 1.0, "weights": {"a=1": 0.5, "t=true": 0.1}}},
        "y": {"mechanism": "gaussian", "parents": ["c"], "parameters": {"intercept": 0.0, "weights": {"c": 1.0}, "scale": 1.0}},
    },
    protected=["a", "t"],
)


@pytest.mark.parametrize(
    "setting",
    [
        "1",
        1.0,
        1,
        np.int64(1),
        np.float64(1),
        torch.tensor(1),
        torch.ones(5),
        torch.ones(1, 5),
        ["1"] * 5,
        (1, 1, 1, 1, 1),
        np.array(["1"] * 5),
    ],
    ids=lambda setting: type(setting).__name__,
)
def test_settings_are_level_names_numbers_tensors_or_names_per_person(setting: Setting) -> None:
    scm = SCM(NUMERIC)
    factual = simulate(scm, 5)
    world = counterfactual(scm, factual, {"a": setting})
    assert torch.equal(world.values["a"], torch.ones(1, 5, dtype=torch.float64))
    assert torch.equal(world.values["y"], counterfactual(scm, factual, {"a": "1"}).values["y"])


@pytest.mark.parametrize(
    ("do", "label"),
    [
        ({"a": 1}, "a=1"),
        ({"a": 1.0}, "a=1"),
        ({"a": np.int64(1)}, "a=1"),
        ({"t": True, "a": "0"}, "a=0,t=true"),
        ({"c": 3, "a": "1"}, "a=1,c=3"),
        ({"y": 0.25}, "y=0.25"),
        ({"y": torch.tensor(0.25)}, "y=(per person)"),
        ({}, "simulated"),
    ],
)
def test_labels_say_what_was_done_in_the_order_of_the_spec(do: dict[str, Setting], label: str) -> None:
    scm = SCM(NUMERIC)
    world = counterfactual(scm, simulate(scm, 5), do)
    assert world.label == label
    assert all(world.values[node].shape == (1, 5) for node in scm.spec.order)


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ({"z": 1.0}, r"do: 'z' is not a node"),
        ({"tt": 1.0}, r"'tt' is not a node. Did you mean 't'\?"),
        ({"a": "2"}, r"'2' is not one of its levels"),
        ({"a": 0.5}, r"'0.5' is not one of its levels"),
        ({"t": ["true", "flase", "true", "true", "true"]}, r"'flase' is not one of its levels. Did you mean 'false'\?"),
        ({"t": ["true"]}, r"values of 't' have shape \(1,\)"),
        ({"a": torch.ones(4)}, r"values of 'a' have shape \(4,\).*\(5,\) or \(1, 5\)"),
        ({"a": torch.full((5,), 2.0)}, r"'a' is not the index of a level. Give whole numbers from 0 to 1"),
        ({"a": torch.full((5,), 0.5)}, r"not the index of a level"),
        ({"a": torch.full((5,), -1.0)}, r"not the index of a level"),
        ({"a": torch.full((5,), torch.nan)}, r"a value of 'a' is not finite"),
        ({"c": -1}, r"'c' is not a count"),
        ({"c": 1.5}, r"'c' is not a count"),
        ({"c": "3"}, r"'c' is a number, and '3' is a level's name"),
        ({"c": ["3"] * 5}, r"node has no levels"),
        ({"y": float("inf")}, r"a value of 'y' is not finite"),
        ({"y": "high"}, r"'y' is a number"),
    ],
)
def test_a_setting_that_no_one_can_have_is_refused(do: dict[str, Setting], message: str) -> None:
    scm = SCM(NUMERIC)
    with pytest.raises(QueryError, match=message):
        counterfactual(scm, simulate(scm, 5), do)


def test_an_edge_that_the_graph_lacks_is_refused() -> None:
    scm = SCM(NUMERIC)
    with pytest.raises(QueryError, match=r"along: 'a -> y' is not an edge of the graph. Did you mean '[act] -> [cy]'\?"):
        counterfactual(scm, simulate(scm, 5), {"a": "1"}, along=[("a", "c"), ("a", "y")])


def test_simulation_needs_people() -> None:
    with pytest.raises(QueryError, match="0 people cannot be simulated"):
        simulate(SCM(NUMERIC), 0)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_simulation_is_a_function_of_its_seed_and_consistent_with_its_noise(seed: int) -> None:
    scm = SCM(random_spec(seed))
    world, again, another = (simulate(scm, 200, seed=each) for each in (1, 1, 2))
    for node in scm.spec.order:
        assert torch.equal(world.values[node], again.values[node])
        assert torch.equal(world.noise[node], again.noise[node])
        assert not torch.equal(world.noise[node], another.noise[node])
        assert torch.equal(
            scm.mechanisms[node].value(world.noise[node], scm.parents(node, world.values)).expand(1, 200), world.values[node]
        )
    assert (world.label, world.given, world.moments) == ("simulated", (), None)


@pytest.mark.parametrize("seed", range(12))
def test_doing_what_happened_changes_nothing_in_a_model_of_any_families(seed: int) -> None:
    scm = SCM(random_spec(seed, families=sorted(FAMILIES)))
    columns = people(scm, 40, seed=seed)
    world = abduct(scm, columns, given=scm.spec.observed, draws=5)
    same = counterfactual(scm, world, {"a": columns["a"]})
    assert all(torch.equal(same.values[node], world.values[node]) for node in scm.spec.nodes)
    for node, mechanism in scm.mechanisms.items():  # and so it is recomputed, not only kept
        again = mechanism.value(world.noise[node], scm.parents(node, world.values))
        torch.testing.assert_close(again.expand(5, 40), world.values[node], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_simulated_values_have_the_moments_of_their_distributions(seed: int) -> None:
    scm = SCM(random_spec(seed))
    world = simulate(scm, 20_000, seed=seed)
    for node, mechanism in scm.mechanisms.items():
        distribution = mechanism.distribution(scm.parents(node, world.values))
        if scm.spec.nodes[node].kind == "category":
            for level in range(len(scm.spec.nodes[node].levels)):
                expected = distribution.log_prob(torch.tensor(float(level))).exp()
                assert_mean((world.values[node] == level).double() - expected, 0.0)
        else:
            assert_mean((world.values[node] - distribution.mean) / distribution.stddev, 0.0)
            assert_mean(((world.values[node] - distribution.mean) / distribution.stddev).square(), 1.0)


@pytest.mark.parametrize("seed", [seed for seed in range(30) if random_spec(seed).nodes["a"].mechanism == "bernoulli"][:6])
def test_worlds_under_do_are_distributed_as_the_mutilated_model(seed: int) -> None:
    spec = random_spec(seed)
    scm = SCM(spec)
    done = counterfactual(scm, simulate(scm, 20_000, seed=1), {"a": "L1"})
    mutilated = SCM(spec)
    cast("Any", mutilated.mechanisms["a"]).linear.intercept.data.fill_(60.0)  # a root, now certain but for e⁻⁶⁰
    cut = simulate(mutilated, 20_000, seed=2)
    for node in spec.order:
        if spec.nodes[node].kind == "real":
            assert ks_2samp(done.values[node][0].numpy(), cut.values[node][0].numpy()).pvalue > 1e-6
        else:
            assert_mean((done.values[node] - cut.values[node]) / cut.values[node].std().clamp(min=1e-3), 0.0)
    for first, second in zip(spec.order, spec.order[1:], strict=False):
        both = [world.values[first][0] * world.values[second][0] for world in (done, cut)]
        scale = both[1].std().clamp(min=1e-3)
        assert_mean((both[0] - both[1]) / scale, 0.0)


@pytest.fixture(scope="module")
def school() -> tuple[SCM, World]:
    spec = load_spec(find_model("law_school"))
    columns = read_table("law_school", spec)
    columns = columns.take(torch.arange(0, columns.n, 20))
    scm = learn(spec, columns)
    return scm, abduct(scm, columns.take(torch.arange(300)), draws=20)


def test_the_law_school_keeps_its_factual_world_under_do_of_what_happened(school: tuple[SCM, World]) -> None:
    scm, factual = school
    names = [scm.spec.nodes["race"].levels[int(level)] for level in factual.values["race"][0]]
    world = counterfactual(scm, factual, {"race": names, "sex": factual.values["sex"]})
    assert all(torch.equal(world.values[node], factual.values[node]) for node in scm.spec.order)


def test_the_law_school_moves_whom_do_moves_and_nobody_else(school: tuple[SCM, World]) -> None:
    scm, factual = school
    world = counterfactual(scm, factual, {"race": "Black"})
    black = factual.values["race"][0] == scm.spec.level("race", "Black")
    for node in scm.spec.order:
        assert torch.equal(world.values[node][:, black], factual.values[node][:, black])
    for node in ("ugpa", "lsat"):
        assert (world.values[node] <= factual.values[node]).all()
        assert (world.values[node] < factual.values[node])[:, ~black].double().mean() > 0.5
    assert torch.equal(world.values["knowledge"], factual.values["knowledge"])
    assert torch.equal(world.values["lsat"], world.values["lsat"].floor())


def test_several_attributes_change_at_once(school: tuple[SCM, World]) -> None:
    scm, factual = school
    both = counterfactual(scm, factual, {"sex": "female", "race": "Asian"})
    assert both.label == "race=Asian,sex=female"
    step = counterfactual(scm, counterfactual(scm, factual, {"race": "Asian"}), {"race": "Asian", "sex": "female"})
    for node in scm.spec.order:
        torch.testing.assert_close(step.values[node], both.values[node], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_asking_writes_nothing_into_the_factual_world_or_its_noise(seed: int) -> None:
    scm = SCM(random_spec(seed, families=sorted(FAMILIES)))
    factual = abduct(scm, people(scm, 30, seed=seed), given=scm.spec.observed, draws=3)
    kept = [{node: tensor.clone() for node, tensor in part.items()} for part in (factual.values, factual.noise)]
    changed = other(scm, factual, "a")
    given = changed.clone()
    world = counterfactual(scm, factual, {"a": changed})
    first = {node: value.clone() for node, value in world.values.items()}
    assert all(torch.equal(again, first[node]) for node, again in counterfactual(scm, factual, {"a": changed}).values.items())
    assert torch.equal(changed, given)
    for before, after in zip(kept, (factual.values, factual.noise), strict=True):
        assert all(torch.equal(after[node], tensor) for node, tensor in before.items())


def test_who_keeps_a_value_keeps_its_every_bit() -> None:
    scm = SCM(LINEAR)
    factual = simulate(scm, 400, seed=0)
    odd = torch.tensor([-0.0, 5e-324, -1.7e308, 1.7e308], dtype=torch.float64).repeat(100).unsqueeze(0)
    factual = replace(factual, values={**factual.values, "m": odd})
    world = counterfactual(scm, factual, {"a": 1 - (torch.arange(400) % 3 > 0).double()})
    kept = world.values["a"] == factual.values["a"]
    assert 100 < kept.sum() < 300
    assert torch.equal(world.values["m"].view(torch.int64)[kept], odd.view(torch.int64)[kept])
    assert (world.values["m"] != odd)[~kept].all()


@pytest.mark.parametrize("seed", range(8))
def test_a_person_has_the_same_world_alone_as_among_others(seed: int) -> None:
    scm = SCM(random_spec(seed, families=sorted(FAMILIES)))
    factual = simulate(scm, 37, seed=seed)
    level = other(scm, factual, "a")
    among = counterfactual(scm, factual, {"a": level})
    for person in (0, 17, 36):
        own = [{node: tensor[:, [person]] for node, tensor in part.items()} for part in (factual.values, factual.noise)]
        alone = counterfactual(scm, World(own[0], own[1], (1, 1)), {"a": level[:, [person]]})
        for node in scm.spec.order:
            torch.testing.assert_close(alone.values[node], among.values[node][:, [person]], rtol=1e-12, atol=1e-12)
