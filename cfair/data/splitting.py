"""A table parted: at random into training and test people, or in order into blocks."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cfair.errors import DataError, QueryError
from cfair.interfaces import Columns
from cfair.spec import ModelSpec

__all__ = ["blocks", "split"]


def split(columns: Columns, spec: ModelSpec, *, test_share: float, seed: int) -> tuple[Columns, Columns]:
    """Training and test people, drawn at random within every combination of discrete protected attributes, each part in table order.

    round(n · test_share) people are tested; every combination gives its share of them, rounded by largest remainders, so that one of
    very few people may give nobody. People of weight 0 are in neither part: they count for nothing, and change nobody else's part.

    Args:
        columns: people, with the protected attributes; n of them have a weight above 0, and a part's weights are in a unit of its own.
        spec: says which these are; numbers among them are not stratified by.
        test_share: in (0, 1).
        seed: decides, with the order of the rows, who is tested.

    Raises:
        QueryError: ``test_share`` is not in (0, 1), or nobody has a weight above 0.
        DataError: there are too few people for both parts.
    """
    if not 0 < test_share < 1:
        raise QueryError("test_share", f"{test_share:g} is not between 0 and 1", "use 0.2")
    columns = columns.counted()
    wanted = int(columns.n * test_share + 0.5)
    if not 0 < wanted < columns.n:
        mend = "give more rows, or another share of them to test"
        raise DataError(columns.facts.name, f"{columns.n} rows cannot be parted into training and test rows at {test_share:g}", mend)
    stratum, sizes = _strata(columns, spec)
    tested = _place(stratum, sizes, seed) < _shares(sizes, wanted)[stratum]
    return columns.take(torch.nonzero(~tested)[:, 0]), columns.take(torch.nonzero(tested)[:, 0])


def blocks(columns: Columns, rows: int) -> Iterator[Columns]:
    """The same people in order, at most ``rows`` at a time; nothing is copied."""
    for start in range(0, columns.n, rows):
        yield columns.take(slice(start, start + rows))


def _strata(columns: Columns, spec: ModelSpec) -> tuple[Tensor, Tensor]:
    """Each person's combination of discrete protected attributes, shape (n,), and how many people have each combination that occurs."""
    stratum = torch.zeros(columns.n, dtype=torch.int64)
    for node in spec.protected:
        if levels := len(spec.nodes[node].levels):
            stratum = torch.unique(stratum * levels + columns[node].long(), return_inverse=True)[1]
    return stratum, torch.bincount(stratum)


def _shares(sizes: Tensor, wanted: int) -> Tensor:
    """How many of each stratum are tested, shape (strata,): in proportion, by largest remainders, ``wanted`` in all."""
    whole, remainder = sizes * wanted // sizes.sum(), sizes * wanted % sizes.sum()
    largest = torch.argsort(remainder, descending=True, stable=True)[: wanted - int(whole.sum())]
    return whole.index_add(0, largest, torch.ones_like(largest))


def _place(stratum: Tensor, sizes: Tensor, seed: int) -> Tensor:
    """Each person's place, from 0, in a random order of their stratum, shape (n,)."""
    shuffled = torch.randperm(len(stratum), generator=torch.Generator().manual_seed(seed))
    ordered = shuffled[torch.argsort(stratum[shuffled], stable=True)]
    starts = sizes.cumsum(0) - sizes
    return torch.empty_like(stratum).scatter(0, ordered, torch.arange(len(stratum)) - starts[stratum[ordered]])
