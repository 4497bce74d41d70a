"""Several constraints at once, by one threshold per group: thresholds of one group, or of two together, are moved at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from cfair.constraints import Constraint
from cfair.mitigations.boxes import start_in_a_box
from cfair.mitigations.ladders import Ladder, rungs

__all__ = ["best_by_coordinates", "best_for_all", "excess"]

PRICES = (1.0, 10.0, 100.0, 1e4)  # of a violation against a share of people decided on rightly, in turn
SWEEPS = 50  # through the groups at one price, far more than are needed
LONG, SHORT = 400, 60  # rungs of a ladder that are tried in pairs, of two groups and of many


def excess(counts: Tensor, constraints: Sequence[Constraint], tolerance: float) -> Tensor:
    """By how much differences exceed the tolerance, added over constraints, of counts (..., groups, 2, 2): shape (...); ∞: undefined."""
    apart = torch.stack([(each.difference(counts) - tolerance).clamp(min=0) for each in constraints]).sum(0)
    return apart.nan_to_num(nan=torch.inf)


def best_for_all(ladder: Ladder, constraints: Sequence[Constraint], tolerance: float, part: Tensor) -> int:
    """The place of one threshold for everybody: of those that keep the tolerance the most accurate, else the one of least excess."""
    over = excess(ladder.counts[:, part], constraints, tolerance)
    return int(ladder.correct.where(over <= over.min(), -torch.inf).argmax())


def best_by_coordinates(found: Sequence[Ladder], constraints: Sequence[Constraint], tolerance: float, starts: Sequence[Tensor]) -> Tensor:
    """The place of each group's threshold, (groups,): an optimum that no change of one group's threshold betters, nor of two groups'.

    The price of a violation rises from stage to stage. Two groups' thresholds are tried in all pairs, of long ladders in pairs of some
    rungs: with two groups of few people the optimum is that of all pairs. It starts in a box, too, which keeps the tolerance or nearly, and
    stays there. Of several starts the end with the least excess is taken, then the most accurate.

    Args:
        found: of each group.
        constraints: of decisions.
        tolerance: the largest difference that is let be.
        starts: places to start from, each (groups,).
    """
    search, ends = _Search(tuple(found), tuple(constraints), tolerance), []
    inside = start_in_a_box(found, constraints, tolerance)
    for place, prices in [(inside, PRICES[-1:]), *((start, PRICES) for start in starts)]:
        for price in prices:
            place = search.settled(place, price)
        for _ in range(SWEEPS):
            before = place
            place = search.settled(search.paired(place, PRICES[-1]), PRICES[-1])
            if torch.equal(before, place):
                break
        counts = search.counts(place)
        ends.append((-float(excess(counts, constraints, tolerance)), float(_correct(counts)), place))
    return max(ends, key=lambda each: each[:2])[2]


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Places are those of each group's threshold on its ladder, (groups,)."""

    found: tuple[Ladder, ...]
    constraints: tuple[Constraint, ...]
    tolerance: float

    def counts(self, place: Tensor) -> Tensor:
        """The cells of each group at its threshold, (groups, 2, 2)."""
        return torch.stack([ladder.counts[int(at), 0] for ladder, at in zip(self.found, place, strict=True)])

    def value(self, counts: Tensor, price: float) -> Tensor:
        """The share of people decided on rightly less the price of what exceeds the tolerance, of counts (..., groups, 2, 2)."""
        share = _correct(counts) / counts.sum((-3, -2, -1))
        return share - price * excess(counts, self.constraints, self.tolerance)

    def settled(self, place: Tensor, price: float) -> Tensor:
        """Where moving one group gains nothing any more."""
        place = place.clone()
        for _ in range(SWEEPS):
            before = place.clone()
            for group in range(len(self.found)):
                self._move(place, (group,), price, most=len(self.found[group].values))
            if torch.equal(before, place):
                break
        return place

    def paired(self, place: Tensor, price: float) -> Tensor:
        """After every two groups have been moved together once."""
        place = place.clone()
        for pair in combinations(range(len(self.found)), 2):
            self._move(place, pair, price, most=LONG if len(self.found) == 2 else SHORT)
        return place

    def _move(self, place: Tensor, groups: tuple[int, ...], price: float, *, most: int) -> None:
        """Set the places of some groups to the best combination of at most so many rungs of each, if that is better."""
        tried = torch.cartesian_prod(*(rungs(self.found[group], most) for group in groups)).reshape(-1, len(groups))
        now = self.counts(place)
        counts = now.repeat(len(tried), 1, 1, 1)
        for i, group in enumerate(groups):
            counts[:, group] = self.found[group].counts[tried[:, i], 0]
        value = self.value(counts, price)
        best = value.argmax()
        if value[best] > self.value(now, price):
            place[list(groups)] = tried[best]


def _correct(counts: Tensor) -> Tensor:
    return (counts[..., 0, 0] + counts[..., 1, 1]).sum(-1)
