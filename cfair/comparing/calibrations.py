"""Calibration by group, as rows and as curves."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cfair.comparing.apart import extent_row, pair_name
from cfair.comparing.comparison import Comparison
from cfair.comparing.people import Division, People
from cfair.comparing.rows import Row, Said
from cfair.constraints.calibration_error import Curve, calibrated, calibration_curve, calibration_error, expected_error
from cfair.constraints.definition import pairs_of
from cfair.constraints.pairwise import Range, apart
from cfair.constraints.scores import Scored, bin_scores
from cfair.constraints.violation import Extent, difference_of

__all__ = ["calibration_rows", "curves_of"]


def calibration_rows(division: Division, people: People, score: Tensor, asked: Comparison) -> Iterator[Said]:
    """Each group's debiased calibration error beside what a perfect score has, its p-value, and how far the groups lie apart.

    Args:
        division: of the people.
        people: their outcomes, 0 or 1, and weights.
        score: probabilities of outcome 1, shape (n,).
        asked: how groups are compared.
    """
    if reason := _no_probability(score):
        yield extent_row("calibration_difference", division.attribute, Extent(None, reason=reason), len(score))
        return
    scored = bin_scores(people.y, score, division.member, len(division.names), people.weights)
    sizes = scored.people.sum((-2, -1))
    together, each = calibrated(scored, replicates=asked.replicates, seed=asked.seed)
    yield from ((row, None) for row in _group_rows(division, scored, sizes, each))
    large = sizes >= max(asked.min_group_size, 1)
    names = [name for name, kept in zip(division.names, large.tolist(), strict=True) if kept]
    if not large.all():
        together = calibrated(scored[large], replicates=asked.replicates, seed=asked.seed)[0]
    row = Row(predictor="", measure="calibration_p", attribute=division.attribute, value=together, n=int(sizes[large].sum()))
    yield row, None if names else "no group has people enough"
    yield from _apart_rows(division.attribute, names, scored[large], asked)


def curves_of(people: People, division: Division) -> dict[str, Curve]:
    """Each predictor's calibration curves of the division's groups; predictions are probabilities of outcome 1."""
    size = len(division.names)
    return {
        name: calibration_curve(bin_scores(people.y, score, division.member, size, people.weights))
        for name, score in people.predictions.items()
    }


def _no_probability(score: Tensor) -> str | None:
    """Why scores cannot be calibrated, if they cannot."""
    if not ((score >= 0) & (score <= 1)).all():
        return "scores are not probabilities"
    return "predictions are decisions, all of them 0 or 1, and no probabilities" if ((score == 0) | (score == 1)).all() else None


def _group_rows(division: Division, scored: Scored, sizes: Tensor, ps: Tensor) -> Iterator[Row]:
    error, expected = calibration_error(scored), expected_error(scored)
    for g, group in enumerate(division.names):
        if sizes[g] > 0:
            row = Row(predictor="", measure="calibration_error", attribute=division.attribute, group=group, value=error.value[g].item())
            row = replace(row, n=int(sizes[g]))
            yield replace(row, low=error.low[g].item(), high=error.high[g].item())
            yield replace(row, measure="calibration_error_expected", value=expected[g].item())
            yield replace(row, measure="calibration_p", value=ps[g].item())


def _apart_rows(attribute: str, names: Sequence[str], scored: Scored, asked: Comparison) -> Iterator[Said]:
    """The largest difference of errors, each two groups', and the p-value that all groups are calibrated."""
    n = int(scored.people.sum())
    if len(names) < 2:
        yield extent_row("calibration_difference", attribute, Extent(None, reason="fewer than two groups have people enough"), n)
    else:
        level = 0.95 ** (1 / len(names))  # groups are independent: all intervals hold at once
        pairs = apart(Range(*(each.unsqueeze(0) for each in calibration_error(scored, level=level))))
        yield extent_row("calibration_difference", attribute, difference_of(pairs, asked.definition), n)
        yield from ((row, None) for row in _pair_rows(attribute, names, pairs, scored.people.sum((-2, -1))))


def _pair_rows(attribute: str, names: Sequence[str], pairs: Range, sizes: Tensor) -> Iterator[Row]:
    earlier, later = pairs_of(len(names))
    for k, (g, h) in enumerate(torch.stack([earlier, later], -1).tolist()):
        row = Row(predictor="", measure="calibration_pair", attribute=attribute, group=pair_name(names, g, h), value=None)
        value, low, high = (end[0, k].item() for end in pairs)
        yield replace(row, value=value, low=low, high=high, n=int(sizes[g] + sizes[h]))
