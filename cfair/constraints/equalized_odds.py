"""Equalized odds: at each level of the outcome, every group is selected equally often."""

from cfair.constraints.base import Constraint
from cfair.constraints.tallies import false_positive_rate, true_positive_rate

__all__ = ["equalized_odds"]

equalized_odds = Constraint(
    "equalized_odds",
    {"people with outcome 0": false_positive_rate, "people with outcome 1": true_positive_rate},
    labels=("y=0", "y=1"),
)
"""P(ŷ = 1 | y, g) equal for all groups g, at y = 0 and at y = 1.

Difference: the larger over y of max_g − min_g; ratio: the smaller over y of min_g / max_g. (Other libraries also offer the mean over y:
``Definition(strata="mean")``.)

Source: Hardt, Price & Srebro (2016), Equality of opportunity in supervised learning, Definition 2.1.
"""
