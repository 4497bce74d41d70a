"""Rows kept though something is missing in them."""

import numpy as np
import pandas as pd
import pytest
import torch

from cfair.data import check_variation, read_table
from cfair.errors import DataError

from tables import SPEC, frame


def holed() -> pd.DataFrame:
    return frame().assign(ugpa=[2.7, np.nan, 3.9], lsat=[np.nan, 34.4, np.nan], site=[None, 10, 2])


def test_rows_with_missing_values_are_kept_with_who_lacks_what() -> None:
    columns = read_table(holed(), SPEC, missing="latent")
    assert columns.n == 3
    assert {node: mask.tolist() for node, mask in columns.missing.items()} == {
        "site": [True, False, False],
        "lsat": [True, False, True],
        "ugpa": [False, True, False],
    }
    assert columns.facts.missing == {"site": 1, "lsat": 2, "ugpa": 1}
    assert columns.facts.rounded == {"lsat": 1}
    assert columns.facts.dropped == 0
    assert columns.known("lsat").tolist() == [34.0]
    assert columns["y"].tolist() == [1.16, -0.15, 0.78]
    with pytest.raises(DataError, match=r"DataFrame, column 'lsat': 2 of 3 values are missing"):
        columns["lsat"]


def test_who_lacks_what_goes_with_the_people_taken() -> None:
    columns = read_table(holed(), SPEC, missing="latent").take(torch.tensor([2, 0]))
    assert {node: mask.tolist() for node, mask in columns.missing.items()} == {"site": [False, True], "lsat": [True, True]}


def test_a_whole_table_is_the_same_whatever_would_be_done_with_missing_values() -> None:
    error, latent = (read_table(frame(), SPEC, missing=missing) for missing in ("error", "latent"))
    assert error.facts == latent.facts
    assert not latent.missing
    assert all(torch.equal(error[node], latent[node]) for node in SPEC.observed)


def test_a_missing_protected_attribute_is_refused_with_its_rows() -> None:
    table = frame().assign(race=["White", None, "Black"])
    with pytest.raises(DataError, match=r"column 'race', row 1: 1 value is missing, and a protected attribute is not integrated out"):
        read_table(table, SPEC, missing="latent")


def test_an_outcome_that_nobody_has_is_refused_before_learning() -> None:
    columns = read_table(frame().assign(y=np.nan), SPEC, missing="latent")
    with pytest.raises(DataError, match="the outcome is missing in every row"):
        check_variation(columns, SPEC)
