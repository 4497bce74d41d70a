"""A run to its folder and back: every tensor bit for bit."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import cast

from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import nn

from cfair.auditing import Report
from cfair.errors import CodeError, QueryError, SpecError, StoreError
from cfair.interfaces import Predictor
from cfair.mitigations import Constrained, Plan
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import ModelSpec, dump_spec, read_spec
from cfair.store.folder import MANIFEST, Contents, read_folder, write_folder
from cfair.store.run import Run

__all__ = ["load", "save"]

DAG, REPORT, MODEL = "dag.yaml", "report.json", "scm.safetensors"


def save(run: Run, folder: str | Path, *, texts: Mapping[str, str] | None = None) -> Path:
    """Write a run as a folder, whole or not at all; a run that stands there is replaced.

    Args:
        run: to be written.
        folder: where; its parents are made.
        texts: further files, name -> text, as ``report.md``.

    Returns:
        The folder.

    Raises:
        StoreError: ``folder`` is in the way, or cannot be written.
    """
    if not run.scm.is_declared:
        problem = "its model has mechanisms that dag.yaml does not declare, such as those of a Pyro model, and a folder cannot keep them"
        raise StoreError(str(folder), problem, "learn the declared model, or declare them as {python: module:Class}")
    files = {
        DAG: dump_spec(run.spec).encode(),
        MODEL: _bytes(run.scm),
        REPORT: json.dumps(run.report.to_json(), indent=1, ensure_ascii=False, allow_nan=False).encode(),
        **{_file(name): _bytes(predictor.fitted) for name, predictor in run.predictors.items()},
        **_own_sources(run.spec),
        **{name: text.encode() for name, text in (texts or {}).items()},
    }
    plans = {name: each.plan.to_json() for name, each in run.predictors.items() if isinstance(each, Constrained)}
    write_folder(Path(folder), Contents(tuple(run.predictors), run.head, run.report.versions, files, plans))
    return Path(folder)


def load(folder: str | Path, *, allow_python: bool = False) -> Run:
    """The run that ``save`` wrote, with every file checked against its manifest.

    A run whose model has mechanisms of the user's own keeps their modules' source, and runs that.

    Args:
        folder: of the run.
        allow_python: whether such mechanisms may run their code.

    Raises:
        CodeError: the model has such mechanisms, and they are not allowed, cannot be had, or are not the code that was fitted.
        StoreError: the folder is missing, foreign, of another schema, damaged or truncated; the message names the file.
    """
    folder = Path(folder)
    contents = read_folder(folder)
    for name in (DAG, MODEL, REPORT, *map(_file, contents.predictors)):
        if name not in contents.files:
            raise StoreError(str(folder / MANIFEST), f"the manifest lists no '{name}'", "fit again: the folder is incomplete")
    with _reading(folder / DAG):
        spec = read_spec(contents.files[DAG].decode(), name=str(folder / DAG), allow_python=allow_python, folder=folder)
    with _reading(folder / MODEL):
        scm = SCM.restored(spec, tensors_of(contents.files[MODEL]))
    predictors = {}
    for name in contents.predictors:
        with _reading(folder / _file(name)):
            predictors[name] = _restored(scm, name, contents)
    with _reading(folder / REPORT):
        report = Report.from_json(json.loads(contents.files[REPORT]))
        scm.unseen = cast("dict[str, list[str]]", report.data.get("unseen_levels", {}))
    return Run(scm, predictors, report, contents.head)


def _own_sources(spec: ModelSpec) -> dict[str, bytes]:
    """Name -> source of each module of the user's own that is one file; what lies in a package is found on ``sys.path`` again.

    Raises:
        CodeError: the file is no longer the one that was run.
    """
    sources = {}
    for node in spec.nodes.values():
        if node.own is not None and "." not in (module := node.own.reference.partition(":")[0]):
            source = Path(node.own.path).read_bytes()
            if sha256(source).hexdigest() != node.own.sha256:
                raise CodeError(node.own.path, "the file has changed since the model was read", "fit again")
            sources[f"{module}.py"] = source
    return sources


def _file(predictor: str) -> str:
    """Where a predictor's tensors are."""
    return f"{predictor}.safetensors"


def _bytes(module: nn.Module) -> bytes:
    return bytes_of({name: tensor.detach().clone().contiguous() for name, tensor in module.state_dict().items()})


def _restored(scm: SCM, name: str, contents: Contents) -> Predictor:
    """A predictor of a run, with what it learned."""
    state = tensors_of(contents.files[_file(name)])
    if name in contents.plans:
        constrained = Constrained(scm, Plan.from_json(contents.plans[name]), head=contents.head)
        constrained.restore(state)
        return constrained
    predictor = PREDICTORS[name](scm, head=contents.head)
    predictor.fitted.load_state_dict(state)
    return predictor


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """A file that is as it was written, and yet does not fit the others or this version, is refused by name."""
    try:
        yield
    except (SpecError, QueryError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise StoreError(str(path), f"it does not fit the rest of the run ({said})", "fit again with this version of cfair") from error
