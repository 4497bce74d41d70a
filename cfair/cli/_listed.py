"""Names in one word of the command line."""

from collections.abc import Sequence

from cfair.errors import QueryError

__all__ = ["names", "several"]


def names(listed: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))


def several(given: Sequence[str]) -> str | tuple[str, ...] | None:
    """One name, or those of several options of names separated by commas; None where no option is given.

    Raises:
        QueryError: an option names nothing.
    """
    found = names(",".join(given))
    if given and not found:
        raise QueryError(f"'{given[0]}'", "it names no column", "name one, or several separated by commas")
    return found if len(found) > 1 else next(iter(found), None)
