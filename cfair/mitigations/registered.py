"""How a group constraint is trained in, by the name used on the command line."""

from cfair.mitigations.base import Mitigation
from cfair.registry import Registry

__all__ = ["MITIGATIONS"]

MITIGATIONS: Registry[Mitigation] = Registry(
    "mitigation",
    penalty="cfair.mitigations.penalty:penalty",
    lagrangian="cfair.mitigations.lagrangian:lagrangian",
    adversarial="cfair.mitigations.adversarial:adversarial",
    gradient_reversal="cfair.mitigations.adversarial:gradient_reversal",
    lottery="cfair.mitigations.lottery:lottery",
    reduction="cfair.mitigations.reduction:reduction",
    grid_search="cfair.mitigations.reduction:grid_search",
    threshold="cfair.mitigations.threshold:threshold",
    reweighing="cfair.mitigations.reweighing:reweighing",
    recalibration="cfair.mitigations.recalibration:recalibration",
)
