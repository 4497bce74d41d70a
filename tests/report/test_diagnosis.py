"""A diagnosis in the terminal: the worst first, and everything that was not checked said to be."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from rich.console import Console

from cfair.diagnosis import Diagnosis, diagnose
from cfair.diagnosis.records import Reach
from cfair.inference import learn
from cfair.report import to_diagnosis
from cfair.scm import SCM

from oracles import LINEAR, columns_of, declare, people

A = {"mechanism": "bernoulli", "levels": ["no", "yes"]}


def shown(found: Diagnosis) -> str:
    """What a terminal of 100 columns shows."""
    console = Console(width=100, highlight=False)
    with console.capture() as captured:
        console.print(to_diagnosis(found))
    return captured.get()


@cache
def misfit() -> Diagnosis:
    """The variance of y is four times as large where a is yes, z depends on a, and its outcome is right."""
    generator = torch.Generator().manual_seed(1)

    def normal() -> torch.Tensor:
        return torch.randn(3_000, generator=generator, dtype=torch.float64)

    a = (normal() > 0).double()
    values = columns_of({"a": a, "y": a + (1 + a) * normal(), "z": 3 * a + normal(), "right": a + normal()})
    spec = declare({"a": A, **{name: {"mechanism": "gaussian", "parents": ["a"] * (name != "z")} for name in ("y", "z", "right")}})
    training, tested = values.take(torch.arange(2_000)), values.take(torch.arange(2_000, 3_000))
    return diagnose(learn(spec, training), tested, training=training, draws=40)


def test_the_worst_come_first_and_what_passes_is_one_line() -> None:
    text = shown(misfit())
    assert len(text.splitlines()) <= 40
    assert max(map(len, map(str.rstrip, text.splitlines()))) <= 100
    verdicts = text[text.index("Verdicts") : text.index("Checks:")]
    assert verdicts.index("z ") < verdicts.index("y ") < verdicts.index("right")
    assert "a, right  passes   all checks" in verdicts


def test_the_groups_that_leave_the_data_and_what_is_untestable_are_named() -> None:
    text = shown(misfit())
    assert "Support: in 2 of 2 pairs of groups counterfactual rows leave the other group's data" in text
    assert "a: no -> yes" in text
    assert "mean noise by a" in text
    assert "Not computed: quadrature doubling, R-hat, ESS, k-hat, divergences." in " ".join(text.split())  # wherever the line is broken


def test_a_model_that_passes_says_so_and_not_that_it_is_right() -> None:
    scm = SCM(LINEAR)
    text = " ".join(shown(diagnose(scm, people(scm, 400), draws=20)).split())
    assert "a, m, y passes all checks" in text
    assert "Checks:" not in text
    assert "Passing does not show that a model is right" in text
    assert "The parameters are taken as known" in text


@pytest.mark.parametrize(
    ("low", "high", "ratio", "said"),
    [
        (0.1, 0.678, 1.64, "from 0.100 to 0.678, 1.6 times as wide as"),
        (None, 0.678, 1.64, "anything up to 0.678, at least 1.6 times as wide as"),
        (0.1, None, 0.9, "anything from 0.100 on, farther than"),
        (None, None, 2.0, "anything, at least 2.0 times as wide as"),
    ],
)
def test_how_far_a_ridge_goes_is_said_with_its_open_ends(low: float | None, high: float | None, ratio: float, said: str) -> None:
    reach = Reach("y", "weights[k]", 0.4, 0.1, low, high, 1.0, 2.0, ratio)
    text = " ".join(shown(replace(misfit(), reaches=(reach,))).split())
    assert f"Ridge: y.weights[k] may be {said} its curvature says (0.400 ± 0.196)." in text
