"""The parameters to be learned of some nodes, as one vector."""

from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from cfair.interfaces import SelfTaught
from cfair.mechanisms import bound, log_prior
from cfair.scm import SCM

__all__ = ["FreeParameters", "Overrides", "detached", "is_fixed"]

Overrides = Mapping[str, Mapping[str, Tensor]]  # node -> parameter -> value that stands in for the mechanism's own


_Module = TypeVar("_Module")


def detached(mechanism: _Module) -> _Module:
    """The mechanism with its parameters' values, and no derivative by them."""
    return bound(mechanism, {name: value.detach() for name, value in cast("nn.Module", mechanism).named_parameters(remove_duplicate=False)})


def is_fixed(scm: SCM) -> bool:
    """Whether nothing of the model is learned: ``parameters:`` fix every node, or it is a Pyro model, which is as it is."""
    if not scm.is_declared:
        return True
    untaught = any(isinstance(mechanism, SelfTaught) and not mechanism.known for mechanism in scm.mechanisms.values())
    return not untaught and not FreeParameters(scm, scm.spec.order).count


class FreeParameters:
    """The learned entries of the parameters of ``nodes``, packed into a vector of shape (count,)."""

    def __init__(self, scm: SCM, nodes: Sequence[str]) -> None:
        self._mechanisms = {node: scm.mechanisms[node] for node in nodes}
        self._known = {node: dict(cast("nn.Module", module).named_parameters()) for node, module in self._mechanisms.items()}
        buffers = {node: dict(cast("nn.Module", module).named_buffers()) for node, module in self._mechanisms.items()}
        self._free = {node: {name: buffers[node][f"{name}_free"] for name in known} for node, known in self._known.items()}
        self._priors = {node: _unchecked(mechanism.priors(), self._free[node]) for node, mechanism in self._mechanisms.items()}
        self._slots = [(node, name, int(mask.sum())) for node, masks in self._free.items() for name, mask in masks.items() if mask.any()]

    @property
    def count(self) -> int:
        """How many numbers are learned."""
        return sum(size for *_, size in self._slots)

    @property
    def start(self) -> Tensor:
        """The learned entries as they stand, shape (count,)."""
        parts = [self._known[node][name].detach()[self._free[node][name]] for node, name, _ in self._slots]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    @property
    def names(self) -> tuple[str, ...]:
        """Of each learned entry, as ``node.parameter[entry]``, the entry counted as in the flattened parameter."""
        places = {(node, name): self._free[node][name].flatten().nonzero().squeeze(-1).tolist() for node, name, _ in self._slots}
        return tuple(f"{node}.{name}[{place}]" for (node, name), own in places.items() for place in own)

    def spread(self, thetas: Tensor) -> dict[str, dict[str, Tensor]]:
        """Node -> parameter with a learned entry -> its values (S, *shape), with the entries of S vectors, (S, count), put in place."""
        learned = dict.fromkeys(node for node, *_ in self._slots)
        unpacked = [self.unpack(theta) for theta in thetas.unbind(0)]
        names = {node: [name for slot, name, _ in self._slots if slot == node] for node in learned}
        return {node: {name: torch.stack([each[node][name] for each in unpacked]) for name in own} for node, own in names.items()}

    def unpack(self, theta: Tensor) -> dict[str, dict[str, Tensor]]:
        """Node -> parameter -> value with the entries of ``theta``, shape (count,), put in place; differentiable."""
        unpacked: dict[str, dict[str, Tensor]] = {node: dict(known) for node, known in self._known.items()}
        for (node, name, _), entries in zip(self._slots, theta.split([size for *_, size in self._slots]), strict=True):
            known, places = self._known[node][name], self._free[node][name].flatten().nonzero().squeeze(-1)
            unpacked[node][name] = known.detach().flatten().scatter(0, places, entries).reshape(known.shape)
        return unpacked

    def write(self, theta: Tensor) -> None:
        """Set the mechanisms' parameters to ``theta``, shape (count,)."""
        for node, parameters in self.unpack(theta.detach()).items():
            for name, value in parameters.items():
                self._known[node][name].data = value.data.clone()

    def log_prior(self, unpacked: Overrides) -> Tensor:
        """Log density of the learned entries, shape ()."""
        total = torch.zeros((), dtype=torch.float64)
        for node, priors in self._priors.items():
            total = total + log_prior(priors, unpacked[node], self._free[node])
        return total


def _unchecked(priors: Mapping[str, Distribution], free: Mapping[str, Tensor]) -> dict[str, Distribution]:
    """The priors of parameters with a learned entry, made once; they no more check what they are asked, which is half of their time."""
    asked = {name: prior for name, prior in priors.items() if free[name].any()}
    for prior in asked.values():
        prior._validate_args = False
    return asked
