"""A table from name to object, each imported when first used."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from cfair.errors import QueryError, nearest

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Names and the objects they stand for, written as ``"module:attribute"`` so that a slow library waits until it is asked for.

    Args:
        noun: what the names name, for the message when one is misspelt.
        entries: name -> ``"module:attribute"``.
    """

    def __init__(self, noun: str, **entries: str) -> None:
        self._noun, self._entries = noun, entries

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise QueryError(where=self._noun, problem=f"'{name}' is not a known {self._noun}", mend=nearest(name, self._entries))
        module, attribute = self._entries[name].split(":")
        return cast("T", getattr(import_module(module), attribute))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
