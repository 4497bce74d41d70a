"""Tables written as CSV or parquet, whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from cfair.errors import QueryError, nearest

__all__ = ["check_writable", "write_table"]

WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),  # floats with as many digits as it takes to read them back
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
}


def check_writable(path: Path) -> None:
    """Refuse, before long work, a path to which ``write_table`` could not write.

    Raises:
        QueryError: another extension than .csv and .parquet, a folder, or in a folder that does not exist.
    """
    if path.suffix.lower() not in WRITERS:
        mend = nearest(path.suffix, list(WRITERS))
        raise QueryError(str(path), f"'{path.suffix}' is not a table's extension" if path.suffix else "has no extension", mend)
    if path.is_dir():
        raise QueryError(str(path), "is a folder", "name a file in it")
    if not path.parent.is_dir():
        raise QueryError(str(path), f"there is no folder '{path.parent}'", "make it first")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table by its extension, without its index, aside and then in one step, so that ``path`` never holds half of it.

    Raises:
        QueryError: the path is not one to write a table to, or writing failed.
    """
    check_writable(path)
    aside = path.with_name(f".{path.name}.part")
    try:
        WRITERS[path.suffix.lower()](frame, aside)
        aside.replace(path)
    except OSError as error:
        raise QueryError(str(path), f"cannot be written: {error.strerror}", "check the disk, and that you may write there") from error
    finally:
        aside.unlink(missing_ok=True)
