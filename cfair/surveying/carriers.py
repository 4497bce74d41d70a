"""Which columns of a table carry its attributes, as rows of a report and as what a declared graph says of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from cfair.comparing import Row, clipped
from cfair.comparing.boosted_proxies import carried_by_all
from cfair.comparing.proxies import carried_by, folds_of, told_apart
from cfair.comparing.representation import DATA
from cfair.interfaces import Measured
from cfair.metrics import interval
from cfair.surveying.records import Surveyed

__all__ = ["MOST_PEOPLE", "TREES_PEOPLE", "Carriers", "carriers_of"]

MOST_PEOPLE = 100_000  # of whom single columns are asked
TREES_PEOPLE = 10_000  # of whom all columns together are: more of them cost time and change the second decimal


@dataclass(frozen=True, slots=True, eq=False)
class Carriers:
    """What carries each attribute.

    Args:
        single: (attribute, column) -> how well it alone tells the attribute's levels apart.
        together: attribute -> how well all columns do.
        left_out: attribute -> the levels of too few people to be told apart; of all where nothing was asked.
        constant: columns that are the same of everyone, which were not asked.
    """

    single: Mapping[tuple[str, str], Measured]
    together: Mapping[str, Measured]
    left_out: Mapping[str, tuple[str, ...]]
    constant: tuple[str, ...]

    def rows(self) -> list[Row]:
        """A row for all columns and one for each, the best first."""
        found: list[Row] = []
        for attribute in self.left_out:
            own = {column: measured for (of, column), measured in self.single.items() if of == attribute}
            ranked = sorted(own.items(), key=lambda each: -each[1].value)
            together = [("proxy_auc", self.together[attribute])] if attribute in self.together else []
            found += [_row(attribute, name, measured) for name, measured in together]
            found += [_row(attribute, f"proxy_auc[{column}]", measured) for column, measured in ranked]
        return found


def carriers_of(surveyed: Surveyed, seed: int) -> Carriers:
    """How well each attribute is predicted from each column that has no other role, the other attributes among them, and from all.

    Args:
        surveyed: the people.
        seed: of who is asked, where there are many, and of the folds.
    """
    single, together, left_out = dict[tuple[str, str], Measured](), dict[str, Measured](), dict[str, tuple[str, ...]]()
    for attribute, (names, member) in surveyed.attributes.items():
        features = [*surveyed.others(attribute), *surveyed.features]
        varying = [feature for feature in features if not feature.constant]
        apart = told_apart(member, len(names))
        left_out[attribute] = tuple(name for k, name in enumerate(names) if k not in apart)
        if len(apart) < 2 or not varying:
            continue
        some = _some(surveyed.n, MOST_PEOPLE, seed)
        fold, weights = folds_of(member[some], seed), None if surveyed.weights is None else surveyed.weights[some]
        for feature in varying:
            own = replace(feature, values=feature.values[some])
            single[attribute, feature.name] = carried_by(own, member[some], len(names), fold, weights)
        few = _some(surveyed.n, TREES_PEOPLE, seed)
        if len(told_apart(member[few], len(names))) >= 2:
            fold, weights = folds_of(member[few], seed), None if surveyed.weights is None else surveyed.weights[few]
            own_all = [replace(feature, values=feature.values[few]) for feature in varying]
            together[attribute] = carried_by_all(own_all, member[few], len(names), fold, weights, seed=seed)
    return Carriers(single, together, left_out, tuple(feature.name for feature in surveyed.features if feature.constant))


def _some(n: int, most: int, seed: int) -> torch.Tensor:
    """Positions of all people, or of so many at random."""
    return torch.arange(n) if n <= most else torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:most]


def _row(attribute: str, measure: str, measured: Measured) -> Row:
    low, high = interval(measured)
    return clipped(Row(predictor=DATA, measure=measure, attribute=attribute, value=measured.value, low=low, high=high, n=measured.people))
