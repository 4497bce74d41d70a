"""Parameters that say the same with latents turned round, or with levels in another order: images, of which conventions keep one."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import TypeAlias

import torch
from torch import Tensor

from cfair.inference.conventions import are_oriented, moves
from cfair.inference.log_posterior import LogPosterior
from cfair.scm import SCM

__all__ = ["Keep", "first_inside", "images", "inside"]

Keep: TypeAlias = Callable[[Tensor], Tensor]  # which points θ, (S, p), lie in the region of a convention, (S,)


def inside(scm: SCM, density: LogPosterior) -> Keep:
    """Whether parameters of one part, (S, p), keep the conventions of its latents, (S,)."""
    return partial(are_oriented, scm, density.nodes, lambda theta: scm.at(density.free.unpack(theta)))


def images(scm: SCM, density: LogPosterior, *, levels: bool = True) -> Tensor:
    """The linear maps (g, p, p) of the parameters that turn latents round, or put their ``levels`` into other orders; the identity first.

    They form a group, keep volumes and the likelihood; see ``moves``.
    """
    choices = [[None, *own] for own in moves(scm, density.nodes, levels=levels)]
    basis = torch.eye(len(density.start), dtype=torch.float64)
    maps = [basis]
    for chosen in list(product(*choices))[1:]:
        columns = []
        for unit in basis.unbind(0):
            twin = scm.at(density.free.unpack(unit))
            for move in filter(None, chosen):
                move(twin)
            columns.append(density.free.of(twin))
        maps.append(torch.stack(columns, 1))
    return torch.stack(maps)


def first_inside(orbits: Tensor, keep: Keep) -> tuple[Tensor, Tensor]:
    """Of the images of each of S points, (S, g, p), the first that is kept, (S, p), or the point itself; and whether there is one, (S,)."""
    kept = keep(orbits.flatten(0, 1)).unflatten(0, orbits.shape[:2])
    return orbits[torch.arange(len(orbits)), kept.int().argmax(1)], kept.any(1)
