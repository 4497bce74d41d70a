"""Between which numbers a node of a counterfactual world lies, where its parents are known to lie between some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from cfair.interfaces import Mechanism, Outlined, Values
from cfair.scm import SCM

__all__ = ["Box", "boxed", "corners", "known_between"]

CORNERS = 8  # numbers at whose both ends a node is asked for: 256 corners
AT_ONCE = 250_000  # rows that a map is given at a time


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """Two numbers between which a node lies, itself among them where they are one; infinite where nothing is known.

    Args:
        low: shape (*cells, m), or one that broadcasts to it: a dimension for each coupled node, then the rows.
        high: of the same shape.
    """

    low: Tensor
    high: Tensor

    @property
    def thin(self) -> Tensor:
        """Where the value is known."""
        return self.low == self.high

    @property
    def finite(self) -> Tensor:
        """Where both ends are numbers."""
        return self.low.isfinite() & self.high.isfinite()


def known_between(scm: SCM, node: str) -> bool:
    """Whether the node moves one way only as a parent that is a number grows: its corners then tell all that is between them."""
    mechanism = scm.mechanisms[node]
    return mechanism.monotone if isinstance(mechanism, Outlined) else scm.spec.nodes[node].monotone


def boxed(scm: SCM, node: str, noise: Tensor, parents: Mapping[str, Box]) -> Box:
    """Where a node that keeps its noise lies: a function that is monotone in each argument is largest, and least, at corners of a box.

    Nothing is known where a parent with levels is not, or a parent that is a number lies between two and the node is not known between
    its corners; but for a prediction its span.

    Args:
        scm: the model.
        node: real, or a prediction.
        noise: of its rows, shape (1, m).
        parents: each (*cells, m).
    """
    mechanism, levels = scm.mechanisms[node], {parent for parent in parents if scm.spec.nodes[parent].levels}
    thick = [parent for parent, box in parents.items() if not bool(box.thin.all())]
    asked = [parent for parent in thick if parent not in levels][: CORNERS if known_between(scm, node) else 0]
    sure = torch.ones(1, dtype=torch.bool)
    for parent in thick:
        sure = sure & (parents[parent].finite if parent in asked else parents[parent].thin)
    found = [_asked(mechanism, noise, at) for at in corners(parents, asked)]
    low, high = (torch.stack(found).amin(0), torch.stack(found).amax(0)) if len(found) > 1 else (found[0], found[0])
    least, most = mechanism.span if isinstance(mechanism, Outlined) else (-torch.inf, torch.inf)
    return Box(torch.where(sure, low, least), torch.where(sure, high, most))


def corners(parents: Mapping[str, Box], asked: Sequence[str]) -> list[dict[str, Tensor]]:
    """The parents' values at each corner of the boxes of those ``asked``, the others at their lower ends; 0 for infinity."""
    low, high = ({parent: torch.where(box.finite, end, 0.0) for parent, box, end in _ends(parents, which)} for which in ("low", "high"))
    found = []
    for upper in product((False, True), repeat=len(asked)):
        ups = {parent for parent, up in zip(asked, upper, strict=True) if up}
        found.append({parent: high[parent] if parent in ups else low[parent] for parent in parents})
    return found


def _ends(parents: Mapping[str, Box], which: str) -> list[tuple[str, Box, Tensor]]:
    return [(parent, box, box.low if which == "low" else box.high) for parent, box in parents.items()]


def _asked(mechanism: Mechanism, noise: Tensor, parents: Values) -> Tensor:
    """The node's values, of the shape to which the parents broadcast."""
    shape = torch.broadcast_shapes(noise.shape, *(value.shape for value in parents.values()))
    flat = {parent: value.expand(shape).reshape(1, -1).split(AT_ONCE, 1) for parent, value in parents.items()}
    parts = enumerate(noise.expand(shape).reshape(1, -1).split(AT_ONCE, 1))
    with torch.no_grad():
        values = [mechanism.value(part, {parent: every[k] for parent, every in flat.items()}).expand(part.shape) for k, part in parts]
    return torch.cat(values, 1).reshape(shape)
