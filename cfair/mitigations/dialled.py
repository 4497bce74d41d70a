"""A mitigation from nothing trained in to all of it, setting by setting: the points of a trade-off."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from cfair.mitigations.base import Asked, Mitigation, Rows, Trained
from cfair.mitigations.soft import Violations
from cfair.mitigations.unconstrained import plain, positions, stage, taking_part

__all__ = ["dialled", "settings_of"]

WEAKEST, STRONGEST = 0.05, 300.0  # strengths between which a penalty goes from hardly felt to nearly all that counts


def settings_of(mitigation: Mitigation, points: int) -> tuple[float, ...]:
    """So many settings, ascending from 0, at which nothing is trained in: strengths; or shares of the violation that are to go.

    A mitigation without a dial has two: nothing, and itself.
    """
    if mitigation.dial == "strength":
        return (0.0, *np.geomspace(STRONGEST, WEAKEST, points - 1).tolist()[::-1])
    return tuple(np.linspace(0, 1, points).tolist()) if mitigation.dial else (0.0, 1.0)


def dialled(mitigation: Mitigation, rows: Rows, asked: Asked, settings: Sequence[float]) -> Iterator[tuple[float, Trained]]:
    """Train at one setting after the other, each of a path of strengths from where the one before it ended.

    Args:
        mitigation: to be trained.
        rows: people to train on.
        asked: what is to be equal; its strength and tolerance are not read.
        settings: ascending, see ``settings_of``; 0 trains nothing in, a share s stands for the tolerance (1 − s)·(violation without
            constraints).
    """
    head = plain(rows, asked)
    log = stage("without constraints", rows, asked, head=head, seen=rows.features)
    nothing = Trained(head, False, (log,), positions(~taking_part(rows, asked)))
    yield from ((setting, nothing) for setting in settings if setting == 0)
    felt = [setting for setting in settings if setting > 0]
    if mitigation.dial is None:
        yield from ((setting, mitigation.train(rows, asked)) for setting in felt)
        return
    values = felt if mitigation.dial == "strength" else [(1 - setting) * _violation(mitigation, rows, asked) for setting in felt]
    joined = [value for value in values if value > 0] if mitigation.path else []
    if mitigation.path:
        yield from zip(felt, mitigation.path(rows, asked, joined), strict=False)
    for setting, value in list(zip(felt, values, strict=True))[len(joined) :]:  # a tolerance of 0 is trained from the beginning
        yield setting, mitigation.train(rows, _turned(mitigation, asked, value))


def _turned(mitigation: Mitigation, asked: Asked, value: float) -> Asked:
    return replace(asked, strength=value) if mitigation.dial == "strength" else replace(asked, tolerance=value)


def _violation(mitigation: Mitigation, rows: Rows, asked: Asked) -> float:
    """The largest violation without constraints, as the mitigation measures what it bounds; 0 where none is defined."""
    head, part = plain(rows, asked), taking_part(rows, asked)
    if mitigation.in_shares:
        scores = head.score(rows.features)
        found = (2 * Violations(rows, asked.constraints, part, scores).hard(scores).abs()).tolist()
    else:
        found = list(stage("without constraints", rows, asked, head=head, seen=rows.features).violations.values())
    return max(filter(isfinite, found), default=0.0)
