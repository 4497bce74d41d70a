"""Where the people of a group are."""

import numpy as np
import pytest

from cfair.data.area import _nearest_in_few, _nearest_in_many


@pytest.mark.parametrize("others", [0, 1])
def test_a_tree_and_all_distances_find_the_same_people(others: int) -> None:
    source = np.random.default_rng(0)
    people = source.normal(size=(2_300, 7))
    people[5] = people[9]
    points = people if others else np.concatenate([source.normal(size=(50, 7)), people[:3]])
    few, many = _nearest_in_few(people)(points, others), _nearest_in_many(people)(points, others)
    assert few == pytest.approx(many, abs=1e-12)
    assert (few[[5, 9]] == 0).all() == (many[[5, 9]] == 0).all()
