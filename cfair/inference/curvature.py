"""Second derivatives of a log likelihood by its parameters, from second derivatives by each row's few linear predictors.

A likelihood of p parameters depends on a row's η₀ and λ only, which are linear in them, and on scales and the like: differentiating by
these takes as many passes as a row has predictors, by the parameters themselves p.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cfair.inference.designs import Design
from cfair.inference.free import FreeParameters, Overrides
from cfair.mechanisms import Indexed, bound

__all__ = ["Given", "hessian_by_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The predictors of one node, whatever the parameters: η₀ and λ by latent, in the place of a ``Design``."""

    base: Tensor
    slopes: Mapping[int, Tensor]

    def __call__(self, mechanism: Indexed) -> tuple[Tensor, dict[int, Tensor]]:
        """η₀ and λ."""
        return self.base, dict(self.slopes)


@dataclass(frozen=True, slots=True, eq=False)
class _Leaf:
    """Something that the likelihood is differentiated by.

    Args:
        value: shape (n, outputs) of each row, or of everyone, any shape.
        jacobian: of each kind of row, (kinds, outputs, p), or of everyone, (entries, p), by the free parameters.
        place: the kind of each row, (n,); None where each is of its own. Of rows only.
        by_row: whether each row has its own.
    """

    value: Tensor
    jacobian: Tensor
    place: Tensor | None = None
    by_row: bool = False

    def of_rows(self, k: int) -> Tensor:
        """The derivative of each row's k-th output by the parameters, (n, p)."""
        own = self.jacobian[:, k]
        return own if self.place is None else own.index_select(0, self.place)

    def pulled(self, slope: Tensor) -> Tensor:
        """Σ over rows and outputs, or entries, of a slope by this leaf, of its shape, times its derivative by the parameters, (p,)."""
        if not self.by_row:
            return slope.reshape(-1) @ self.jacobian
        if self.place is not None:
            slope = torch.zeros(self.jacobian.shape[:2], dtype=torch.float64).index_add_(0, self.place, slope)
        return slope.reshape(-1) @ self.jacobian.flatten(0, 1)


def hessian_by_rows(
    likelihood: Callable[[Overrides, Mapping[str, Given]], Tensor],
    free: FreeParameters,
    theta: Tensor,
    mechanisms: Mapping[str, Indexed],
    designs: Mapping[str, Design],
) -> Tensor:
    """The second derivatives (p, p) of a sum over rows at ``theta``, (p,).

    Args:
        likelihood: of parameters, and of predictors given by node; no row's term depends on another row's predictors. Shape ().
        free: the parameters; they enter through the predictors of ``designs``, and otherwise as they are.
        theta: where.
        mechanisms: node -> mechanism.
        designs: node -> the design of its predictors in these rows.
    """
    parameters = free.unpack(theta.detach())
    unit = torch.func.vmap(free.unpack)(torch.eye(len(theta), dtype=torch.float64))
    nothing = free.unpack(torch.zeros_like(theta))
    steps = {node: {name: unit[node][name] - value for name, value in own.items()} for node, own in nothing.items()}  # (p, *shape)
    leaves, given = list[_Leaf](), dict[str, Given]()
    for node, each in designs.items():
        parts = _predictors(each, bound(mechanisms[node], parameters.get(node, {})), steps[node])
        leaves += parts
        base, *slopes = (part.value for part in parts)
        given[node] = Given(base, dict(zip(each.latents, slopes, strict=True)))
    own: dict[str, dict[str, Tensor]] = {}
    for node, values in parameters.items():
        others = [
            _Leaf(value.detach().clone().requires_grad_(), steps[node][name].reshape(len(theta), -1).T) for name, value in values.items()
        ]
        own[node] = dict(zip(values, (other.value for other in others), strict=True))
        leaves += others
    return _assembled(likelihood(own, given), leaves, len(theta))


def _predictors(each: Design, mechanism: Indexed, steps: Mapping[str, Tensor]) -> list[_Leaf]:
    """A node's predictors as leaves."""
    base, slopes = each(mechanism)
    jacobian = each.matrix @ torch.cat([steps[name].reshape(len(steps[name]), -1) for name in each.names], 1).T
    leaves = []
    for value, part, shape in zip((base, *slopes.values()), jacobian.split(each.sizes), each.shapes, strict=True):
        by_row = len(shape) > 1
        leaf = value.detach().clone().requires_grad_()
        leaves.append(_Leaf(leaf, part.reshape(*shape, -1) if by_row else part, each.place if by_row else None, by_row))
    return leaves


def _assembled(height: Tensor, leaves: Sequence[_Leaf], p: int) -> Tensor:
    """The second derivatives of ``height`` by the parameters, (p, p)."""
    slopes = torch.autograd.grad(height, [leaf.value for leaf in leaves], create_graph=True, allow_unused=True)
    moving = [(leaf, slope) for leaf, slope in zip(leaves, slopes, strict=True) if slope is not None and slope.requires_grad]
    rows, shared = [leaf for leaf, _ in moving if leaf.by_row], [leaf for leaf, _ in moving if not leaf.by_row]
    hessian = torch.zeros(p, p, dtype=torch.float64)
    for leaf, slope in moving:
        if leaf.jacobian.any():
            hessian += _between_rows(leaf, slope, rows) if leaf.by_row else _of_everyone(leaf, slope, rows, shared)
    return hessian


def _between_rows(leaf: _Leaf, slope: Tensor, rows: Sequence[_Leaf]) -> Tensor:
    """What each row's own predictors, one of them in ``leaf``, add to the second derivatives, (p, p); other rows' do not mix with them."""
    total = torch.zeros(leaf.jacobian.shape[-1], leaf.jacobian.shape[-1], dtype=torch.float64)
    for k, each in enumerate(slope.unbind(1)):
        bends = torch.autograd.grad(each.sum(), [row.value for row in rows], retain_graph=True, materialize_grads=True)
        mine = leaf.of_rows(k)
        for row, bend in zip(rows, bends, strict=True):
            for j, one in enumerate(bend.unbind(1)):
                total += mine.T @ (one.unsqueeze(1) * row.of_rows(j))
    return total


def _of_everyone(leaf: _Leaf, slope: Tensor, rows: Sequence[_Leaf], shared: Sequence[_Leaf]) -> Tensor:
    """What numbers that are everyone's add to the second derivatives, among themselves and with the rows' own, (p, p)."""
    total = torch.zeros(leaf.jacobian.shape[-1], leaf.jacobian.shape[-1], dtype=torch.float64)
    for one, step in zip(slope.reshape(-1).unbind(0), leaf.jacobian.unbind(0), strict=True):
        if step.any():
            others = [each.value for each in (*rows, *shared)]
            bends = torch.autograd.grad(one, others, retain_graph=True, materialize_grads=True)
            pulled = [each.pulled(bend) for each, bend in zip((*rows, *shared), bends, strict=True)]
            across = torch.stack([torch.zeros_like(step), *pulled[: len(rows)]]).sum(0)
            within = torch.stack(pulled[len(rows) :]).sum(0)
            total += torch.outer(step, within + across) + torch.outer(across, step)
    return total
