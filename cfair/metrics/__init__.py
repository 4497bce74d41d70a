"""Numbers about predictions, by the name used in a report, and which of them suit which outcome."""

from collections.abc import Mapping

from torch import Tensor

from cfair.families import Kind
from cfair.interfaces import Measured, Metric
from cfair.metrics.base import THRESHOLD, average, decide, decide_level, defined, difference, indicators, interval, standard_error
from cfair.metrics.splits import nadeau_bengio
from cfair.metrics.spread import Spread, spread
from cfair.metrics.wasserstein import wasserstein
from cfair.registry import Registry

__all__ = [
    "LEVEL_METRICS",
    "METRICS",
    "METRIC_KINDS",
    "THRESHOLD",
    "Spread",
    "average",
    "decide",
    "decide_level",
    "defined",
    "difference",
    "indicators",
    "interval",
    "measure",
    "nadeau_bengio",
    "spread",
    "standard_error",
    "wasserstein",
]

METRICS: Registry[Metric] = Registry(  # of predictions (n,)
    "metric",
    rmse="cfair.metrics.rmse:rmse",
    mae="cfair.metrics.mae:mae",
    r2="cfair.metrics.r2:r2",
    accuracy="cfair.metrics.accuracy:accuracy",
    log_loss="cfair.metrics.log_loss:log_loss",
    roc_auc="cfair.metrics.roc_auc:roc_auc",
    brier="cfair.metrics.brier:brier",
)

LEVEL_METRICS: Registry[Metric] = Registry(  # of probabilities (n, levels) of outcomes with several levels
    "metric",
    accuracy="cfair.metrics.accuracy:accuracy_of_levels",
    log_loss="cfair.metrics.log_loss:log_loss_of_levels",
    roc_auc="cfair.metrics.roc_auc:roc_auc_of_levels",
    brier="cfair.metrics.brier:brier_of_levels",
    ranked_probability_score="cfair.metrics.ranked_probability_score:ranked_probability_score",
)

METRIC_KINDS: Mapping[Kind, tuple[str, ...]] = {  # the first of each is the loss by which predictors are compared
    "real": ("rmse", "mae", "r2"),
    "count": ("rmse", "mae", "r2"),
    "binary": ("accuracy", "log_loss", "roc_auc", "brier"),
    "category": ("accuracy", "log_loss", "roc_auc", "brier"),
    "ordinal": ("accuracy", "log_loss", "roc_auc", "brier", "ranked_probability_score"),
}


def measure(name: str, y: Tensor, y_hat: Tensor, weights: Tensor | None = None) -> Measured:
    """The metric ``name`` of predictions, (n,), or of probabilities of levels, (n, levels)."""
    return (METRICS if y_hat.ndim == 1 else LEVEL_METRICS)[name](y, y_hat, weights)
