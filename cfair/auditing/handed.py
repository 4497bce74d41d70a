"""The audit of predictions that were made elsewhere, of worlds that were handed over as files."""

import time
from collections.abc import Sequence

from torch import Tensor

from cfair.auditing.crossing import crossing_of
from cfair.auditing.elsewhere import units_of
from cfair.auditing.foreign import Foreign
from cfair.auditing.gaps import handed_gaps
from cfair.auditing.records import Report
from cfair.auditing.reporting import Asked, Found, reported
from cfair.interfaces import Columns
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
    gaps, kept = handed_gaps(models, crossing, columns, predictions, units=units)
    found = Found(scm, models, crossing, columns, columns, {model.name: predictions[0][:, 0]}, gaps, kept, units)
    return reported(found, asked, seconds=time.perf_counter() - started)
