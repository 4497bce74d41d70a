"""Calibration: of people with score s, a share s has the second level of the outcome, in every group."""

from cfair.constraints.base import Constraint

__all__ = ["calibration"]

calibration = Constraint("calibration", {}, of="scores")
"""P(y = 1 | s, g) = s for all groups g and scores s.

Measured per group by the expected calibration error, debiased (``cfair.constraints.scores``). Difference: max_g − min_g of it; its p-value
is of the constraint itself, that no group has any error. It has no ratio: errors near 0 have none.

Source: Kleinberg, Mullainathan & Raghavan (2017), Inherent trade-offs in the fair determination of risk scores, condition (A).
"""
