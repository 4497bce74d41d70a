"""The public surface is a decision."""

import ast
import tomllib
from pathlib import Path

import pytest

import cfair

PACKAGE = Path(cfair.__file__).parent
NAMES = """
CONSTRAINTS HEADS METRICS PREDICTORS SCM Calibration CfairError CodeError Columns DataError Decomposition Diagnosis Explanation External
FitError LeakageError ModelSpec Moments Options Prediction QueryError Report Run SpecError StoreError Uncertainty World __version__ abduct
audit calibrate counterfactual decompose diagnose explain fit groups learn load load_spec posterior read_table simulate
"""


def test_the_front_door_is_this_and_no_wider() -> None:
    assert cfair.__all__ == NAMES.split()
    assert dir(cfair) == sorted(cfair.__all__)


@pytest.mark.parametrize("name", cfair.__all__)
def test_every_public_name_leads_somewhere(name: str) -> None:
    assert getattr(cfair, name) is not None


def test_no_public_name_hides_a_file_or_a_folder() -> None:
    assert not set(cfair.__all__) & {path.stem for path in PACKAGE.iterdir()}


def test_readers_and_the_interpreter_are_told_the_same_homes() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cfair.")]
    assert {node.module: tuple(alias.name for alias in node.names) for node in imports} == cfair._ROOMS
    assert sorted(name for names in cfair._ROOMS.values() for name in names) == sorted(set(cfair.__all__) - {"__version__"})


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'abdct'"):
        cfair.abdct  # noqa: B018


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    assert cfair.__version__ == project["version"]
