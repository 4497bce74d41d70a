"""Equal opportunity: those with the second level of the outcome are selected equally often in every group."""

from cfair.constraints.base import Constraint
from cfair.constraints.tallies import true_positive_rate

__all__ = ["equal_opportunity"]

equal_opportunity = Constraint("equal_opportunity", {"people with outcome 1": true_positive_rate})
"""P(ŷ = 1 | y = 1, g) equal for all groups g. Difference: max_g − min_g of it; ratio: min_g / max_g of it.

Source: Hardt, Price & Srebro (2016), Equality of opportunity in supervised learning, Definition 2.2.
"""
