"""A mapping whose values are computed when first read."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

__all__ = ["Lazy"]

T = TypeVar("T")


class Lazy(Mapping[str, T], Generic[T]):
    """Named values, each a pure function of nothing, called once when first read and kept.

    A predictor reads two of a world's nodes, a counterfactual the noise of a few: what nobody reads costs nothing.

    Args:
        thunks: name -> function that computes its value; a thunk may read the other names of the same mapping.
    """

    def __init__(self, thunks: Mapping[str, Callable[[], T]]) -> None:
        self._thunks, self._made = thunks, dict[str, T]()

    def __getitem__(self, name: str) -> T:
        if name not in self._made:
            self._made[name] = self._thunks[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._thunks

    def __iter__(self) -> Iterator[str]:
        return iter(self._thunks)

    def __len__(self) -> int:
        return len(self._thunks)
