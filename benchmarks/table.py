"""How a benchmark shows what it found: one table, then one line of JSON."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

__all__ = ["show", "versions"]


def show(header: Sequence[str], rows: Sequence[Sequence[str]], result: Mapping[str, object]) -> None:
    """Print the table, its first column to the left and the others to the right; then ``result``, which has a key ``ratios``."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        first, *others = (
            text.ljust(width) if i == 0 else text.rjust(width) for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join((first, *others)))
    print(json.dumps(result))


def versions(*packages: str) -> dict[str, str]:
    """Package -> installed version; packages that are not installed are left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
