"""The data before any model: how many of each group there are, what is not known of them, how they fare, and what could be found at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist

import torch
from torch import Tensor

from cfair.comparing.people import Division
from cfair.comparing.rows import Row
from cfair.constraints import wilson
from cfair.metrics import average, interval
from cfair.weights import effective_size

__all__ = ["DATA", "Reference", "detectable_rows", "missing_rows", "outcome_rows", "share_rows"]

DATA = "data"  # stands in a row where a predictor would
POWER, SIZE = 0.8, 0.05  # of the two-sided test whose smallest detectable gap is told


@dataclass(frozen=True, slots=True)
class Reference:
    """A population that the people are held against.

    Args:
        shares: group -> its share there.
        people: as how many people of equal weight the reference tells; None where its shares are known.
    """

    shares: Mapping[str, float]
    people: float | None = None


def share_rows(division: Division, weights: Tensor | None = None, reference: Reference | None = None) -> Iterator[Row]:
    """Each group's share of the people, and of how many people of equal weight it tells, (Σw)² / Σw²; and how far it is from a reference.

    A share has Wilson's interval, for as many people as all of them tell; its difference to a reference that was sampled, too, Newcombe's
    hybrid of the two intervals.

    Args:
        division: of n people.
        weights: of the people, shape (n,).
        reference: with a share for each group.

    Source: Kish (1965), Survey Sampling; Newcombe (1998), Interval estimation for the difference between independent proportions,
    method 10.
    """
    own = torch.ones(len(division.member), dtype=torch.float64) if weights is None else weights
    for g, name in enumerate(division.names):
        inside = division.member == g
        row = Row(predictor=DATA, measure="share", attribute=division.attribute, group=name, value=None, n=int((own[inside] > 0).sum()))
        found = _share((own[inside].sum() / own.sum()).item(), effective_size(own))
        yield replace(row, value=found[0], low=found[1], high=found[2])
        yield replace(row, measure="effective_size", value=effective_size(own[inside]))
        if reference is not None:
            yield from _against(row, found, reference)


def outcome_rows(y: Tensor, division: Division, weights: Tensor | None = None, *, measure: str, shares: bool) -> Iterator[Row]:
    """The mean outcome of each group that has anybody, with its interval: Wilson's of a share, for its effective number of people.

    Args:
        y: outcomes, shape (n,); 0 or 1 where their means are ``shares``.
        division: of the people.
        weights: of the people, shape (n,).
        measure: the name of the mean.
        shares: whether it is one.
    """
    for g, name in enumerate(division.names):
        inside = division.member == g
        if inside.any():
            own = None if weights is None else weights[inside]
            found = average(y[inside], own)
            low, high = interval(found)
            if shares:
                _, low, high = _share(found.value, float(found.people) if own is None else effective_size(own))
            yield Row(
                predictor=DATA,
                measure=measure,
                attribute=division.attribute,
                group=name,
                value=found.value,
                low=low,
                high=high,
                n=found.people,
            )


def missing_rows(missing: Mapping[str, Tensor], division: Division, weights: Tensor | None = None) -> Iterator[Row]:
    """How often each group has no entry in a column; columns without holes are not spoken of.

    Args:
        missing: column -> who has no entry, shape (n,), bool.
        division: of the people.
        weights: of the people, shape (n,).
    """
    for column, gone in missing.items():
        if gone.any():
            yield from outcome_rows(gone.double(), division, weights, measure=f"missing_share[{column}]", shares=True)


def detectable_rows(
    y: Tensor, division: Division, weights: Tensor | None = None, *, shares: bool, min_group_size: int
) -> Iterator[tuple[Row, str | None]]:
    """The smallest gap between two groups' means that a two-sided 5 % test of that pair alone finds in four cases of five.

    δ = (z₀.₉₇₅ + z₀.₈₀)·√(v·(1/m_g + 1/m_h)), with m a group's effective number of people, and v the variance of the outcome: ȳ(1 − ȳ)
    of a share, with ȳ over everyone, or else within groups. It says what these people could show of a rate as frequent as the outcome,
    whatever is predicted.

    Args:
        y: outcomes, shape (n,).
        division: of the people.
        weights: of the people, shape (n,).
        shares: whether the outcome is 0 or 1.
        min_group_size: people below which a group is left out.

    Returns:
        A row for each pair of groups, and why it has no value where even a gap of 1 would not be found.

    Source: Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, section 4.2, without continuity correction.
    """
    own = torch.ones_like(y) if weights is None else weights
    inside = {name: division.member == g for g, name in enumerate(division.names)}
    sizes = {name: effective_size(own[some]) for name, some in inside.items() if int((own[some] > 0).sum()) >= min_group_size}
    variance = _variance(y, own, [inside[name] for name in sizes], shares=shares)
    quantiles = NormalDist().inv_cdf(1 - SIZE / 2) + NormalDist().inv_cdf(POWER)
    for first, second in combinations(sizes, 2):
        least = quantiles * (variance * (1 / sizes[first] + 1 / sizes[second])) ** 0.5
        people = int(((own > 0) & (inside[first] | inside[second])).sum())
        row = Row(predictor=DATA, measure="smallest_detectable_gap", attribute=division.attribute, value=least, n=people)
        row = replace(row, group=f"{second} - {first}")
        yield (row, None) if not shares or least <= 1 else (replace(row, value=None), "even a gap of 1 would not be found")


def _variance(y: Tensor, weights: Tensor, groups: list[Tensor], *, shares: bool) -> float:
    """Of a share ȳ(1 − ȳ) over everyone; else Σw(y − ȳ_g)² / Σw over the groups, n − k for n of the n people in k groups."""
    if shares:
        mean = (weights * y).sum() / weights.sum()
        return float(mean * (1 - mean))
    squares = sum(
        float((weights[some] * (y[some] - (weights[some] * y[some]).sum() / weights[some].sum()).square()).sum()) for some in groups
    )
    people = sum(int((weights[some] > 0).sum()) for some in groups)
    total = sum(float(weights[some].sum()) for some in groups)
    return squares / total * people / (people - len(groups)) if people > len(groups) else 0.0


def _share(value: float, people: float) -> tuple[float, float, float]:
    """A share with its Wilson interval."""
    count = torch.tensor(people, dtype=torch.float64)
    low, high = wilson(value * count, count)
    return value, low.item(), high.item()


def _against(row: Row, found: tuple[float, float, float], reference: Reference) -> Iterator[Row]:
    """The reference's share, and the difference to it."""
    there = reference.shares[str(row.group)]
    known = (there, there, there) if reference.people is None else _share(there, reference.people)
    yield replace(row, measure="share_reference", value=there, low=known[1], high=known[2], n=None)
    (share, low, high), (_, least, most) = found, known
    below, above = ((share - low) ** 2 + (most - there) ** 2) ** 0.5, ((high - share) ** 2 + (there - least) ** 2) ** 0.5
    yield replace(row, measure="share_minus_reference", value=share - there, low=share - there - below, high=share - there + above)
