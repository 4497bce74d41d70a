"""dag.yaml or ``networkx.DiGraph`` to a frozen declaration; a mistake has its place and its mend. Imports no torch, numpy or pandas."""

from cfair.spec.files import dump_spec, load_spec, read_spec
from cfair.spec.given import LevelParameters, Parameters, Row
from cfair.spec.model import ModelSpec
from cfair.spec.own import OwnFamily
from cfair.spec.parameters import scale_weight_names, weight_names, weight_parents
from cfair.spec.priors import InverseGamma, Normal, Prior
from cfair.spec.records import NodeSpec
from cfair.spec.scalars import level_text
from cfair.spec.schema import spec_schema
from cfair.spec.shipped import find_model, shipped_models
from cfair.spec.warnings import SpecWarning, few_indicators, spec_warnings

__all__ = [
    "InverseGamma",
    "LevelParameters",
    "ModelSpec",
    "NodeSpec",
    "Normal",
    "OwnFamily",
    "Parameters",
    "Prior",
    "Row",
    "SpecWarning",
    "dump_spec",
    "few_indicators",
    "find_model",
    "level_text",
    "load_spec",
    "read_spec",
    "scale_weight_names",
    "shipped_models",
    "spec_schema",
    "spec_warnings",
    "weight_names",
    "weight_parents",
]
