"""Whether counterfactual rows lie where the other group's data are."""

import pytest
import torch

from cfair.auditing.crossing import crossing_of
from cfair.auditing.extrapolation import extrapolated, outside_rows
from cfair.scm import SCM
from cfair.worlds import simulate

from oracles import declare
from school import columns_of


def moved_by(weight: float) -> SCM:
    """The outcome is not looked at; x is 5 higher for those with a = yes, or so the model says that is given another weight."""
    a = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}}
    x = {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=yes": weight}, "scale": 1.0}}
    y = {"mechanism": "gaussian", "parents": ["x"], "parameters": {"intercept": 0.0, "weights": {"x": 1.0}, "scale": 1.0}}
    return SCM(declare({"a": a, "x": x, "y": y}))


@pytest.mark.parametrize(("weight", "share"), [(5.0, 0.01), (-5.0, 1.0)])
def test_rows_that_the_true_model_moves_are_inside_and_those_of_a_wrong_one_outside(weight: float, share: float) -> None:
    world = simulate(moved_by(5.0), 2_000, seed=1)
    columns = columns_of({node: world.values[node][0] for node in ("a", "x", "y")})
    scm = moved_by(weight)
    rows = tuple(outside_rows(scm, crossing_of(scm.spec, columns), columns, columns, seed=0))
    assert [(row.group, row.world) for row in rows] == [("no", "a=yes"), ("yes", "a=no")]
    for row in rows:
        error = (share * (1 - share) / row.n) ** 0.5 + (share * (1 - share) / 1_000) ** 0.5
        assert row.outside / row.n == pytest.approx(share, abs=5 * error + 1e-9)
        assert row.expected / row.n == pytest.approx(0.01, abs=1e-3)
    (said,) = extrapolated(rows)
    assert said.tested is not None
    assert said.tested.startswith("0 of 2" if weight > 0 else "2 of 2 pairs of groups of 30 people or more have more rows outside")


def test_without_a_column_to_compare_nothing_is_said() -> None:
    a = {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0, "weights": {}}}
    y = {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=yes": 1.0}, "scale": 1.0}}
    scm = SCM(declare({"a": a, "y": y}))
    columns = columns_of({"a": torch.tensor([0.0, 1.0], dtype=torch.float64), "y": torch.zeros(2, dtype=torch.float64)})
    assert not tuple(outside_rows(scm, crossing_of(scm.spec, columns), columns, columns, seed=0))
    assert not tuple(extrapolated(()))
