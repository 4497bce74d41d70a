"""Declared levels that no row has from which a model is learned."""

import torch

from cfair.interfaces import Columns
from cfair.spec import ModelSpec

__all__ = ["unseen_levels"]


def unseen_levels(spec: ModelSpec, columns: Columns) -> dict[str, tuple[str, ...]]:
    """Observed node -> its levels that nobody has, in their order; nodes all of whose levels somebody has are left out."""
    found = {}
    for node in spec.observed:
        levels = spec.nodes[node].levels
        if levels and node in columns:
            people = torch.bincount(columns.known(node).long(), minlength=len(levels)).tolist()
            found[node] = tuple(level for level, count in zip(levels, people, strict=True) if not count)
    return {node: levels for node, levels in found.items() if levels}
