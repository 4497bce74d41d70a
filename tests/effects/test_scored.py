"""A prediction as a node: it moves as the map on the moved rows does, and along single edges."""

import pytest
import torch

from cfair.effects import scored, with_score
from cfair.errors import QueryError
from cfair.interfaces import Values
from cfair.scm import SCM
from cfair.worlds import counterfactual, simulate

from oracles import declare

SPEC = declare(
    {
        "a": {"mechanism": "bernoulli", "levels": ["no", "yes"], "parameters": {"intercept": 0.0}},
        "x": {"mechanism": "gaussian", "parents": ["a"], "parameters": {"intercept": 0.0, "weights": {"a=yes": 2.0}, "scale": 1.0}},
        "y": {"mechanism": "gaussian", "parents": ["x"], "parameters": {"intercept": 0.0, "weights": {"x": 1.0}, "scale": 1.0}},
    }
)


def twice(rows: Values, n: int) -> torch.Tensor:
    assert all(column.shape == (n,) for column in rows.values())
    return 2 * rows["x"] + 10 * rows["a"]


def test_a_prediction_moves_as_its_rows_do_whole_or_along_one_edge() -> None:
    scm = SCM(SPEC)
    model = scored(scm, "score", ["a", "x"], twice)
    before = with_score(model, simulate(scm, 50, seed=1), "score")
    assert torch.equal(before.values["score"], 2 * before.values["x"] + 10 * before.values["a"])
    after = counterfactual(model, before, {"a": "yes"})
    was_no = before.values["a"] == 0
    assert torch.allclose(after.values["score"] - before.values["score"], torch.where(was_no, 14.0, 0.0).double(), atol=1e-12)
    direct = counterfactual(model, before, {"a": "yes"}, along=[("a", "score")])
    assert torch.allclose(direct.values["score"] - before.values["score"], torch.where(was_no, 10.0, 0.0).double(), atol=1e-12)


def test_a_name_that_is_taken_and_a_column_that_no_world_has_are_refused() -> None:
    scm = SCM(SPEC)
    with pytest.raises(QueryError, match="already a node"):
        scored(scm, "x", ["a"], twice)
    with pytest.raises(QueryError, match="no observed node"):
        scored(scm, "score", ["b"], twice)
