"""The house: imports go down, and the wheel carries what it should."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = {"adult", "berkeley", "compas", "crime", "german", "law_school", "stop_and_frisk"}


def test_imports_keep_their_contracts() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_no_junk_drawer() -> None:
    names = {path.stem for path in (ROOT / "cfair").rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "misc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    script = f"from hatchling.build import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


def test_the_wheel_has_every_module_and_its_types(wheel: set[str]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "cfair").rglob("*.py")}
    assert modules | {"cfair/py.typed"} <= wheel


def test_the_wheel_has_the_tables_and_their_sources(wheel: set[str]) -> None:
    assert {f"cfair/data/builtin/{name}.parquet" for name in TABLES} | {"cfair/data/builtin/README.md"} <= wheel


def test_the_wheel_has_every_declared_model(wheel: set[str]) -> None:
    declared = {path.name for path in (ROOT / "models").iterdir() if path.is_dir()}
    assert {"law_school", "law_school_gaussian"} <= declared
    assert {f"cfair/models/{name}/{file}" for name in declared for file in ("dag.yaml", "README.md")} <= wheel


def test_the_wheel_has_nothing_else(wheel: set[str]) -> None:
    assert {name.split("/")[0] for name in wheel} == {"cfair", "cfair-0.1.0.dist-info"}
    assert {Path(name).suffix for name in wheel if name.startswith("cfair/")} == {".py", ".typed", ".parquet", ".md", ".yaml"}
