"""Splits are exact, stratified and repeatable; blocks are the table in order."""

import pytest
import torch

from cfair.data import blocks, read_table, split
from cfair.errors import DataError, QueryError
from cfair.interfaces import Columns, Facts

from tables import declare

NODES: dict[str, dict[str, object]] = {
    "race": {"mechanism": "categorical", "levels": ["a", "b", "c"]},
    "sex": {"mechanism": "bernoulli", "levels": ["m", "f"]},
    "y": {"mechanism": "gaussian"},
}
SPEC, CROSSED = declare(NODES), declare(NODES, protected=2)
RACES = ["White", "Black", "Asian", "Hispanic", "Mexican", "Other", "Puerto Rican", "Native American"]
LAW = declare(
    {
        "race": {"mechanism": "categorical", "levels": RACES},
        "sex": {"mechanism": "bernoulli", "levels": ["male", "female"]},
        "zfya": {"mechanism": "gaussian"},
    },
    protected=2,
)


def people(n: int = 1000, seed: int = 0) -> Columns:
    """n people in groups of very different size."""
    source = torch.Generator().manual_seed(seed)
    race = torch.multinomial(torch.tensor([0.9, 0.09, 0.01]), n, replacement=True, generator=source).double()
    sex = torch.randint(0, 2, (n,), generator=source).double()
    return Columns({"race": race, "sex": sex, "y": torch.arange(n).double()}, torch.arange(n) * 2, Facts("t", 2 * n, ""))


def test_the_law_school_is_split_into_17433_and_4358() -> None:
    train, test = split(read_table("law_school", LAW), LAW, test_share=0.2, seed=0)
    assert (train.n, test.n) == (17_433, 4_358)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.2, 1 / 3, 0.5, 0.9])
def test_everyone_is_in_one_part_which_keeps_the_tables_order(share: float) -> None:
    columns = people()
    train, test = split(columns, CROSSED, test_share=share, seed=1)
    assert test.n == int(1000 * share + 0.5)
    assert sorted([*train["y"].tolist(), *test["y"].tolist()]) == columns["y"].tolist()
    for part in (train, test):
        assert (part.rows.diff() > 0).all()
        assert torch.equal(part.rows, part["y"].long() * 2)


def test_every_combination_gives_its_share_to_within_one_person() -> None:
    columns = people()
    _, test = split(columns, CROSSED, test_share=0.2, seed=2)
    for race in range(3):
        for sex in range(2):
            size = ((columns["race"] == race) & (columns["sex"] == sex)).sum()
            tested = ((test["race"] == race) & (test["sex"] == sex)).sum()
            assert abs(tested - 0.2 * size) < 1


def test_the_seed_decides_and_the_callers_random_stream_is_untouched() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    rows = [split(people(), CROSSED, test_share=0.2, seed=seed)[1].rows for seed in (3, 3, 4)]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_everyone_of_a_combination_is_equally_likely_to_be_tested() -> None:
    columns, seeds = people(n=50), 400
    tested = torch.zeros(100, dtype=torch.float64)
    for seed in range(seeds):
        tested[split(columns, SPEC, test_share=0.2, seed=seed)[1].rows] += 1
    share = tested[columns.rows] / seeds
    for group in range(3):
        own = share[columns["race"] == group]
        assert ((own - own.mean()).abs() <= 5 * (own.mean() * (1 - own.mean()) / seeds).sqrt()).all()


def test_a_protected_number_is_not_stratified_by() -> None:
    spec = declare({"a": {"mechanism": "gaussian"}, "y": {"mechanism": "gaussian"}})
    values = torch.arange(10).double()
    train, test = split(Columns({"a": values, "y": values}, torch.arange(10), Facts("t", 10, "")), spec, test_share=0.3, seed=0)
    assert (train.n, test.n) == (7, 3)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(QueryError, match=r"Use 0\.2"):
        split(people(), SPEC, test_share=share, seed=0)


def test_too_few_people_for_two_parts_are_refused() -> None:
    with pytest.raises(DataError, match="2 rows cannot be parted"):
        split(people(n=2), SPEC, test_share=0.1, seed=0)


@pytest.mark.parametrize("rows", [1, 300, 1000, 5000])
def test_blocks_put_together_are_the_table(rows: int) -> None:
    columns = people()
    parts = list(blocks(columns, rows))
    assert all(part.n <= rows for part in parts)
    assert all(part.facts is columns.facts for part in parts)
    assert torch.equal(torch.cat([part.rows for part in parts]), columns.rows)
    for node in columns:
        assert torch.equal(torch.cat([part[node] for part in parts]), columns[node])
