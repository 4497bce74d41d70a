"""Names in one word of the command line."""

from collections.abc import Sequence

__all__ = ["names", "several"]


def names(listed: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))


def several(given: Sequence[str]) -> str | tuple[str, ...] | None:
    """One name, or those of several options of names separated by commas; None where none is given."""
    found = names(",".join(given))
    return found if len(found) > 1 else next(iter(found), None)
