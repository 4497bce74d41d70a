"""Groups of people compared: how well predictions do, and how far group constraints are from holding. Needs no causal model."""

from cfair.comparing.accuracy import group_metrics, group_rows, overall_rows
from cfair.comparing.calibrations import curves_of
from cfair.comparing.comparison import Comparison
from cfair.comparing.continuous import binned, continuous_rows
from cfair.comparing.levels import one_vs_rest
from cfair.comparing.losses import loss_rows
from cfair.comparing.numbers import number_rows
from cfair.comparing.paired import paired_rows
from cfair.comparing.people import Division, People
from cfair.comparing.ranges import clipped
from cfair.comparing.rates import constraint_rows
from cfair.comparing.rows import Row, Said

__all__ = [
    "Comparison",
    "Division",
    "People",
    "Row",
    "Said",
    "binned",
    "clipped",
    "constraint_rows",
    "continuous_rows",
    "curves_of",
    "group_metrics",
    "group_rows",
    "loss_rows",
    "number_rows",
    "one_vs_rest",
    "overall_rows",
    "paired_rows",
]
