"""From a declared node to its mechanism, and what all mechanisms share."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.distributions import Distribution

from cfair.families import FAMILIES
from cfair.interfaces import Mechanism
from cfair.mechanisms.own import own_mechanism
from cfair.mechanisms.terms import Parent, Unit
from cfair.registry import Registry
from cfair.spec import ModelSpec, NodeSpec

__all__ = ["MECHANISMS", "build", "log_prior", "open_interval"]

MARGIN = 1e-12  # room for the rounding of an interval's ends when they are computed again
HUGE = 1e300  # stands for an infinite end

Maker: TypeAlias = Callable[[NodeSpec, Sequence[Parent], Unit], Mechanism]

MECHANISMS: Registry[Maker] = Registry("mechanism", **{name: family.implementation for name, family in FAMILIES.items()})


def build(spec: ModelSpec, node: str, units: Mapping[str, Unit]) -> Mechanism:
    """The mechanism that ``spec`` declares for ``node``, its free parameters not yet learned.

    Args:
        spec: the declared model.
        node: one of its nodes.
        units: node -> unit in which a real or count column is standardised; (0, 1) where it is left out.
    """
    declared = spec.nodes[node]
    parents = [Parent(name, spec.nodes[name].levels, units.get(name, Unit()), spec.nodes[name].latent) for name in declared.parents]
    if declared.own is not None:
        kinds = {name: spec.nodes[name].kind for name in declared.parents}
        return own_mechanism(declared, parents, units.get(node, Unit()), name=node, kinds=kinds)
    return MECHANISMS[declared.mechanism](declared, parents, units.get(node, Unit()))


def log_prior(priors: Mapping[str, Distribution], parameters: Mapping[str, Tensor], free: Mapping[str, Tensor]) -> Tensor:
    """Log density of the free parameters, on the scale on which they are learned; shape ().

    Args:
        priors: parameter -> its prior.
        parameters: parameter -> its value.
        free: parameter -> which of its entries are learned.
    """
    total = torch.zeros((), dtype=torch.float64)
    for name, prior in priors.items():
        total = total + torch.where(free[name], prior.log_prob(parameters[name]), 0.0).sum()
    return total


def open_interval(value: Tensor, above: Tensor, upto: Tensor) -> Tensor:
    """``value`` held in the half-open interval (above, upto], a relative MARGIN inside both ends where rounding puts it past one."""
    low, high = above.clamp(min=-HUGE), upto.clamp(max=HUGE)
    low, high = low + MARGIN * (1 + low.abs()), high - MARGIN * (1 + high.abs())
    return torch.where(low < high, torch.minimum(torch.maximum(value, low), high), (low + high) / 2)
