"""A run: what was declared, learned and found, in memory and in a folder of YAML, JSON and safetensors. No pickle."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import Tensor, nn

from cfair.auditing import Report
from cfair.data import read_table
from cfair.errors import QueryError, SpecError, StoreError, nearest
from cfair.interfaces import Predictor
from cfair.predictors import PREDICTORS
from cfair.scm import SCM
from cfair.spec import ModelSpec, dump_spec, load_spec

__all__ = ["Run", "check_target", "load", "save"]

FORMAT, SCHEMA = "cfair run", 1
MANIFEST = "manifest.json"
REQUIRED = ("dag.yaml", "report.json", "scm.safetensors")  # beside one file of tensors for each predictor


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A learned SCM, predictors fitted on the same people, and their audit on others.

    Args:
        scm: learned on the training rows.
        predictors: name -> predictor, fitted on the training rows.
        report: the audit on the test rows.
        head: the head that was asked for.
    """

    scm: SCM
    predictors: Mapping[str, Predictor]
    report: Report
    head: str

    @property
    def spec(self) -> ModelSpec:
        """The declared model."""
        return self.scm.spec

    def predict(self, table: pd.DataFrame | str | Path, predictor: str = "latent") -> pd.Series:
        """Predictions for new people, in the order and with the index of ``table``.

        Args:
            table: a DataFrame, a file, or the name of a built-in table; it needs the predictor's ``needs`` only.
            predictor: one of the run's.

        Returns:
            A series named ``prediction``: the value of a real outcome, the probability of a binary one's second level.

        Raises:
            QueryError: the run has no such predictor.
            DataError: the table does not fit the model.
        """
        if predictor not in self.predictors:
            raise QueryError("predictor", f"the run has no predictor '{predictor}'", nearest(predictor, self.predictors))
        chosen = self.predictors[predictor]
        columns = read_table(table, self.spec, require=chosen.needs)
        index = table.index if isinstance(table, pd.DataFrame) else pd.RangeIndex(columns.n, name="row")
        return pd.Series(chosen.deploy(columns, columns.n).numpy(), index=index, name="prediction")


def check_target(folder: Path) -> None:
    """Refuse a folder that a run may not replace, before any long work.

    Raises:
        StoreError: ``folder`` is a file, or holds something that is not a run.
    """
    if folder.is_dir():
        strangers = sorted(path.name for path in folder.iterdir())
        if strangers and not (folder / MANIFEST).is_file():
            raise StoreError(str(folder), f"the folder holds '{strangers[0]}' and is not a run", "choose another folder with --out, or empty this one")
        if strangers and _manifest(folder).get("format") != FORMAT:
            raise StoreError(str(folder), "the folder is not a cfair run", "choose another folder with --out, or empty this one")
    elif folder.exists():
        raise StoreError(str(folder), "a file stands where the run's folder would", "choose another folder with --out")


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
    folder = Path(folder)
    check_target(folder)
    files = {
        "dag.yaml": dump_spec(run.spec).encode(),
        "scm.safetensors": bytes_of(_state(run.scm)),
        "report.json": json.dumps(run.report.to_json(), indent=1, ensure_ascii=False, allow_nan=False).encode(),
        **{f"{name}.safetensors": bytes_of(_state(predictor.fitted)) for name, predictor in run.predictors.items()},
        **{name: text.encode() for name, text in (texts or {}).items()},
    }
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "predictors": list(run.predictors),
        "head": run.head,
        "versions": dict(run.report.versions),
        "files": {name: sha256(content).hexdigest() for name, content in files.items()},
    }
    try:
        _write_aside(folder, {**files, MANIFEST: json.dumps(manifest, indent=1).encode()})
    except OSError as error:
        raise StoreError(str(folder), f"the run cannot be written ({error.strerror})", "choose another folder with --out") from error
    return folder


def load(folder: str | Path) -> Run:
    """The run that ``save`` wrote, with every file checked against its manifest.

    Raises:
        StoreError: the folder is missing, foreign, of another schema, damaged or truncated; the message names the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StoreError(str(folder), "there is no such folder", "give the folder that 'cfair fit' wrote")
    manifest = _manifest(folder)
    contents = {name: _checked(folder, name, digest) for name, digest in manifest["files"].items()}
    for name in (*REQUIRED, *(f"{predictor}.safetensors" for predictor in manifest["predictors"])):
        if name not in contents:
            raise StoreError(str(folder / MANIFEST), f"the manifest lists no '{name}'", "fit again: the folder is incomplete")
    try:
        scm = SCM(load_spec(folder / "dag.yaml"))
        predictors = {name: PREDICTORS[name](scm, head=manifest["head"]) for name in manifest["predictors"]}
        _restore(scm, contents["scm.safetensors"])
        for name, predictor in predictors.items():
            _restore(predictor.fitted, contents[f"{name}.safetensors"])
        report = Report.from_json(json.loads(contents["report.json"]))
    except (SpecError, QueryError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(str(folder), f"its files do not fit together ({error})", "fit again with this version of cfair") from error
    return Run(scm, predictors, report, manifest["head"])


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone().contiguous() for name, tensor in module.state_dict().items()}


def _restore(module: nn.Module, content: bytes) -> None:
    module.load_state_dict(tensors_of(content))


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run of this schema."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(str(folder), f"it has no {MANIFEST}: it is not a cfair run", "give the folder that 'cfair fit' wrote") from None
    except ValueError as error:
        raise StoreError(str(path), "the manifest is damaged: it is not JSON", "fit again, or restore the folder") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(str(path), "it is not the manifest of a cfair run", "give the folder that 'cfair fit' wrote")
    if manifest.get("schema") != SCHEMA:
        raise StoreError(str(path), f"schema {manifest.get('schema')} is not {SCHEMA}, which this version reads", "load it with the version that wrote it")
    parts = (("files", dict), ("predictors", list), ("head", str))
    if not all(isinstance(manifest.get(key), kind) for key, kind in parts):
        raise StoreError(str(path), "the manifest is damaged: a part is missing", "fit again, or restore the folder")
    return cast(dict[str, Any], manifest)


def _checked(folder: Path, name: str, digest: str) -> bytes:
    """The content of a file that the manifest lists, if it is the one that was written."""
    path = folder / name
    if Path(name).name != name:
        raise StoreError(str(folder / MANIFEST), f"it lists a file outside the folder, '{name}'", "do not use this folder: it was tampered with")
    try:
        content = path.read_bytes()
    except OSError:
        raise StoreError(str(path), "the file is missing or unreadable", "fit again, or restore the folder") from None
    if sha256(content).hexdigest() != digest:
        raise StoreError(str(path), "the file is damaged: it is not the one that was written", "fit again, or restore the folder")
    return content


def _write_aside(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write into a new folder beside ``folder``, then let it take its place; what stood there comes back if that fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        new, old = aside / "new", aside / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
