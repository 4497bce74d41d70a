"""A run: what was declared, learned and found, in memory and in a folder of YAML, JSON and safetensors. No pickle."""

from cfair.store.folder import check_target
from cfair.store.handed import audit_worlds
from cfair.store.handing import write_worlds
from cfair.store.parts import parts
from cfair.store.run import Run
from cfair.store.saving import load, save

__all__ = ["Run", "audit_worlds", "check_target", "load", "parts", "save", "write_worlds"]
