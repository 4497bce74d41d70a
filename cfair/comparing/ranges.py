"""What a measure can be: an interval may not reach beyond it."""

import math
import re
from dataclasses import replace

from cfair.comparing.rows import Row

__all__ = ["clipped"]

FREE = re.compile(
    r"mean_|r2|response$|response_slope$|.*_minus_|.*_signed$|.*_pair(\[|$)|calibration_error$|distance_correlation_.*squared"
)  # measures that may be any number
UNBOUNDED = (
    "rmse",
    "mae",
    "log_loss",
    "gap_",
    "wasserstein",
    "response_span",
    "absolute_error",
    "false_negatives_per_false_positive",
    "treatment_equality_difference",
)  # of those that are not negative; the others are shares
LARGEST = {"brier": 2.0}  # of several levels; that of two is at most 1


def clipped(row: Row) -> Row:
    """The row with its interval cut to what its measure can be: normal intervals of few people or splits reach beyond."""
    if row.low is None or row.high is None or FREE.match(row.measure):
        return row
    most = math.inf if row.measure.startswith(UNBOUNDED) else LARGEST.get(row.measure, 1.0)
    return replace(row, low=max(row.low, 0.0), high=min(row.high, most))
