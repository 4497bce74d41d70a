"""Couplings: the same probabilities in every world, and what each assumes of one person in two of them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from cfair.auditing import audit
from cfair.errors import SpecError
from cfair.inference import abduct, learn
from cfair.mechanisms.steps import log_odds_of_steps, step_of
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import read_spec
from cfair.worlds import counterfactual, simulate

from oracles import assert_mean, declare, people

COUPLINGS = ["gumbel", "monotone", "independent"]
N = 60_000


def job(coupling: str | None, *, known: bool = True) -> SCM:
    """A category with a categorical and a real parent: dowhy issue 1146."""
    fixed = {
        "trade": {"intercept": 0.4, "weights": {"region=south": -0.8, "region=west": 0.5, "income": 0.3}},
        "office": {"intercept": -0.2, "weights": {"region=south": 0.9, "region=west": 0.1, "income": 0.6}},
    }
    nodes: dict[str, dict[str, Any]] = {
        "region": {"mechanism": "categorical", "levels": ["north", "south", "west"], "parameters": {"probabilities": [0.5, 0.3, 0.2]}},
        "income": {"mechanism": "gaussian", "parents": ["region"]},
        "job": {"mechanism": "categorical", "levels": ["farm", "trade", "office"], "parents": ["region", "income"], "coupling": coupling},
        "y": {"mechanism": "gaussian", "parents": ["job", "region"]},
    }
    if known:
        nodes["income"]["parameters"] = {"intercept": 1.0, "weights": {"region=south": -0.5, "region=west": 1.0}, "scale": 1.5}
        nodes["job"]["parameters"] = fixed
        nodes["y"]["parameters"] = {"intercept": 0.0, "weights": {"job=office": 1.0}, "scale": 1.0}
    return SCM(declare(nodes, protected=["region"]))


@pytest.mark.parametrize("coupling", [None, "gumbel", "monotone"])
def test_a_category_with_categorical_and_real_parents_has_counterfactuals(coupling: str | None) -> None:
    scm = job(coupling)
    columns = people(scm, N, seed=1)
    world = abduct(scm, columns, given=scm.spec.observed, draws=1)
    same = counterfactual(scm, world, {"region": columns["region"]})
    assert all(torch.equal(same.values[node], columns[node].expand(1, N)) for node in scm.spec.observed)
    south = counterfactual(scm, world, {"region": "south"})
    assert torch.equal(south.values["job"][:, columns["region"] == 1], world.values["job"][:, columns["region"] == 1])
    distribution = scm.mechanisms["job"].distribution(scm.parents("job", south.values))
    for level in range(3):  # as often as the intervened model says, given each person's own income there
        expected = distribution.log_prob(torch.full((1, N), float(level)).double()).exp()
        assert_mean((south.values["job"] == level).double() - expected, 0.0)


def test_the_report_names_the_coupling() -> None:
    said = {"gumbel": "Gumbel-max", None: "Gumbel-max", "monotone": "the monotone coupling: a change that makes later levels likelier"}
    for coupling, words in said.items():
        scm = job(coupling)
        columns = people(scm, 300)
        predictor = PREDICTORS["full"](scm).fit([abduct(scm, columns, draws=1)], columns["y"])
        (text,) = [
            a.text for a in audit(scm, {"full": predictor}, columns, draws=1).assumptions if "'job'" in a.text and a.name == "coupling"
        ]
        assert words in text


def test_learning_does_not_depend_on_the_coupling() -> None:
    columns = people(job(None), 2_000)
    one, two = (learn(job(coupling, known=False).spec, columns).parameters_in_units() for coupling in ("gumbel", "monotone"))
    assert one == two


def tables(coupling: str) -> SCM:
    rows = [
        {"a": "s", "b": "0", "p": [0.2, 0.3, 0.5]},
        {"a": "m", "b": "0", "p": [0.1, 0.3, 0.6]},
        {"a": "l", "b": "0", "p": [0.5, 0.25, 0.25]},
    ]
    rows += [{**row, "b": "1", "p": row["p"][::-1]} for row in rows]  # type: ignore[index]
    v = {
        "mechanism": "table",
        "levels": ["x", "y", "z"],
        "parents": ["a", "b"],
        "coupling": coupling,
        "parameters": {"probabilities": rows},
    }
    nodes = {"a": {"mechanism": "ordinal", "levels": ["s", "m", "l"]}, "b": {"mechanism": "bernoulli", "levels": ["0", "1"]}, "v": v}
    return SCM(declare(nodes, outcome="v"))


def joint(coupling: str) -> Tensor:
    """Counts of (level where a = s, level where a = l), both at b = 0, of people abducted from the first: shape (3, 3)."""
    mechanism = tables(coupling).mechanisms["v"]
    size = (mechanism.noise_size,) if mechanism.noise_size > 1 else ()
    source = torch.Generator().manual_seed(0)
    first, second = (torch.rand(N, *size, generator=source, dtype=torch.float64).clamp(min=2**-54) for _ in range(2))
    here, there = ({"a": torch.full((N,), a).double(), "b": torch.zeros(N).double()} for a in (0.0, 2.0))
    before = mechanism.value(mechanism.noise(first), here)
    after = mechanism.value(mechanism.abduct(before, here, second), there)
    return torch.bincount((3 * before + after).long(), minlength=9).reshape(3, 3).double()


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_every_coupling_has_the_same_probabilities_in_each_world(coupling: str) -> None:
    counts = joint(coupling) / N
    for found, p in ((counts.sum(1), [0.2, 0.3, 0.5]), (counts.sum(0), [0.5, 0.25, 0.25])):
        expected = torch.tensor(p, dtype=torch.float64)
        assert ((found - expected).abs() <= 5 * (expected * (1 - expected) / N).sqrt()).all()


def test_independent_worlds_say_nothing_of_one_another() -> None:
    expected = torch.outer(torch.tensor([0.2, 0.3, 0.5]), torch.tensor([0.5, 0.25, 0.25])).double()
    assert ((joint("independent") / N - expected).abs() <= 5 * (expected / N).sqrt()).all()


def test_monotone_worlds_are_those_of_one_uniform_number() -> None:
    expected = torch.tensor([[0.2, 0, 0], [0.3, 0, 0], [0, 0.25, 0.25]], dtype=torch.float64)
    found = joint("monotone") / N
    assert (found[expected == 0] == 0).all()
    assert ((found - expected).abs() <= 5 * (expected / N).sqrt()).all()


def test_gumbel_worlds_agree_as_often_as_the_formula_says() -> None:
    """P(both j) = 1 / (1 + Σ_{i≠j} max(p_i/p_j, q_i/q_j)): Oberst & Sontag (2019), and Maddison & Tarlow."""
    p, q = torch.tensor([0.2, 0.3, 0.5]).double(), torch.tensor([0.5, 0.25, 0.25]).double()
    found = joint("gumbel").diagonal() / N
    for j in range(3):
        expected = float(1 / torch.maximum(p / p[j], q / q[j]).sum())
        assert abs(float(found[j]) - expected) <= 5 * (expected * (1 - expected) / N) ** 0.5


def test_independent_noise_is_read_at_each_persons_own_combination() -> None:
    scm = tables("independent")
    world = simulate(scm, 2_000, seed=3)
    assert world.noise["v"].shape == (1, 2_000, 6)
    for a, b in ((0, 0), (1, 1), (2, 0)):
        moved = counterfactual(scm, world, {"a": "sml"[a], "b": str(b)})
        ends = log_odds_of_steps(scm.mechanisms["v"].distribution({"a": torch.tensor(a), "b": torch.tensor(b)}).logits)  # type: ignore[attr-defined]
        assert torch.equal(moved.values["v"], step_of(world.noise["v"][..., 2 * a + b], ends))


@pytest.mark.parametrize(
    "log_p",
    [
        [0.0, -800.0, -50.0],
        [-50.0, -60.0, 0.0],
        [-0.6931471805599453, -100.0, -0.6931471805599453],
        [-1.0, -torch.inf, -0.4586751453870819],
    ],
)
def test_a_step_that_rounding_would_lose_keeps_a_number_and_an_impossible_one_has_none(log_p: list[float]) -> None:
    p = torch.tensor(log_p, dtype=torch.float64)
    ends = log_odds_of_steps(p)
    assert bool(ends[1] > ends[0]) == bool(p[1] > -torch.inf)
    assert not ends.isnan().any()


BASE = """\
protected: [a]
outcome: y
nodes:
  a: {mechanism: bernoulli, levels: [n, y]}
  r: {mechanism: gaussian, parents: [a]}
  c: {mechanism: categorical, levels: [s, t], parents: [a]}
  y: {mechanism: poisson, parents: [r, c]}
"""
WRONG = {
    "additive": ("gaussian,", "gaussian, coupling: monotone,", "5, nodes.r.coupling", "additive noise", "leave 'coupling' out"),
    "another": ("poisson,", "poisson, coupling: gumbel,", "7, nodes.y.coupling", "is coupled by 'monotone', not by 'gumbel'", "leave"),
    "unknown": (
        "categorical,",
        "categorical, coupling: gumble,",
        "6, nodes.c.coupling",
        "'gumble' is not a coupling",
        "did you mean 'gumbel'?",
    ),
    "a list": ("categorical,", "categorical, coupling: [gumbel],", "6, nodes.c.coupling", "a list is not a coupling", "use one of"),
    "real parent": (
        "t], parents: [a]",
        "t], coupling: independent, parents: [a, r]",
        "6, nodes.c.coupling",
        "'r' is a gaussian node",
        "use gumbel",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_coupling_that_cannot_be_is_refused_with_its_mend(case: str) -> None:
    old, new, where, problem, mend = WRONG[case]
    assert old in BASE
    with pytest.raises(SpecError) as refused:
        read_spec(BASE.replace(old, new, 1), name="dag.yaml")
    assert refused.value.where == f"dag.yaml:{where}"
    assert problem in refused.value.problem
    assert mend in refused.value.mend
