"""Groups of people compared: how well predictions do, and how far group constraints are from holding. Needs no causal model."""

from cfair.comparing.accuracy import group_metrics, group_rows, overall_rows
from cfair.comparing.levels import level_constraint_rows, one_vs_rest
from cfair.comparing.people import Division, People
from cfair.comparing.ranges import clipped
from cfair.comparing.rates import constraint_rows
from cfair.comparing.rows import Row

__all__ = ["Division", "People", "Row", "clipped", "constraint_rows", "group_metrics", "group_rows", "level_constraint_rows"]
__all__ += ["one_vs_rest", "overall_rows"]
