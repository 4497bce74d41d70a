"""Names in one word of the command line."""

__all__ = ["names"]


def names(listed: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
