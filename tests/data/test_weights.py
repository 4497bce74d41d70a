"""The column of weights: read, carried, and refused in one line where it cannot be one."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from cfair.data import blocks, check_variation, read_table, split
from cfair.errors import CfairError, DataError, QueryError
from cfair.interfaces import Columns, Facts

from tables import HEADER, ROWS, SPEC, frame, write_csv

NUMBERS = "write finite numbers with a point, how many people each row stands for"


def weighted(*weights: object) -> pd.DataFrame:
    return frame().assign(w=list(weights))


def refused(source: object, **options: object) -> CfairError:
    """The error, which is one line."""
    with pytest.raises((DataError, QueryError)) as caught:
        read_table(source, SPEC, **{"weights": "w", **options})
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("weights", [(0.5, 0, 3.25), ("0.5", " 0 ", "3.25"), (0.5, -0.0, 3.25)])
def test_weights_are_read_as_numbers_beside_the_nodes(weights: tuple[object, ...]) -> None:
    columns = read_table(weighted(*weights), SPEC, weights="w")
    assert columns.weights is not None
    assert columns.weights.dtype == torch.float64
    assert columns.weights.tolist() == [0.5, 0.0, 3.25]
    assert (columns.facts.weights, columns.facts.weightless, columns.facts.unused) == ("w", 1, ())
    assert list(columns) == list(SPEC.observed)


def test_without_a_name_a_column_of_weights_is_not_used() -> None:
    columns = read_table(weighted(1, 2, 3), SPEC)
    assert columns.weights is None
    assert (columns.facts.weights, columns.facts.unused) == (None, ("w",))


def test_weights_of_dropped_rows_go_with_them() -> None:
    table = weighted(1.0, 2.0, 0.0)
    table.loc[0, "ugpa"] = None
    columns = read_table(table, SPEC, missing="drop", weights="w")
    assert columns.weights is not None
    assert columns.weights.tolist() == [2.0, 0.0]
    assert (columns.facts.dropped, columns.facts.weightless) == (1, 1)


def test_the_fingerprint_of_a_dataframe_is_that_of_its_weights_too() -> None:
    prints = {read_table(weighted(*w), SPEC, weights="w").facts.sha256 for w in [(1, 2, 3), (1, 2, 4)]}
    assert len(prints) == 2
    assert read_table(weighted(1, 2, 3), SPEC).facts.sha256 == read_table(frame(), SPEC).facts.sha256


@pytest.mark.parametrize(
    ("weights", "row", "problem", "mend"),
    [
        ((1, 2, -0.5), "row 2", "a weight of -0.5 is negative", "write 0 for a row that is not to count"),
        ((1, float("inf"), 1), "row 1", "'inf' is infinite", NUMBERS),
        ((None, 2, 1), "row 0", "no weight in 1 of 3 rows", "give every row a weight; one of 0 counts for nothing"),
        (("a", "1", "1"), "row 0", "'a' is not a number", f"{NUMBERS}, or name another column"),
        ((True, True, False), "rows 0, 1 and 2", "'true' is not a number (nor is 'false')", "write finite numbers with a point"),
        ((0, 0, 0), "rows 0 to 2", "every weight is 0", "give somebody a weight above 0, or leave the weights out"),
    ],
)
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_what_cannot_be_a_weight_is_named_with_its_row(
    weights: tuple[object, ...], row: str, problem: str, mend: str, missing: str
) -> None:
    error = refused(weighted(*weights), missing=missing)
    assert (error.where, error.problem) == (f"DataFrame, column 'w', {row}", problem)
    assert error.mend.startswith(mend)


def test_in_a_file_the_line_is_named_too(tmp_path: Path) -> None:
    path = write_csv(tmp_path, *(f"{row},{w}" for row, w in zip(ROWS, ("1", "", "2"), strict=True)), header=f"{HEADER},w")
    assert refused(path).where == f"{path}, column 'w', row 1 (line 3)"


@pytest.mark.parametrize("node", ["ugpa", "race", "talent", "y"])
def test_a_node_cannot_be_the_weights(node: str) -> None:
    error = refused(frame(), weights=node)
    assert (error.where, error.problem) == ("weights", f"'{node}' is a node of the model")


def test_a_column_that_is_not_there_is_refused_with_a_near_one() -> None:
    error = refused(frame().assign(weight=1.0), weights="wieght")
    assert (error.problem, error.mend) == ("there is no column 'wieght'", "did you mean 'weight'?")


def test_rows_left_after_dropping_must_have_some_weight() -> None:
    table = weighted(1.0, 0.0, 0.0)
    table.loc[0, "ugpa"] = None
    with pytest.raises(QueryError, match="nobody has a weight above 0"):
        read_table(table, SPEC, missing="drop", weights="w").counted()


def many(n: int = 200) -> Columns:
    """People of every race, a quarter of them of weight 0, whose number is their row."""
    source = torch.Generator().manual_seed(0)
    coded = {node: torch.randint(0, 2, (n,), generator=source).double() for node in SPEC.observed}
    return Columns(coded, torch.arange(n), Facts("t", n, ""), torch.arange(n).remainder(4).double())


def test_weights_stay_with_their_people() -> None:
    columns = many()
    train, test = split(columns, SPEC, test_share=0.3, seed=0)
    for part in (columns.take(torch.tensor([5, 3, 4])), train, test, *blocks(columns, 7), *blocks(train, 7)):
        assert part.weights is not None
        unit = part.weights[part.rows % 4 == 1][:1]  # of somebody of weight 1
        torch.testing.assert_close(part.weights, part.rows.remainder(4).double() * (unit if len(unit) else 1.0))


def test_people_of_weight_0_are_in_no_part_and_change_nobody_elses() -> None:
    columns = many()
    counted = columns.take((columns.weights > 0).nonzero()[:, 0])
    with_them, without = (split(each, SPEC, test_share=0.3, seed=0) for each in (columns, counted))
    for here, there in zip(with_them, without, strict=True):
        assert torch.equal(here.rows, there.rows)
        assert torch.equal(here.weights, there.weights)
    assert sum(part.n for part in with_them) == 150


def test_counted_weights_have_mean_1_whatever_their_unit() -> None:
    columns = many()
    for scale in (1e-300, 1.0, 1e300):
        part = Columns(columns.coded, columns.rows, columns.facts, columns.weights * scale).counted()
        assert part.n == 150
        assert part.weights.mean().item() == pytest.approx(1.0, rel=1e-14)
        torch.testing.assert_close(part.weights, part.rows.remainder(4).double() / 2)
        assert torch.equal(part.counted().weights, part.weights)
    assert many().take(torch.arange(5)).counted().n == 3


def test_a_column_that_varies_among_people_of_weight_0_only_does_not_vary() -> None:
    columns = many()
    columns.coded["race"][:] = (columns.rows % 4 == 0).double()
    with pytest.raises(DataError, match="the protected attribute is 'White' in every row"):
        check_variation(columns, SPEC)
