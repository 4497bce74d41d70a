"""How a node gets its value from its parents and its noise, one family per file."""

from cfair.mechanisms.base import MECHANISMS, build, log_prior
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import LinearPredictor
from cfair.mechanisms.terms import Parent, Unit

__all__ = ["MECHANISMS", "Indexed", "LinearPredictor", "Parent", "Unit", "build", "log_prior"]
