"""Support: counterfactual rows beside the data of the group they are moved into."""

import pytest
import torch

from cfair.diagnosis import diagnose
from cfair.scm import SCM

from oracles import LINEAR, columns_of, people
from school import people as pupils
from school import school


def test_people_moved_in_a_right_additive_model_are_outside_as_often_as_anyone() -> None:
    scm = SCM(LINEAR)
    shares = []
    for seed in range(10):
        found = diagnose(scm, people(scm, 600, seed=seed), draws=20, seed=seed).support
        assert {pair.verdict for pair in found} == {"passes"}
        shares += [(pair.outside, pair.expected, pair.n) for pair in found]
    outside, expected, n = (torch.tensor(column, dtype=torch.float64) for column in zip(*shares, strict=True))
    error = 3 * float((expected / n).mean() ** 0.5) / len(n) ** 0.5  # thrice a binomial one: the limit is estimated too
    assert float((outside - expected).mean().abs()) < 5 * error


def test_every_ordered_pair_of_every_attribute_is_looked_at_column_by_column() -> None:
    scm, table = pupils(school(), 900)
    found = diagnose(scm, table, draws=20).support
    assert {(pair.attribute, pair.group, pair.world) for pair in found} == {
        *(("race", a, b) for a in "wbh" for b in "wbh" if a != b),
        ("sex", "m", "f"),
        ("sex", "f", "m"),
    }
    assert all(set(pair.columns) == {"age", "grade", "visits", "track", "y", "salary"} for pair in found)


def test_a_level_that_nobody_in_the_group_has_is_outside() -> None:
    scm, table = pupils(school(), 900)
    track = torch.where((table["race"] == 1) & (table["track"] == 2), 1.0, table["track"])
    found = diagnose(scm, columns_of({**table.coded, "track": track}), draws=20).support
    law = float((table["track"][table["race"] == 0] == 2).double().mean())
    pair = next(pair for pair in found if (pair.group, pair.world) == ("w", "b"))
    assert pair.columns["track"] == pytest.approx(law, abs=0.05)  # some change their track as they move
    assert pair.verdict == "fails"
    assert next(pair for pair in found if (pair.group, pair.world) == ("w", "h")).columns["track"] == 0
