"""A mitigation from nothing trained in to all of it, setting by setting: the points of a trade-off."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from cfair.mitigations.base import Asked, Mitigation, Rows, Trained
from cfair.mitigations.penalty import penalised_path
from cfair.mitigations.soft import Violations
from cfair.mitigations.unconstrained import positions, stage, taking_part, unconstrained

__all__ = ["dialled", "settings_of"]

WEAKEST, STRONGEST = 0.05, 300.0  # strengths between which a penalty goes from hardly felt to nearly all that counts


def settings_of(mitigation: Mitigation, points: int) -> tuple[float, ...]:
    """So many settings, ascending from 0, at which nothing is trained in: strengths; or shares of the violation that are to go.

    A mitigation without a dial has two: nothing, and itself.
    """
    if mitigation.dial == "strength":
        return (0.0, *np.geomspace(WEAKEST, STRONGEST, points - 1).tolist())
    return tuple(np.linspace(0, 1, points).tolist()) if mitigation.dial else (0.0, 1.0)


def dialled(mitigation: Mitigation, rows: Rows, asked: Asked, settings: Sequence[float]) -> Iterator[tuple[float, Trained]]:
    """Train at one setting after the other, each of a path of strengths from where the one before it ended.

    Args:
        mitigation: to be trained.
        rows: people to train on.
        asked: what is to be equal; its strength and tolerance are not read.
        settings: ascending, see ``settings_of``: a share s stands for the tolerance (1 − s)·(violation without constraints).
    """
    if mitigation.name == "penalty":
        yield from zip(settings, penalised_path(rows, asked, settings), strict=True)
        return
    head = unconstrained(rows)
    log = stage("without constraints", rows, asked, head=head, seen=rows.features)
    found = [value for value in log.violations.values() if isfinite(value)]
    if mitigation.in_shares:
        scores = head.score(rows.features)
        found = [2 * float(Violations(rows, asked.constraints, taking_part(rows, asked), scores).hard(scores).abs().max())]
    for setting in settings:
        if setting == 0 and (mitigation.dial == "strength" or mitigation.dial is None):
            yield setting, Trained(head, False, (log,), positions(~taking_part(rows, asked)))
        elif mitigation.dial == "strength":
            yield setting, mitigation.train(rows, replace(asked, strength=setting))
        else:
            tolerance = (1 - setting) * max(found, default=0.0) if mitigation.dial else asked.tolerance
            yield setting, mitigation.train(rows, replace(asked, tolerance=tolerance))
