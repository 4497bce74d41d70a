"""Where the nodes of each row's quadrature stand, and whether the row's posterior is still around them."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from cfair.inference.summit import Summit

__all__ = ["Standing", "leaning"]

LEANED = 0.2  # posterior sds by which a mean may move from where it was when the nodes were put there: five nodes then err by 1e-12
SPREAD = math.log(1.03)  # by how much the log of a second moment may change: they then err by 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Nodes that stand around points of d latents, of n rows, or of n rows with each combination of discrete latents' levels.

    Args:
        center: of each row, shape (d, n) or (d, combinations, n); NaN where no node stands yet.
        root: the lower triangular S by which nodes are stretched, shape (d, d, n) or (d, d, combinations, n).
        lean: the posterior's moments when the nodes were put there, see ``leaning``, shape (2·d, n) or (2·d, combinations, n).
    """

    center: Tensor
    root: Tensor
    lean: Tensor

    @classmethod
    def nowhere(cls, d: int, combinations: int, n: int) -> Self:
        """Of rows without nodes."""
        shapes = (d, combinations, n), (d, d, combinations, n), (2 * d, combinations, n)
        return cls(*(torch.full(shape, torch.nan, dtype=torch.float64) for shape in shapes))

    def of(self, people: Tensor) -> "Standing":
        """Of some people, given by position (m,), with each combination of levels: combinations·m rows."""
        whole = len(people) == self.center.shape[-1] and bool((people == torch.arange(len(people))).all())
        parts = (part if whole else part[..., people] for part in (self.center, self.root, self.lean))
        return Standing(*(part.flatten(-2) for part in parts))

    @property
    def summit(self) -> Summit:
        """The points, and how nodes are stretched around them."""
        return Summit(self.center, self.root)

    @property
    def everywhere(self) -> bool:
        """Whether the nodes of every row stand somewhere."""
        return bool(self.center.isfinite().all())

    def take(self, rows: Tensor) -> "Standing":
        """Of some rows only, given by position, shape (m,), int64."""
        return Standing(self.center[..., rows], self.root[..., rows], self.lean[..., rows])

    def put(self, people: Tensor, rows: Tensor, other: "Standing") -> None:
        """Let the nodes of some rows of ``of(people)`` stand as ``other``."""
        combination, own = rows // len(people), people[rows % len(people)]
        for part, new in ((self.center, other.center), (self.root, other.root), (self.lean, other.lean)):
            part[..., combination, own] = new

    def moved(self, lean: Tensor) -> Tensor:
        """The rows, (m,), whose posterior leans otherwise than it did when the nodes were put there; those with moments that are none."""
        d = len(self.center)
        first = (lean[:d] - self.lean[:d]).abs() <= LEANED
        second = (lean[d:] / self.lean[d:]).log().abs() <= SPREAD
        return (~(first & second).all(0)).nonzero().squeeze(-1)

    def near(self, other: "Standing") -> Tensor:
        """Whether the nodes of each row stand nearly as another's, shape (n,)."""
        closer = (self.center - other.center).abs() <= LEANED * other.root.square().sum(1).sqrt()
        ratio = (self.root.diagonal(dim1=0, dim2=1) / other.root.diagonal(dim1=0, dim2=1)).log().abs() <= SPREAD / 2
        return closer.all(0) & ratio.all(-1)


def leaning(z: Tensor, weights: Tensor) -> Tensor:
    """E z and E z² of each coordinate z = S⁻¹(u − center) under weights (Q, n) of nodes at ``z``, (d, Q); shape (2·d, n)."""
    moments: Tensor = torch.cat([z, z.square()]) @ weights
    return moments
