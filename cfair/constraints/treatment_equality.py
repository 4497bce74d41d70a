"""Treatment equality: errors weigh on either side alike in every group."""

from cfair.constraints.base import Constraint
from cfair.constraints.tallies import false_negative_share

__all__ = ["treatment_equality", "treatment_equality_share"]

treatment_equality = Constraint("treatment_equality", {"errors": false_negative_share}, event="a false negative", scale="odds")
"""FN_g / FP_g equal for all groups g: false negatives per false positive. Difference: max_g − min_g of it; ratio: min_g / max_g.

FN/FP is the odds of p = FN/(FN + FP), so that its intervals are made on its logarithm. It is undefined for a group without false
positives. (Other libraries also divide the other way round: ``Definition(errors="FP/FN")``.)

Source: Berk, Heidari, Jabbari, Kearns & Roth (2021), Fairness in criminal justice risk assessments, definition 6.
"""

treatment_equality_share = Constraint("treatment_equality_share", {"errors": false_negative_share}, event="a false negative")
"""FN_g / (FN_g + FP_g) equal for all groups g: the same constraint, bounded and defined wherever there are errors."""
