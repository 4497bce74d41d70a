"""The audit of predictions that were made elsewhere, of worlds that were handed over as files."""

import time
from collections.abc import Mapping, Sequence

from torch import Tensor

from cfair.auditing.asked import Asked
from cfair.auditing.classes import by_class
from cfair.auditing.crossing import Crossing, crossing_of
from cfair.auditing.elsewhere import units_of
from cfair.auditing.foreign import Foreign
from cfair.auditing.gaps import Gaps, add_moves, counts, kept_as, no_shifts, weights_of
from cfair.auditing.kept import Kept
from cfair.auditing.records import Report
from cfair.auditing.reporting import Found, reported
from cfair.interfaces import Columns, Predictor
from cfair.scm import SCM
from cfair.threads import with_threads

__all__ = ["audit_handed"]


@with_threads
def audit_handed(
    scm: SCM,
    model: Foreign,
    columns: Columns,
    predictions: Sequence[Tensor],
    *,
    attributes: Sequence[str],
    draws: int,
    seed: int,
    min_group_size: int,
) -> Report:
    """The report that ``audit`` gives of a model, from its predictions of the same worlds.

    Args:
        scm: in which the worlds were made.
        model: stands for the one that made the predictions.
        columns: the people of the worlds.
        predictions: of the factual world, (n, 1[, classes]), then of each world of the attributes crossed, (n, draws[, classes]).
        attributes: that were asked about.
        draws: of the worlds.
        seed: of the worlds.
        min_group_size: people below which a group takes no part in a worst pair or a largest difference between groups.
    """
    started = time.perf_counter()
    crossing = crossing_of(scm.spec, columns, attributes=attributes)
    asked = Asked.of(scm.spec, metrics=None, constraints=None, draws=draws, seed=seed, min_group_size=min_group_size)
    models = {model.name: model}
    units = units_of(models, columns, scm.spec)
    gaps, kept = _gaps(models, crossing, columns, predictions, units=units)
    found = Found(scm, models, crossing, columns, columns, {model.name: predictions[0][:, 0]}, gaps, kept, units)
    return reported(found, asked, started=started)


def _gaps(
    predictors: Mapping[str, Predictor],
    crossing: Crossing,
    columns: Columns,
    predictions: Sequence[Tensor],
    *,
    units: Mapping[str, float],
) -> tuple[Gaps, Kept]:
    """The gaps of one predictor whose predictions of all worlds are known: both of a function of the row, which are one.

    Args:
        predictors: the one, by its name.
        crossing: of the protected attributes.
        columns: n people of weight above 0.
        predictions: of the factual world, (n, 1[, classes]), then of each world of ``crossing``, (n, draws[, classes]).
        units: what is measured -> that in which EPSILON counts.
    """
    group, weights = crossing.group(columns), weights_of(columns)
    gaps, shifts = Gaps.none(predictors, crossing), no_shifts(predictors, crossing, columns.n)
    factual, *worlds = predictions
    for name, predictor in predictors.items():
        for world, after in enumerate(worlds):
            moved = (group != world).nonzero().squeeze(-1)
            for key, moves in by_class(name, predictor, (after[moved] - factual[moved]).transpose(0, 1)):
                add_moves(gaps, shifts, key, world, moved, moves, group, weights, units[key])
    deployed = kept_as(predictors, dict.fromkeys(predictors, factual[:, 0]))
    return Gaps(counts(crossing, group, weights), gaps.sums, gaps.beyond), Kept(columns.rows, group, weights, deployed, shifts)
