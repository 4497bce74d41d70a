"""Where in a declaration something stands: a line of a file, or an attribute of a graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

__all__ = ["FilePlaces", "GraphPlaces", "NamePlaces", "Path", "Places", "dotted"]

Path = tuple[str | int, ...]  # ("nodes", "lsat", "parents", 2)
_LONGEST = 60  # characters of a key in a message


class Places(Protocol):
    """Says where a path of keys and positions is written."""

    def where(self, path: Path) -> str:
        """The place, in a reader's words."""
        ...

    def line(self, path: Path) -> int:
        """Its line, counted from 1; 0 where there are no lines."""
        ...


@dataclass(frozen=True, slots=True)
class FilePlaces:
    """Places in a file: ``dag.yaml:12, nodes.lsat.parents[2]``."""

    name: str
    lines: Mapping[Path, int]

    def where(self, path: Path) -> str:
        """The place, in a reader's words."""
        return ", ".join(filter(None, (f"{self.name}:{self.line(path)}", dotted(path))))

    def line(self, path: Path) -> int:
        """The line of the nearest part of ``path`` that the file has."""
        return next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), self.lines.get((), 1))


@dataclass(frozen=True, slots=True)
class GraphPlaces:
    """Places in a ``networkx.DiGraph``: ``graph node 'lsat', parents[2]``."""

    def where(self, path: Path) -> str:
        """The place, in a reader's words."""
        if path[:1] == ("nodes",) and len(path) > 1:
            return ", ".join(filter(None, (f"graph node '{path[1]}'", dotted(path[2:]))))
        return f"graph attribute {dotted(path)}" if path else "graph"

    def line(self, path: Path) -> int:
        """0: there are no lines."""
        return 0


@dataclass(frozen=True, slots=True)
class NamePlaces:
    """Places in a declaration made in Python: ``nodes.lsat.parents[2]``."""

    def where(self, path: Path) -> str:
        """The place, in a reader's words."""
        return dotted(path) or "ModelSpec"

    def line(self, path: Path) -> int:
        """0: there are no lines."""
        return 0


def dotted(path: Path) -> str:
    """``nodes.lsat.parents[2]`` for ``("nodes", "lsat", "parents", 2)``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_legible(step)}" for step in path).removeprefix(".")


def _legible(key: str) -> str:
    """``key`` on one line, and not all of an endless one."""
    shown = key if key.isprintable() else ascii(key)[1:-1]
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
