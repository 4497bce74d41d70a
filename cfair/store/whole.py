"""A folder of any files that stands whole or not at all, with a manifest of what is in it."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from cfair.errors import StoreError
from cfair.store.folder import MANIFEST, check_place

__all__ = ["check_free", "digest", "manifest_of", "written_whole"]

AT_ONCE = 1 << 20  # bytes of a file that are hashed at a time


def check_free(folder: Path, kind: str) -> None:
    """Refuse, before long work, a folder that may not be written: one that holds anything but an older one of this ``kind``.

    Raises:
        StoreError: it holds something else, or cannot be made.
    """
    check_place(folder)
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if not found:
        return
    listed = manifest_of(folder, kind)["files"] if MANIFEST in found else {}
    for name in found:
        if name != MANIFEST and (not isinstance(listed, dict) or name not in listed):
            problem = f"the folder holds '{name}', which is no part of a folder of {kind}"
            raise StoreError(str(folder), problem, "choose another folder with --out, or empty this one")


@contextmanager
def written_whole(folder: Path, kind: str, said: Mapping[str, object]) -> Iterator[Path]:
    """A new folder to write files into, which takes the place of ``folder`` with its manifest once all is written.

    Args:
        folder: where it will stand; an older one of this kind there is replaced.
        kind: of the folder, as the manifest says.
        said: what else the manifest says, read once all is written.

    Raises:
        StoreError: ``folder`` is in the way, or cannot be written.
    """
    check_free(folder, kind)
    folder = folder.resolve()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise StoreError(str(folder), f"it cannot be written ({error.strerror})", "choose another folder with --out") from error
    new, old = aside / "new", aside / "old"
    try:
        new.mkdir()
        yield new
        files = {path.name: digest(path) for path in sorted(new.iterdir())}
        manifest = {"format": kind, "schema": 1, **said, "files": files}
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except OSError as error:
        raise StoreError(str(folder), f"it cannot be written ({error.strerror})", "check the disk, or choose another folder") from error
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)


def manifest_of(folder: Path, kind: str) -> dict[str, object]:
    """What the manifest of a folder of this ``kind`` says.

    Raises:
        StoreError: there is no such folder or manifest, it is damaged, or of another kind or schema.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(str(folder), f"it has no {MANIFEST}: it is no folder of {kind}", f"give one of {kind}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(str(path), "the manifest is damaged: it cannot be read as JSON", "write the folder again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != kind:
        raise StoreError(str(path), f"it is not the manifest of a folder of {kind}", f"give one of {kind}")
    if manifest.get("schema") != 1 or not isinstance(manifest.get("files"), dict):
        raise StoreError(str(path), "the manifest is damaged, or of another version", "write the folder again with this version")
    return manifest


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    found = sha256()
    with path.open("rb") as file:
        while block := file.read(AT_ONCE):
            found.update(block)
    return found.hexdigest()
