"""Columns from which nothing can be learned come out with a diagnosis, never with a traceback or a number that is not one."""

import json

import pytest
import torch

from cfair.diagnosis import Diagnosis, diagnose
from cfair.errors import DataError, QueryError
from cfair.inference import learn
from cfair.scm import SCM

from oracles import LINEAR, columns_of, declare, people

A = {"mechanism": "bernoulli", "levels": ["no", "yes"]}
SPEC = declare(
    {
        "a": A,
        "m": {"mechanism": "poisson", "parents": ["a"]},
        "t": {"mechanism": "categorical", "levels": ["low", "mid", "top"], "parents": ["a", "m"]},
        "y": {"mechanism": "gaussian", "parents": ["a"]},
    }
)


def table(n: int = 800) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a = (torch.rand(n, generator=generator, dtype=torch.float64) < 0.5).double()
    m = torch.poisson(2 + a, generator=generator)
    return {
        "a": a,
        "m": m,
        "t": torch.randint(3, (n,), generator=generator).double(),
        "y": a + torch.randn(n, generator=generator, dtype=torch.float64),
    }


def found_in(values: dict[str, torch.Tensor]) -> Diagnosis:
    columns = columns_of(values)
    found = diagnose(learn(SPEC, columns), columns, training=columns, draws=20)
    json.dumps(found.to_json(), allow_nan=False)
    return found


def verdict(found: Diagnosis, node: str) -> tuple[str, str]:
    return next((each.verdict, each.why) for each in found.nodes if each.node == node)


def test_a_whole_table_passes() -> None:
    assert {each.verdict for each in found_in(table()).nodes} == {"passes"}


@pytest.mark.parametrize(("node", "value", "shown"), [("y", 0.5, "0.5"), ("m", 3.0, "3"), ("t", 1.0, "mid")])
def test_a_constant_column_is_not_checked_and_says_why(node: str, value: float, shown: str) -> None:
    values = table()
    found = found_in({**values, node: torch.full_like(values["a"], value)})
    assert verdict(found, node)[0] == "not checked"
    assert verdict(found, node)[1].startswith(f"constant: {shown} in each of 800 rows")
    assert [check.check for check in found.checks if node in (check.node, check.other)] == ["column"]
    assert {each.verdict for each in found.nodes if each.node != node} == {"passes"}


def test_a_column_that_is_constant_in_the_tested_rows_only_is_not_checked_either() -> None:
    values = table()
    scm = learn(SPEC, columns_of(values))
    tested = columns_of({**values, "y": torch.zeros_like(values["y"])})
    found = diagnose(scm, tested, training=columns_of(values), draws=20)
    assert verdict(found, "y")[0] == "not checked"


def test_a_level_that_a_parent_decides_is_untestable_with_the_rows_that_say_so() -> None:
    values = table()
    separated = torch.where(values["a"] == 1, 2.0, values["t"])
    said = verdict(found_in({**values, "t": separated}), "t")
    assert said[0] == "untestable"
    assert said[1].startswith(f"separated: each of the {int(values['a'].sum())} rows with a=yes has t=top")


def test_levels_that_a_number_parts_without_fail_are_untestable() -> None:
    values = table()
    said = verdict(found_in({**values, "t": (values["m"] > 3).double()}), "t")
    assert said == ("untestable", "separated: its parents tell low from the rest in every row; the prior alone keeps its weights finite")


def test_an_extreme_count_is_named_with_its_row() -> None:
    values = table()
    values["m"][17] = 400
    assert verdict(found_in(values), "m")[0] == "fails"
    (extreme,) = [check for check in found_in(values).checks if check.node == "m" and check.statistic == "largest score"]
    assert (extreme.verdict, extreme.why) == ("fails", "row 17")


def test_groups_of_few_people_are_left_out_and_named() -> None:
    values = table()
    values["a"] = (torch.arange(800) < 7).double()
    found = found_in(values)
    assert any("a=yes (7)" in note for note in found.notes)
    assert not [check for check in found.checks if check.group == "yes"]
    assert [pair.why for pair in found.support if pair.world == "yes"] == ["only 14 people have a=yes"]  # tested and training rows


def test_what_cannot_be_answered_is_refused_before_any_work() -> None:
    scm = SCM(LINEAR)
    with pytest.raises(QueryError, match="at least 20"):
        diagnose(scm, people(scm, 100), draws=3)
    with pytest.raises(DataError, match="Give at least 20"):
        diagnose(scm, people(scm, 9))
    some = people(scm, 100)
    with pytest.raises(DataError, match="no column 'y'"):
        diagnose(scm, columns_of({node: some[node] for node in ("a", "m")}))
