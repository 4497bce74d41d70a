"""Counterfactual fairness with structural causal models: declare, learn, abduct, predict, audit.

Each name is imported when first used, so that ``import cfair`` and the command line start at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cfair.auditing import External, Report, audit
    from cfair.calibration import Calibration, calibrate
    from cfair.constraints import CONSTRAINTS
    from cfair.data import read_table
    from cfair.diagnosis import Diagnosis, diagnose
    from cfair.effects import Decomposition, Prediction, decompose
    from cfair.errors import CfairError, CodeError, DataError, FitError, LeakageError, QueryError, SpecError, StoreError
    from cfair.explaining import Explanation, explain
    from cfair.heads import HEADS
    from cfair.inference import abduct, learn, posterior
    from cfair.interfaces import Columns, Moments, World
    from cfair.metrics import METRICS
    from cfair.pipeline import Options, fit
    from cfair.predictors import PREDICTORS
    from cfair.scm import SCM
    from cfair.spec import ModelSpec, load_spec
    from cfair.store import Run, load
    from cfair.surveying import groups
    from cfair.uncertainty import Uncertainty
    from cfair.worlds import counterfactual, simulate

__all__ = [
    "CONSTRAINTS",
    "HEADS",
    "METRICS",
    "PREDICTORS",
    "SCM",
    "Calibration",
    "CfairError",
    "CodeError",
    "Columns",
    "DataError",
    "Decomposition",
    "Diagnosis",
    "Explanation",
    "External",
    "FitError",
    "LeakageError",
    "ModelSpec",
    "Moments",
    "Options",
    "Prediction",
    "QueryError",
    "Report",
    "Run",
    "SpecError",
    "StoreError",
    "Uncertainty",
    "World",
    "__version__",
    "abduct",
    "audit",
    "calibrate",
    "counterfactual",
    "decompose",
    "diagnose",
    "explain",
    "fit",
    "groups",
    "learn",
    "load",
    "load_spec",
    "posterior",
    "read_table",
    "simulate",
]

__version__ = "0.1.0"

_ROOMS = {
    "cfair.auditing": ("External", "Report", "audit"),
    "cfair.calibration": ("Calibration", "calibrate"),
    "cfair.constraints": ("CONSTRAINTS",),
    "cfair.data": ("read_table",),
    "cfair.diagnosis": ("Diagnosis", "diagnose"),
    "cfair.effects": ("Decomposition", "Prediction", "decompose"),
    "cfair.errors": ("CfairError", "CodeError", "DataError", "FitError", "LeakageError", "QueryError", "SpecError", "StoreError"),
    "cfair.explaining": ("Explanation", "explain"),
    "cfair.heads": ("HEADS",),
    "cfair.inference": ("abduct", "learn", "posterior"),
    "cfair.interfaces": ("Columns", "Moments", "World"),
    "cfair.metrics": ("METRICS",),
    "cfair.pipeline": ("Options", "fit"),
    "cfair.predictors": ("PREDICTORS",),
    "cfair.scm": ("SCM",),
    "cfair.spec": ("ModelSpec", "load_spec"),
    "cfair.store": ("Run", "load"),
    "cfair.surveying": ("groups",),
    "cfair.uncertainty": ("Uncertainty",),
    "cfair.worlds": ("counterfactual", "simulate"),
}


def __getattr__(name: str) -> object:
    """A public name, from its room."""
    room = next((room for room, names in _ROOMS.items() if name in names), None)
    if room is None:
        raise AttributeError(f"module 'cfair' has no attribute '{name}'")
    return getattr(import_module(room), name)


def __dir__() -> list[str]:
    return __all__
