"""Names for what is added to a model."""

from collections.abc import Collection

__all__ = ["unlike"]


def unlike(names: Collection[str], name: str) -> str:
    """``name``, with as many underscores after it as tell it from all ``names``: a node, too, may be called so."""
    return unlike(names, f"{name}_") if name in names else name
