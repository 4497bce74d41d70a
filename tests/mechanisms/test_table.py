"""Tables of conditional probabilities: learned by counting, and safe where a probability is 0."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from cfair.auditing import audit
from cfair.errors import FitError, SpecError
from cfair.inference import abduct, learn
from cfair.interfaces import Columns
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import ModelSpec, dump_spec, read_spec
from cfair.worlds import counterfactual

from oracles import columns_of, declare, people

B = ["0", "1"]
PARENTS = {"u": [], "x": ["u"], "z": ["u"], "d": ["x"], "y": ["x", "d", "z"]}
COUPLINGS = ["gumbel", "monotone", "independent"]


def chance(node: str, at: dict[str, int]) -> int:
    """Tenths of P(node = 1 | parents), science.md section 5."""
    return {
        "u": lambda: 5,
        "x": lambda: 5 + at["u"],
        "z": lambda: 5 + 3 * at["u"],
        "d": lambda: 5 + 2 * at["x"],
        "y": lambda: 1 + at["x"] + 3 * at["d"] + at["z"],
    }[node]()


def oracle(**more: Any) -> ModelSpec:
    nodes = {node: {"mechanism": "table", "levels": B, "parents": parents, **more} for node, parents in PARENTS.items()}
    return declare(nodes, protected=["x"], outcome="y")


def everyone() -> Columns:
    """The oracle's 20,000 people: as many of each kind as the joint distribution says, exactly."""
    rows: list[list[int]] = []
    for levels in product([0, 1], repeat=len(PARENTS)):
        at, count = dict(zip(PARENTS, levels, strict=True)), 1
        for node in PARENTS:
            tenths = chance(node, at) if at[node] else 10 - chance(node, at)
            count = count * tenths
        rows += [list(levels)] * (count // 5)
    return columns_of(dict(zip(PARENTS, torch.tensor(rows).T, strict=True)))


def test_frequencies_are_those_of_the_discrete_oracle_exactly() -> None:
    columns = everyone()
    assert columns.n == 20_000
    raw: Any = learn(oracle(prior=0), columns).parameters_in_units()
    for node, parents in PARENTS.items():
        assert len(raw[node]["probabilities"]) == 2 ** len(parents)
        for row in raw[node]["probabilities"]:
            tenths = chance(node, {parent: int(row[parent]) for parent in parents})
            assert row["p"] == [(10 - tenths) / 10, tenths / 10]


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_the_total_effect_is_that_of_enumeration_under_every_coupling(coupling: str) -> None:
    columns = everyone()
    scm = learn(oracle(prior=0, coupling=coupling), columns)
    kinds, counts = torch.stack(list(columns.values())).unique(dim=1, return_counts=True)
    some = columns_of(dict(zip(columns, kinds, strict=True)))  # each kind of person once, for equal rows have equal draws
    world = abduct(scm, some, given=scm.spec.observed, draws=4_000)
    y = {x: counterfactual(scm, world, {"x": x}).values["y"] for x in B}
    effect, share = y["1"] - y["0"], counts / counts.sum()
    error = float((share.square() * effect.var(0) / 4_000).sum().sqrt())
    assert abs(float((share * effect.mean(0)).sum()) - (0.1 + 0.3 * 0.2)) <= 5 * error
    for x in (0, 1):
        assert torch.equal(y[str(x)][:, some["x"] == x], world.values["y"][:, some["x"] == x])


def test_cells_have_their_posterior_mean() -> None:
    spec = declare({"a": {"mechanism": "bernoulli", "levels": B}, "y": {"mechanism": "table", "levels": ["l", "m", "h"], "parents": ["a"]}})
    columns = columns_of({"a": torch.tensor([0, 0, 0, 0]), "y": torch.tensor([0, 0, 2, 2])})
    raw: Any = learn(spec, columns).mechanisms["y"].raw()
    assert raw["probabilities"] == [{"a": "0", "p": [2.5 / 5.5, 0.5 / 5.5, 2.5 / 5.5]}, {"a": "1", "p": [1 / 3] * 3}]


def test_without_prior_a_combination_that_nobody_has_is_named() -> None:
    columns = everyone()
    some = columns.take(((columns["x"] != 0) | (columns["d"] != 1) | (columns["z"] != 1)).nonzero().squeeze(-1))
    with pytest.raises(FitError, match=r"learning y: no row has x=0, d=1, z=1, and the prior is 0. Leave 'prior: 0' out"):
        learn(oracle(prior=0), some)


def test_fixed_probabilities_are_not_learned() -> None:
    root = {"mechanism": "table", "levels": ["l", "m", "h"], "parameters": {"probabilities": [{"p": [0.2, 0.3, 0.5]}]}}
    spec = declare({"a": root, "y": {"mechanism": "table", "levels": B, "parents": ["a"]}})
    columns = columns_of({"a": torch.tensor([0, 1, 2]), "y": torch.tensor([0, 1, 1])})
    raw: Any = learn(spec, columns).parameters_in_units()
    assert raw["a"] == {"probabilities": [{"p": [0.2, 0.3, 0.5]}]}
    assert raw["y"]["probabilities"][0] == {"a": "l", "p": [0.75, 0.25]}


def certain(coupling: str) -> SCM:
    """A node that is its parent's level, save the third level, which nobody has."""
    rows = [{"a": "0", "p": [1, 0, 0]}, {"a": "1", "p": [0, 1, 0]}]
    v = {"mechanism": "table", "levels": ["l", "m", "h"], "parents": ["a"], "parameters": {"probabilities": rows}, "coupling": coupling}
    y = {"mechanism": "gaussian", "parents": ["v"], "parameters": {"intercept": 0.0, "weights": {"v=m": 1.0}, "scale": 1.0}}
    return SCM(declare({"a": {"mechanism": "bernoulli", "levels": B}, "v": v, "y": y}))


EDGES = torch.tensor([2**-54, 1e-9, 0.5, 1 - 1e-9, 1 - 2**-53], dtype=torch.float64)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_what_is_certain_stays_so_in_every_world(coupling: str) -> None:
    scm = certain(coupling)
    columns = people(scm, 200)
    assert torch.equal(columns["v"], columns["a"])
    world = abduct(scm, columns, given=scm.spec.observed, draws=5)
    assert world.noise["v"].isfinite().all()
    assert (counterfactual(scm, world, {"a": "1"}).values["v"] == 1).all()
    assert (counterfactual(scm, world, {"a": "0"}).values["v"] == 0).all()


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_a_level_that_cannot_be_has_finite_noise_and_makes_a_level_elsewhere(coupling: str) -> None:
    mechanism = certain(coupling).mechanisms["v"]
    size = (mechanism.noise_size,) if mechanism.noise_size > 1 else ()
    uniform = torch.cartesian_prod(*[EDGES] * max(mechanism.noise_size, 1)).reshape(-1, *size)
    for a, seen in product([0.0, 1.0], [0.0, 1.0, 2.0]):
        parents = {"a": torch.full((len(uniform),), a).double()}
        noise = mechanism.abduct(torch.full((len(uniform),), seen).double(), parents, uniform)
        assert noise.isfinite().all()
        other = mechanism.value(noise, {"a": 1 - parents["a"]})
        assert torch.equal(other, 1 - parents["a"])
        log_p = mechanism.distribution(parents).log_prob(torch.full((len(uniform),), seen).double())
        assert torch.equal(log_p == 0, torch.full_like(log_p, seen == a, dtype=torch.bool))


def test_a_two_level_outcome_is_a_binary_one() -> None:
    columns = everyone()
    scm = learn(oracle(), columns)
    assert scm.spec.nodes["y"].kind == scm.mechanisms["y"].kind == "binary"
    predictor = PREDICTORS["full"](scm).fit([abduct(scm, columns, draws=1)], columns["y"])
    measures = {row.measure for row in audit(scm, {"full": predictor}, columns, draws=1).rows}
    assert {"accuracy", "roc_auc", "selection_rate", "demographic_parity_difference"} <= measures


GOOD = """\
protected: [x]
outcome: v
nodes:
  x: {mechanism: bernoulli, levels: [0, 1]}
  d: {mechanism: categorical, levels: [s, m, l]}
  r: {mechanism: gaussian}
  k: {mechanism: bernoulli, levels: [p, q], latent: true}
  v:
    mechanism: table
    levels: [u, w]
    parents: [x]
    parameters:
      probabilities:
        - {x: 0, p: [0.7, 0.3]}
        - {x: 1, p: [1, 0]}
"""
FIRST, SECOND = "{x: 0, p: [0.7, 0.3]}", "- {x: 1, p: [1, 0]}"
CASES = {
    "missing": (f"        {SECOND}\n", "", "13, nodes.v.parameters.probabilities", "no row for x=1", "one row per combination"),
    "repeated": (SECOND, "- {x: 0.0, p: [1, 0]}", "15, nodes.v.parameters.probabilities[1]", "a second row for x=0", "keep one"),
    "unknown level": (SECOND, "- {x: 2, p: [1, 0]}", "15, nodes.v.parameters.probabilities[1].x", "'2' is not a level of 'x'", "0, 1"),
    "unknown parent": (FIRST, "{x: 0, z: 1, p: [1, 0]}", "14, nodes.v.parameters.probabilities[0].z", "'z' is not a parent", "x, p"),
    "no parent": (FIRST, "{p: [1, 0]}", "14, nodes.v.parameters.probabilities[0]", "does not say which level of 'x'", "write x:"),
    "sum": ("[0.7, 0.3]", "[0.7, 0.4]", "14, nodes.v.parameters.probabilities[0].p", "sum to 1.1", "sum to 1"),
    "too many": ("[0.7, 0.3]", "[0.7, 0.2, 0.1]", "14, nodes.v.parameters.probabilities[0].p", "3 probabilities for 2 levels", "one per"),
    "negative": ("[0.7, 0.3]", "[1.3, -0.3]", "14, nodes.v.parameters.probabilities[0].p[1]", "must be 0 or above, not -0.3", "positive"),
    "a word": ("[0.7, 0.3]", "[a, 0.3]", "14, nodes.v.parameters.probabilities[0].p[0]", "must be a number, not 'a'", "1.0"),
    "no p": (FIRST, "{x: 0}", "14, nodes.v.parameters.probabilities[0]", "a row has the parents' levels and 'p'", "{x: level, p:"),
    "a list": (FIRST, "[0.7, 0.3]", "14, nodes.v.parameters.probabilities[0]", "a row has the parents' levels", "{x: level, p:"),
    "real parent": ("parents: [x]", "parents: [x, r]", "11, nodes.v.parents[1]", "'r' is a gaussian node", "choose categorical"),
    "latent parent": ("parents: [x]", "parents: [x, k]", "11, nodes.v.parents[1]", "'k' is latent", "choose categorical"),
    "weights": (
        "      probabilities:",
        "      weights: {}\n      probabilities:",
        "13, nodes.v.parameters.weights",
        "no parameter 'weights'",
        "prob",
    ),
    "prior a mapping": (
        "    levels: [u, w]",
        "    levels: [u, w]\n    prior: {weights: 1}",
        "11, nodes.v.prior",
        "is one number",
        "prior: 0.5",
    ),
    "prior negative": ("    levels: [u, w]", "    levels: [u, w]\n    prior: -1", "11, nodes.v.prior", "must be 0 or above", "positive"),
    "prior of another": (
        "{mechanism: gaussian}",
        "{mechanism: gaussian, prior: {cell: 1}}",
        "6, nodes.r.prior.cell",
        "'cell' is not",
        "weights",
    ),
    "one number for another": ("{mechanism: gaussian}", "{mechanism: gaussian, prior: 1}", "6, nodes.r.prior", "must be a mapping", "{key"),
}


def test_the_declaration_to_be_damaged_is_good_and_comes_back() -> None:
    spec = read_spec(GOOD, name="dag.yaml")
    assert read_spec(dump_spec(spec), name="again") == spec
    assert ModelSpec.from_graph(spec.to_graph()) == spec


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_row_is_named_with_its_line_and_its_mend(case: str) -> None:
    old, new, where, problem, mend = CASES[case]
    assert old in GOOD
    with pytest.raises(SpecError) as refused:
        read_spec(GOOD.replace(old, new, 1), name="dag.yaml")
    assert refused.value.where == f"dag.yaml:{where}"
    assert problem in refused.value.problem
    assert mend in refused.value.mend


def test_a_learned_table_beside_a_latent_is_abducted_with_the_rest() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "a": {"mechanism": "table", "levels": ["p", "q", "r"]},
        "k": {"mechanism": "gaussian", "latent": True},
        "x": {
            "mechanism": "gaussian",
            "parents": ["a", "k"],
            "parameters": {"intercept": 0.0, "weights": {"a=q": 1.0, "k": 1.0}, "scale": 1.0},
        },
        "y": {"mechanism": "gaussian", "parents": ["k"], "parameters": {"intercept": 0.0, "weights": {"k": 1.0}, "scale": 1.0}},
    }
    source = torch.Generator().manual_seed(0)
    values: dict[str, Tensor] = {
        "a": torch.randint(3, (60,), generator=source),
        "x": torch.randn(60, generator=source),
        "y": torch.zeros(60),
    }
    columns = columns_of(values)
    scm = learn(declare(nodes), columns)
    world = abduct(scm, columns, draws=4)
    assert torch.equal(counterfactual(scm, world, {"a": columns["a"]}).values["x"], world.values["x"])
