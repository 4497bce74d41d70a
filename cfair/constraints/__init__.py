"""What a group constraint asks to be equal across groups, by the name used in a report."""

from cfair.constraints.base import Cells, Constraint, count
from cfair.constraints.definition import Definition
from cfair.constraints.rates import GROUP_RATES, GroupRate, group_rate
from cfair.constraints.violation import Violation, violation
from cfair.constraints.wilson import wilson
from cfair.registry import Registry

__all__ = [
    "CONSTRAINTS",
    "GROUP_RATES",
    "Cells",
    "Constraint",
    "Definition",
    "GroupRate",
    "Violation",
    "count",
    "group_rate",
    "violation",
    "wilson",
]

CONSTRAINTS: Registry[Constraint] = Registry(
    "constraint",
    demographic_parity="cfair.constraints.demographic_parity:demographic_parity",
    equal_opportunity="cfair.constraints.equal_opportunity:equal_opportunity",
    equalized_odds="cfair.constraints.equalized_odds:equalized_odds",
    predictive_parity="cfair.constraints.predictive_parity:predictive_parity",
    treatment_equality="cfair.constraints.treatment_equality:treatment_equality",
    calibration="cfair.constraints.calibration:calibration",
)
