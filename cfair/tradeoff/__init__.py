"""What equality costs: accuracy, group differences and counterfactual gaps along a mitigation's dial, beside predictors without one."""

from cfair.tradeoff.points import GAP, Accepted, Point, Policy, accepted, by_point, policy_of
from cfair.tradeoff.sweeping import Curve, check_sweep, curve, sweep

__all__ = ["GAP", "Accepted", "Curve", "Point", "Policy", "accepted", "by_point", "check_sweep", "curve", "policy_of", "sweep"]
