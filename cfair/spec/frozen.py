"""Mappings and records that nobody changes."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

__all__ = ["Frozen", "Record"]

V = TypeVar("V", covariant=True)


class Frozen(Mapping[str, V], Generic[V]):
    """Named values in a declared order, which counts when two are compared; unlike ``MappingProxyType`` it hashes, copies and pickles."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, V]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> V:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return tuple(self.items()) == tuple(other.items()) if isinstance(other, Mapping) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        return repr(self._values)


class Record(BaseModel):
    """A part of a declaration: frozen, and every key known."""

    model_config = ConfigDict(frozen=True, extra="forbid")
