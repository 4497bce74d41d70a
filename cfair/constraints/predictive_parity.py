"""Predictive parity: of those selected, as many have the second level of the outcome in every group."""

from cfair.constraints.base import Constraint
from cfair.constraints.tallies import positive_predictive_value

__all__ = ["predictive_parity"]

predictive_parity = Constraint("predictive_parity", {"people with decision 1": positive_predictive_value}, event="outcome 1")
"""P(y = 1 | ŷ = 1, g) equal for all groups g. Difference: max_g − min_g of it; ratio: min_g / max_g of it.

With unequal base rates it cannot hold beside equalized odds, unless there are no false positives or no true positives.

Source: Chouldechova (2017), Fair prediction with disparate impact, definition 2.2 and section 2.1.
"""
