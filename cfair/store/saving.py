"""A run to its folder and back: every tensor bit for bit."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import nn

from cfair.auditing import Report
from cfair.errors import QueryError, SpecError, StoreError
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import dump_spec, read_spec
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
    files = {
        DAG: dump_spec(run.spec).encode(),
        MODEL: _bytes(run.scm),
        REPORT: json.dumps(run.report.to_json(), indent=1, ensure_ascii=False, allow_nan=False).encode(),
        **{_file(name): _bytes(predictor.fitted) for name, predictor in run.predictors.items()},
        **{name: text.encode() for name, text in (texts or {}).items()},
    }
    write_folder(Path(folder), Contents(tuple(run.predictors), run.head, run.report.versions, files))
    return Path(folder)


def load(folder: str | Path) -> Run:
    """The run that ``save`` wrote, with every file checked against its manifest.

    Raises:
        StoreError: the folder is missing, foreign, of another schema, damaged or truncated; the message names the file.
    """
    folder = Path(folder)
    contents = read_folder(folder)
    for name in (DAG, MODEL, REPORT, *map(_file, contents.predictors)):
        if name not in contents.files:
            raise StoreError(str(folder / MANIFEST), f"the manifest lists no '{name}'", "fit again: the folder is incomplete")
    with _reading(folder / DAG):
        scm = SCM(read_spec(contents.files[DAG].decode(), name=str(folder / DAG)))
    with _reading(folder / MODEL):
        _restore(scm, contents.files[MODEL])
    predictors = {}
    for name in contents.predictors:
        with _reading(folder / _file(name)):
            predictors[name] = PREDICTORS[name](scm, head=contents.head)
            _restore(predictors[name].fitted, contents.files[_file(name)])
    with _reading(folder / REPORT):
        report = Report.from_json(json.loads(contents.files[REPORT]))
    return Run(scm, predictors, report, contents.head)


def _file(predictor: str) -> str:
    """Where a predictor's tensors are."""
    return f"{predictor}.safetensors"


def _bytes(module: nn.Module) -> bytes:
    return bytes_of({name: tensor.detach().clone().contiguous() for name, tensor in module.state_dict().items()})


def _restore(module: nn.Module, content: bytes) -> None:
    module.load_state_dict(tensors_of(content))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """A file that is as it was written, and yet does not fit the others or this version, is refused by name."""
    try:
        yield
    except (SpecError, QueryError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise StoreError(str(path), f"it does not fit the rest of the run ({said})", "fit again with this version of cfair") from error
