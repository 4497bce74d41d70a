"""Tables as the learned model would have made them, of the same people's protected attributes where the graph allows it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cfair.graph import ancestral_closure
from cfair.interfaces import Columns, Values
from cfair.scm import SCM
from cfair.spec import ModelSpec

__all__ = ["held", "replicates"]

TINY = 2**-54  # a uniform number of 0 has no finite noise
BLOCK = 1_000_000  # values of one node held at a time


def held(spec: ModelSpec) -> tuple[str, ...]:
    """The nodes that replicates share with the table: the protected attributes and their ancestors; none where one of these is latent.

    Given them, everything else is drawn from the model, since nothing that is drawn causes anything that is held.
    """
    closed = ancestral_closure(spec.graph, spec.protected)
    return () if closed & set(spec.latents) else tuple(node for node in spec.order if node in closed)


def replicates(scm: SCM, columns: Columns, *, draws: int, generator: torch.Generator) -> Iterator[dict[str, Tensor]]:
    """``draws`` tables in blocks: node -> (draws of the block, n), or (1, n) where it is held; every person's draws are independent."""
    kept = {node: columns[node].unsqueeze(0) for node in held(scm.spec)}
    block = max(BLOCK // columns.n, 1)
    for done in range(0, draws, block):
        yield _drawn(scm, kept, (min(block, draws - done), columns.n), generator)


def _drawn(scm: SCM, kept: Values, shape: tuple[int, int], generator: torch.Generator) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    for node, mechanism in scm.mechanisms.items():
        if node in kept:
            values[node] = kept[node]
            continue
        size = (*shape, mechanism.noise_size) if mechanism.noise_size > 1 else shape
        uniform = torch.rand(size, generator=generator, dtype=torch.float64).clamp(min=TINY)
        values[node] = mechanism.value(mechanism.noise(uniform), scm.parents(node, values)).expand(shape)
    return values
