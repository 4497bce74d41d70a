"""What ``do`` says: coded values for everyone, and a world's name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from cfair.errors import QueryError, nearest
from cfair.spec import ModelSpec

__all__ = ["Setting", "coded", "label"]

UNTOUCHED = ("factual", "simulated")  # labels of worlds in which nothing was done

Setting: TypeAlias = str | float | Tensor | Sequence[str]  # a level's name, a number, coded values, or a level's name per person


def coded(spec: ModelSpec, node: str, setting: Setting, shape: tuple[int, int]) -> Tensor:
    """What ``do`` says, as values of shape (draws, n)."""
    if node not in spec.nodes:
        raise QueryError("do", f"'{node}' is not a node", nearest(node, spec.nodes))
    if isinstance(setting, Tensor):
        return _checked(spec, node, setting.detach().to(torch.float64), shape)
    levels = spec.nodes[node].levels
    if isinstance(setting, Iterable) and not isinstance(setting, str):
        return _checked(spec, node, torch.tensor([float(spec.level(node, text)) for text in setting], dtype=torch.float64), shape)
    if levels:
        return torch.tensor(float(spec.level(node, setting)), dtype=torch.float64).expand(shape)
    if isinstance(setting, str):
        raise QueryError("do", f"'{node}' is a number, and '{setting}' is a level's name", f"give a number, as {{'{node}': 1.0}}")
    return _checked(spec, node, torch.tensor(float(setting), dtype=torch.float64), shape)


def _checked(spec: ModelSpec, node: str, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """Coded values as (draws, n), once they are known to be values that the node can have."""
    if values.shape not in ((), (shape[1],), (1, shape[1]), shape):
        raise QueryError("do", f"values of '{node}' have shape {tuple(values.shape)}", f"give one value, or shape ({shape[1]},) or {shape}")
    levels = spec.nodes[node].levels
    if not values.isfinite().all():
        raise QueryError("do", f"a value of '{node}' is not finite", "give finite numbers")
    if levels and not ((values >= 0) & (values < len(levels)) & (values == values.floor())).all():
        raise QueryError("do", f"a value of '{node}' is not the index of a level", f"give whole numbers from 0 to {len(levels) - 1}")
    if spec.nodes[node].kind == "count" and not ((values >= 0) & (values == values.floor())).all():
        raise QueryError("do", f"a value of '{node}' is not a count", "give whole numbers from 0")
    return values.expand(shape)


def label(spec: ModelSpec, before: str, do: Mapping[str, Setting]) -> str:
    """``race=Black,sex=female``: what was done, in the spec's order, after what had been done ``before``."""
    done = [f"{node}={_text(spec, node, do[node])}" for node in spec.nodes if node in do]
    return ",".join(done if done and before in UNTOUCHED else [before, *done])


def _text(spec: ModelSpec, node: str, setting: Setting) -> str:
    """A level's name, or a number; a tensor and a sequence say something else of each person."""
    if isinstance(setting, Iterable) and not isinstance(setting, str):
        return "(per person)"
    levels = spec.nodes[node].levels
    return levels[spec.level(node, setting)] if levels else f"{setting:g}"
