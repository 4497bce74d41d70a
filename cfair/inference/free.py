"""The parameters to be learned of some nodes, as one vector."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

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


@dataclass(frozen=True, slots=True, eq=False)
class _Slot:
    """The learned entries of one parameter.

    Args:
        node: whose parameter it is.
        name: of the parameter.
        size: how many entries are learned.
        places: which, in the flattened parameter, shape (size,); None where all are.
    """

    node: str
    name: str
    size: int
    places: Tensor | None

    def entries(self, parameter: Tensor) -> Tensor:
        """The learned entries, shape (size,), of the parameter, or of what has its shape."""
        flat = parameter.reshape(-1)
        return flat if self.places is None else flat[self.places]

    def parameter(self, known: Tensor, entries: Tensor) -> Tensor:
        """The parameter, its learned entries being these and all others those of ``known``."""
        if self.places is None:
            return entries.reshape(known.shape).clone()  # nobody may write into the vector through it
        return known.detach().flatten().scatter(0, self.places, entries).reshape(known.shape)


class FreeParameters:
    """The learned entries of the parameters of ``nodes``, packed into a vector of shape (count,)."""

    def __init__(self, scm: SCM, nodes: Sequence[str]) -> None:
        self._mechanisms = {node: scm.mechanisms[node] for node in nodes}
        self._known = {node: dict(cast("nn.Module", module).named_parameters()) for node, module in self._mechanisms.items()}
        buffers = {node: dict(cast("nn.Module", module).named_buffers()) for node, module in self._mechanisms.items()}
        self._free = {node: {name: buffers[node][f"{name}_free"] for name in known} for node, known in self._known.items()}
        self._slots = [_slot(node, name, mask) for node, masks in self._free.items() for name, mask in masks.items() if mask.any()]
        self._sizes = [slot.size for slot in self._slots]
        priors = {node: _unchecked(mechanism.priors(), self._free[node]) for node, mechanism in self._mechanisms.items()}
        normal = {(node, name): prior for node, own in priors.items() for name, prior in own.items() if type(prior) is Normal}
        self._priors = {node: {name: each for name, each in own.items() if (node, name) not in normal} for node, own in priors.items()}
        self._normal = [slot for slot in self._slots if (slot.node, slot.name) in normal]
        own = [(slot, normal[slot.node, slot.name]) for slot in self._normal]
        nothing = torch.zeros(0, dtype=torch.float64)
        self._mean = torch.cat([nothing, *(slot.entries(prior.mean) for slot, prior in own)])
        self._sd = torch.cat([nothing, *(slot.entries(prior.stddev) for slot, prior in own)])
        self._height = -float(self._sd.log().sum()) - len(self._sd) * math.log(2 * math.pi) / 2

    @property
    def count(self) -> int:
        """How many numbers are learned."""
        return sum(self._sizes)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Whose parameters have a learned entry."""
        return tuple(dict.fromkeys(slot.node for slot in self._slots))

    @property
    def start(self) -> Tensor:
        """The learned entries as they stand, shape (count,)."""
        parts = [slot.entries(self._known[slot.node][slot.name].detach()) for slot in self._slots]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    def of(self, scm: SCM) -> Tensor:
        """The same entries as they stand in another model of the same spec, shape (count,)."""
        known = {node: dict(cast("nn.Module", scm.mechanisms[node]).named_parameters()) for node in self.nodes}
        return torch.cat([slot.entries(known[slot.node][slot.name].detach()) for slot in self._slots])

    @property
    def names(self) -> tuple[str, ...]:
        """Of each learned entry, as ``node.parameter[entry]``, the entry counted as in the flattened parameter."""
        places = {(slot.node, slot.name): range(slot.size) if slot.places is None else slot.places.tolist() for slot in self._slots}
        return tuple(f"{node}.{name}[{place}]" for (node, name), own in places.items() for place in own)

    def spread(self, thetas: Tensor) -> dict[str, dict[str, Tensor]]:
        """Node -> parameter with a learned entry -> its values (S, *shape), with the entries of S vectors, (S, count), put in place."""
        learned = dict.fromkeys(slot.node for slot in self._slots)
        unpacked = [self.unpack(theta) for theta in thetas.unbind(0)]
        names = {node: [slot.name for slot in self._slots if slot.node == node] for node in learned}
        return {node: {name: torch.stack([each[node][name] for each in unpacked]) for name in own} for node, own in names.items()}

    def unpack(self, theta: Tensor) -> dict[str, dict[str, Tensor]]:
        """Node -> parameter -> value with the entries of ``theta``, shape (count,), put in place; differentiable."""
        unpacked: dict[str, dict[str, Tensor]] = {node: dict(known) for node, known in self._known.items()}
        for slot, entries in zip(self._slots, theta.split(self._sizes), strict=True):
            unpacked[slot.node][slot.name] = slot.parameter(self._known[slot.node][slot.name], entries)
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
        if not self._normal:
            return total
        entries = torch.cat([slot.entries(unpacked[slot.node][slot.name]) for slot in self._normal])
        return total + (((entries - self._mean) / self._sd).square().sum() / -2 + self._height)


def _slot(node: str, name: str, mask: Tensor) -> _Slot:
    """The learned entries of a parameter that has some."""
    places = mask.flatten().nonzero().squeeze(-1)
    return _Slot(node, name, len(places), None if len(places) == mask.numel() else places)


def _unchecked(priors: Mapping[str, Distribution], free: Mapping[str, Tensor]) -> dict[str, Distribution]:
    """The priors of parameters with a learned entry, made once; they no more check what they are asked, which is half of their time."""
    asked = {name: prior for name, prior in priors.items() if free[name].any()}
    for prior in asked.values():
        prior._validate_args = False
    return asked
