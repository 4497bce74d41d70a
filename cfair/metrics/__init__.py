"""Numbers about predictions, by the name used in a report, and which of them suit which outcome."""

from collections.abc import Mapping

from cfair.families import Kind
from cfair.interfaces import Metric
from cfair.metrics.base import THRESHOLD, average, decide, defined, difference, interval, standard_error
from cfair.metrics.splits import nadeau_bengio
from cfair.metrics.spread import Spread, spread
from cfair.metrics.wasserstein import wasserstein
from cfair.registry import Registry

__all__ = [
    "METRICS",
    "METRIC_KINDS",
    "THRESHOLD",
    "Spread",
    "average",
    "decide",
    "defined",
    "difference",
    "interval",
    "nadeau_bengio",
    "spread",
    "standard_error",
    "wasserstein",
]

METRICS: Registry[Metric] = Registry(
    "metric",
    rmse="cfair.metrics.rmse:rmse",
    mae="cfair.metrics.mae:mae",
    r2="cfair.metrics.r2:r2",
    accuracy="cfair.metrics.accuracy:accuracy",
    log_loss="cfair.metrics.log_loss:log_loss",
    roc_auc="cfair.metrics.roc_auc:roc_auc",
    brier="cfair.metrics.brier:brier",
)

METRIC_KINDS: Mapping[Kind, tuple[str, ...]] = {  # the first of each is the loss by which predictors are compared
    "real": ("rmse", "mae", "r2"),
    "count": ("rmse", "mae", "r2"),
    "binary": ("accuracy", "log_loss", "roc_auc", "brier"),
    "category": (),
    "ordinal": (),
}
