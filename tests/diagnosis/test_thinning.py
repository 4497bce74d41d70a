"""Rows with weights are tested as rows of equal weight."""

from dataclasses import replace

import pytest
import torch

from cfair.diagnosis import diagnose
from cfair.diagnosis.thinning import thinned
from cfair.errors import DataError
from cfair.scm import SCM

from oracles import LINEAR, assert_mean, columns_of, people


def test_kept_rows_are_a_sample_of_the_people_that_all_rows_stand_for() -> None:
    """Values of exponential rate 1 weighed by exp(x/2) stand for people of rate 1/2, whose mean is 2."""
    source = torch.Generator().manual_seed(0)
    x = -torch.rand(40_000, generator=source, dtype=torch.float64).log()
    x = x[x < 6]
    columns = replace(columns_of({"x": x}), weights=(x / 2).exp())
    kept = thinned(columns, least=10, generator=torch.Generator().manual_seed(1))
    assert kept.weights is None
    assert torch.equal(x[kept.rows], kept["x"])
    assert_mean(kept["x"], 2 - 6 / (torch.tensor(3.0).expm1().item()))  # of an exponential cut at 6


def test_without_weights_and_with_equal_ones_all_rows_are_kept() -> None:
    columns = people(SCM(LINEAR), 50)
    assert thinned(columns, least=10, generator=torch.Generator()) is columns
    equal = replace(columns, weights=torch.full((50,), 3.0, dtype=torch.float64))
    assert torch.equal(thinned(equal, least=10, generator=torch.Generator()).rows, columns.rows)


def test_weights_that_leave_too_few_rows_are_refused() -> None:
    weights = torch.ones(200, dtype=torch.float64)
    weights[0] = 1e6
    with pytest.raises(DataError, match=r"weights are so unequal that 1 of 200 rows .* Give more rows, or trim"):
        diagnose(SCM(LINEAR), replace(people(SCM(LINEAR), 200), weights=weights), draws=20)


def test_a_sample_whose_weights_undo_its_choice_passes_and_without_them_it_fails() -> None:
    """People with a high y were asked thrice as often: only with weights do they look like the model."""
    everyone = people(SCM(LINEAR), 6_000, seed=3)
    high = everyone["y"] > everyone["y"].mean()
    source = torch.Generator().manual_seed(5)
    chosen = everyone.take((torch.rand(6_000, generator=source) < torch.where(high, 1.0, 1 / 3)).nonzero().squeeze(-1))
    weights = torch.where(chosen["y"] > everyone["y"].mean(), 1.0, 3.0)
    weighed = diagnose(SCM(LINEAR), replace(chosen, weights=weights.double()), draws=40)
    assert all(node.verdict != "fails" for node in weighed.nodes)
    bare = diagnose(SCM(LINEAR), chosen, draws=40)
    assert any(node.node == "y" and node.verdict == "fails" for node in bare.nodes)
