"""The command line starts at once: by the processor's clock, and by what was imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from cfair.spec import find_model

ROOT = Path(__file__).parents[1]
SLOW = {"torch", "numpy", "pandas", "pyro", "scipy", "pyarrow", "altair"}
PROGRAM = """
import resource, sys
from cfair.cli import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(code, used.ru_utime + used.ru_stime, *sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
"""


def started(*words: str) -> tuple[int, float, set[str]]:
    """Exit code, seconds of processor time and the modules imported, of a command in a process of its own."""
    run = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True, cwd=ROOT)
    code, seconds, *modules = run.stderr.splitlines()[-1].split()
    return int(code), float(seconds), set(modules)


CHECKS = [["check", str(find_model("law_school")), "--json"], ["check", "law_school", "--explain"]]
COMMANDS = [*CHECKS, ["--help"], ["schema"], ["fit", "--help"], ["audit", "--help"], ["worlds", "--help"]]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_that_reads_no_table_starts_within_half_a_second(words: list[str]) -> None:
    for _ in range(5):  # other work on the machine only ever adds to the processor time, so the least is the truest
        code, seconds, modules = started(*words)
        assert code == 0
        assert not SLOW & modules
        if seconds < 0.5:
            return
    pytest.fail(f"{seconds:.2f} s of processor time, five times over")


MISTAKES = [["check", "law_scool"], *(["calibrate", "--dag", "law_school", *few] for few in (["--simulations", "9"], ["--rows", "1"]))]


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_imports_nothing_more(words: list[str]) -> None:
    code, _, modules = started(*words)
    assert code == 2
    assert not SLOW & modules


def test_importing_the_front_door_imports_no_room() -> None:
    program = "import sys, cfair; cfair.__version__; dir(cfair); print(*sorted(name for name in sys.modules if name.startswith('cfair.')))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.split() == []
