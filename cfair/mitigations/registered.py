"""How a group constraint is trained in, by the name used on the command line."""

from cfair.mitigations.base import Mitigation
from cfair.registry import Registry

__all__ = ["MITIGATIONS"]

MITIGATIONS: Registry[Mitigation] = Registry(
    "mitigation",
    penalty="cfair.mitigations.penalty:penalty",
    lagrangian="cfair.mitigations.lagrangian:lagrangian",
    threshold="cfair.mitigations.threshold:threshold",
    reweighing="cfair.mitigations.reweighing:reweighing",
    recalibration="cfair.mitigations.recalibration:recalibration",
)
