"""A mechanism of the user's own, ``{python: "my_module:MyFamily"}``: found, and its kind read without running it where that can be.

Its module is looked for beside the dag.yaml first, then on ``sys.path``.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TypeGuard, cast, get_args

from cfair.errors import CodeError, nearest
from cfair.families import Family, Kind, OptionValue
from cfair.spec.frozen import Frozen
from cfair.spec.own_code import run_class
from cfair.spec.places import Places
from cfair.spec.scalars import Plain, described, mistake

__all__ = ["OwnFamily", "admitted", "own_node", "taken_apart"]

PYTHON, DIGEST = "python", "sha256"  # keys of the mapping that are not options
KINDS: tuple[Kind, ...] = get_args(Kind)

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class OwnFamily:
    """A class that fills the Mechanism protocol, in a module of the user's own.

    Args:
        reference: ``"module:Class"``.
        kind: of its nodes' values, as the class says.
        sha256: of the module's source.
        path: where that was read; no part of what two declarations are compared by.
    """

    reference: str
    kind: Kind
    sha256: str
    path: str = field(compare=False)

    @property
    def family(self) -> Family:
        """What may be said of its nodes: options of any name; nothing is fixed, and no latent is one of them or their parent."""
        said = f"of {self.reference}: by code of the user's own"
        return Family(self.kind, self.reference, couplings=(), latent_parents=False, shape=said)


def admitted(declared: Mapping[str, object], places: Places, *, allow_python: bool, folder: Path | None = None) -> dict[str, object]:
    """The declaration with each ``python: "module:Class"`` found, which only someone who trusts the code may ask for.

    Args:
        declared: as a file or a graph has it.
        places: where its parts stand.
        allow_python: whether the code may run.
        folder: where the dag.yaml is.

    Raises:
        CodeError: it may not run, is not found, is not what ``sha256:`` says, or says no kind.
    """
    nodes = declared.get("nodes")
    if not isinstance(nodes, Mapping):
        return dict(declared)
    found = dict(nodes)
    for name, node in _own(nodes):
        mechanism = cast("Mapping[str, object]", node["mechanism"])
        where = places.where(("nodes", name, "mechanism", PYTHON))
        if not allow_python:
            raise CodeError(where, *_untrusted(mechanism[PYTHON]))
        found[name] = {**node, "mechanism": {**mechanism, PYTHON: _found(mechanism, where, folder)}}
    return {**declared, "nodes": found}


def own_node(node: object) -> TypeGuard[Mapping[str, object]]:
    """Whether a node's mechanism is the user's own."""
    mechanism = node.get("mechanism") if isinstance(node, Mapping) else None
    return isinstance(mechanism, Mapping) and PYTHON in mechanism


def taken_apart(node: Mapping[str, object]) -> dict[str, object]:
    """What is said of a node, with ``mechanism: {python: found, option: value}`` taken apart into the fields of a NodeSpec."""
    mechanism = cast("Mapping[str, object]", node["mechanism"])
    own = mechanism[PYTHON]
    if not isinstance(own, OwnFamily):
        raise mistake(*_untrusted(own), "mechanism", PYTHON)
    if "family" in mechanism:
        raise mistake("both a family and code of the user's own are named", "keep one of 'family' and 'python'", "mechanism", "family")
    options = {str(name): _value(value, str(name)) for name, value in mechanism.items() if name not in (PYTHON, DIGEST)}
    return {**node, "mechanism": own.reference, "own": own, "options": Frozen(options)}


def _own(nodes: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    return ((str(name), node) for name, node in nodes.items() if own_node(node))


def _untrusted(reference: object) -> tuple[str, str]:
    problem = f"{described(reference)} is code of the user's own, and nobody has allowed it to run"
    return problem, "if you trust it, pass --allow-python, or allow_python=True in Python"


def _found(mechanism: Mapping[str, object], where: str, folder: Path | None) -> OwnFamily:
    """The class that a mapping refers to."""
    reference, digest = mechanism[PYTHON], mechanism.get(DIGEST)
    if isinstance(reference, OwnFamily):
        return reference
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise CodeError(where, f"{described(reference)} names no class", 'write "module:Class", as in "my_module:MyFamily"')
    path = _source(reference.partition(":")[0], where, folder)
    source = path.read_bytes()
    own = sha256(source).hexdigest()
    if digest is not None and str(digest) != own:
        problem = f"{path} is not the code that was declared: its sha256 is {own[:12]}..., not {str(digest)[:12]}..."
        raise CodeError(where, problem, "bring that code back, or fit again with this one (leave 'sha256' out of a dag.yaml)")
    return OwnFamily(str(reference), _kind(str(reference), source, path, where), own, str(path))


def _source(module: str, where: str, folder: Path | None) -> Path:
    """The file of a module: beside the dag.yaml, or on ``sys.path``."""
    beside = folder / f"{module}.py" if folder is not None and "." not in module else None
    if beside is not None and beside.is_file():
        return beside.resolve()
    try:
        found = find_spec(module)
    except (ImportError, ValueError, AttributeError) as error:
        raise CodeError(where, f"the module '{module}' cannot be found ({error})", _place(beside)) from error
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        raise CodeError(where, f"there is no module '{module}'" if found is None else f"'{module}' is no Python file", _place(beside))
    return Path(found.origin)


def _place(beside: Path | None) -> str:
    first = f"write it to {beside}, or " if beside is not None else ""
    return f"{first}put its folder on PYTHONPATH"


def _kind(reference: str, source: bytes, path: Path, where: str) -> Kind:
    """The class's ``kind``: read from its source where it stands there, else by running the module."""
    module, _, name = reference.partition(":")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise CodeError(where, f"{path} is not Python ({error})", "mend the module") from error
    classes = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
    kind = _written(classes[name]) if name in classes else None
    if kind is None:
        found = run_class(module, name, path, where=where, mend=nearest(name, classes) if classes else "define it there")
        kind = getattr(found, "kind", None)
    if kind not in KINDS:
        raise CodeError(where, f"{name}.kind is {kind!r}", f"write 'kind = \"real\"' in the class, or another of: {', '.join(KINDS)}")
    return kind


def _written(declared: ast.ClassDef) -> object:
    """What ``kind = "real"`` or ``kind: ClassVar[Kind] = "real"`` says in a class's body; None where nothing of the sort stands there."""
    for line in declared.body:
        targets = line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        value = line.value if isinstance(line, ast.Assign | ast.AnnAssign) else None
        if any(isinstance(target, ast.Name) and target.id == "kind" for target in targets) and isinstance(value, ast.Constant):
            return value.value
    return None


def _value(value: object, name: str) -> OptionValue:
    """An option as Python has it: YAML's numbers are numbers, lists are tuples."""
    read = value.value() if isinstance(value, Plain) else value
    if isinstance(read, list | tuple):
        return cast("OptionValue", tuple(_value(each, name) for each in read))
    if not isinstance(read, bool | int | float | str):
        raise mistake(f"an option must be a number, a word or a list of them, not {described(value)}", "write one", "mechanism", name)
    return read
