"""How a group constraint is trained in, by the name used on the command line."""

from cfair.mitigations.base import Asked, Mitigation, Rows, Stage, Trained, check_head, decided
from cfair.mitigations.constrained import Constrained, group_names, trained_in
from cfair.mitigations.constraining import constrain
from cfair.mitigations.dialled import settings_of
from cfair.mitigations.plans import Plan, check_plan, plans
from cfair.mitigations.registered import MITIGATIONS

__all__ = [
    "MITIGATIONS",
    "Asked",
    "Constrained",
    "Mitigation",
    "Plan",
    "Rows",
    "Stage",
    "Trained",
    "check_head",
    "check_plan",
    "constrain",
    "decided",
    "group_names",
    "plans",
    "settings_of",
    "trained_in",
]
