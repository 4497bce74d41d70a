"""A folder of files that was written whole, and can tell whether it still is."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cfair.errors import StoreError

__all__ = ["MANIFEST", "Contents", "check_place", "check_target", "read_folder", "write_folder"]

FORMAT, SCHEMA = "cfair run", 1
MANIFEST = "manifest.json"
ELSEWHERE = "choose another folder with --out"
AGAIN = "fit again, or restore the folder"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a run's folder holds.

    Args:
        predictors: their names.
        head: that was asked for.
        versions: package -> version that wrote it.
        files: name -> bytes, without the manifest.
        plans: predictor -> which constraints are trained in and how, of those in which some are.
    """

    predictors: tuple[str, ...]
    head: str
    versions: Mapping[str, str]
    files: Mapping[str, bytes]
    plans: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def check_target(folder: Path) -> None:
    """Refuse, before any long work, a folder that a run may not replace or that cannot be made.

    Raises:
        StoreError: ``folder`` is a file, or holds something that is not part of a run, or nothing can be written there.
    """
    try:
        check_place(folder)
        found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise StoreError(str(folder), f"no run can be written there ({error.strerror})", ELSEWHERE) from error
    if found and MANIFEST not in found:
        raise StoreError(str(folder), f"the folder holds '{found[0]}' and is not a run", f"{ELSEWHERE}, or empty this one")
    listed = _manifest(folder, any_schema=True)["files"] if found else {}
    assert isinstance(listed, dict)
    for name in found:
        if name != MANIFEST and name not in listed:
            raise StoreError(str(folder / name), "is not part of the run that would be replaced", f"move it away, or {ELSEWHERE}")


def write_folder(folder: Path, contents: Contents) -> None:
    """Write ``folder`` with its manifest, whole or not at all; a run that stands there is replaced.

    Raises:
        StoreError: ``folder`` is in the way, or cannot be written.
    """
    check_target(folder)
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "predictors": list(contents.predictors),
        "head": contents.head,
        "versions": dict(contents.versions),
        "plans": dict(contents.plans),
        "files": {name: sha256(content).hexdigest() for name, content in contents.files.items()},
    }
    try:
        _write_aside(folder.resolve(), {**contents.files, MANIFEST: json.dumps(manifest, indent=1).encode()})
    except OSError as error:
        raise StoreError(
            str(folder), f"the run cannot be written ({error.strerror})", "check the disk, or choose another folder"
        ) from error


def read_folder(folder: Path) -> Contents:
    """The files that ``write_folder`` wrote, each checked against the manifest.

    Raises:
        StoreError: the folder is missing, foreign, of another schema, damaged or truncated; the message names the file.
    """
    if not folder.is_dir():
        raise StoreError(str(folder), "there is no such folder", "give the folder that 'cfair fit' wrote")
    manifest = _manifest(folder)
    files, predictors, versions = manifest["files"], manifest["predictors"], manifest["versions"]
    assert isinstance(files, dict)
    assert isinstance(predictors, list)
    assert isinstance(versions, dict)
    checked = {name: _checked(folder, name, digest) for name, digest in files.items()}
    plans = manifest.get("plans", {})
    if not isinstance(plans, dict) or not all(isinstance(plan, dict) for plan in plans.values()):
        raise StoreError(str(folder / MANIFEST), "the manifest is damaged: 'plans' is none", AGAIN)
    return Contents(tuple(map(str, predictors)), str(manifest["head"]), versions, checked, plans)


def check_place(folder: Path) -> None:
    """Refuse a place where no folder can be made.

    Raises:
        StoreError: a file stands there or above it, or nothing may be written there.
    """
    above = next(path for path in folder.absolute().parents if path.exists())
    for path in (folder, above):
        if path.exists() and not path.is_dir():
            raise StoreError(str(path), "a file stands where the run's folder would", ELSEWHERE)
    if not os.access(above, os.W_OK | os.X_OK):
        raise StoreError(str(above), "you may not write there", ELSEWHERE)


def _manifest(folder: Path, *, any_schema: bool = False) -> dict[str, object]:
    """The manifest of a run, with the parts that this version reads unless any schema will do."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(str(folder), f"it has no {MANIFEST}: it is not a cfair run", "give the folder that 'cfair fit' wrote") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(str(path), "the manifest is damaged: it cannot be read as JSON", AGAIN) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(str(path), "it is not the manifest of a cfair run", "give the folder that 'cfair fit' wrote")
    if manifest.get("schema") != SCHEMA and not any_schema:
        raise StoreError(
            str(path), f"schema {manifest.get('schema')} is not {SCHEMA}, which this version reads", "use the version that wrote it"
        )
    parts = {"files": dict} if any_schema else {"files": dict, "predictors": list, "head": str, "versions": dict}
    for part, kind in parts.items():
        if not isinstance(manifest.get(part), kind):
            raise StoreError(str(path), f"the manifest is damaged: '{part}' is missing", AGAIN)
    return manifest


def _checked(folder: Path, name: str, digest: object) -> bytes:
    """The content of a file that the manifest lists, if it is the one that was written."""
    path = folder / name
    if Path(name).name != name:
        raise StoreError(
            str(folder / MANIFEST), f"it lists a file outside the folder, '{name}'", "do not use this folder: it was tampered with"
        )
    try:
        content = path.read_bytes()
    except OSError:
        raise StoreError(str(path), "the file is missing or unreadable", AGAIN) from None
    if sha256(content).hexdigest() != digest:
        raise StoreError(str(path), "the file is damaged: it is not the one that was written", AGAIN)
    return content


def _write_aside(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write into a new folder beside ``folder``, then let it take its place; what stood there comes back whatever interrupts that."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    new, old = aside / "new", aside / "old"
    try:
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)
