"""How the noise of a node with given level probabilities is shared between worlds: a choice that data cannot make."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from cfair.families import Coupling
from cfair.interfaces import Values
from cfair.mechanisms.base import HUGE
from cfair.mechanisms.linear import Parent
from cfair.mechanisms.steps import log_odds_of_steps, noise_on_step, step_of
from cfair.spec import NodeSpec

__all__ = ["Coupled", "combination", "coupled"]


class Coupled(Protocol):
    """From noise to a level and back. ``log_p`` is the log probability of each level, shape (..., levels), -∞ allowed.

    ``level(abduct(x, log_p, parents, uniform), log_p, parents) == x`` wherever x is possible; noise is finite everywhere.
    """

    noise_size: int

    def noise(self, uniform: Tensor) -> Tensor:
        """Noise from its prior."""
        ...

    def level(self, noise: Tensor, log_p: Tensor, parents: Values) -> Tensor:
        """The level that the noise makes, as its index."""
        ...

    def abduct(self, value: Tensor, log_p: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise that made the level, drawn by ``uniform``."""
        ...


def coupled(node: NodeSpec, parents: Sequence[Parent]) -> Coupled:
    """The coupling that dag.yaml chooses for ``node``, or its family's default."""
    assert node.coupled is not None
    return _COUPLINGS[node.coupled](node, parents)


def combination(parents: Sequence[Parent], values: Values) -> Tensor:
    """Which combination of the discrete parents' levels each person has, the last parent's changing fastest; int64, shape (...)."""
    index = torch.zeros((), dtype=torch.int64)
    for parent in parents:
        index = index * len(parent.levels) + values[parent.name].long()
    return index


class Gumbel:
    """x = argmax_j (log p_j + g_j),  g_j ~ Gumbel(0, 1): raising one level's odds moves people to that level only.

    Noise is abducted by truncated Gumbels.

    Sources: Maddison, Tarlow & Minka (2014), section 3; Oberst & Sontag (2019), section 3.3.
    """

    def __init__(self, node: NodeSpec, parents: Sequence[Parent]) -> None:
        self.noise_size = len(node.levels)

    def noise(self, uniform: Tensor) -> Tensor:
        """The noise g = −log(−log uniform), shape (..., levels)."""
        return _gumbel(uniform)

    def level(self, noise: Tensor, log_p: Tensor, parents: Values) -> Tensor:
        """The index of the largest log p_j + g_j."""
        return (log_p + noise).argmax(-1).to(noise.dtype)

    def abduct(self, value: Tensor, log_p: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise g given x: the largest sum m is Gumbel(0, 1) whichever level has it, the others Gumbels truncated to lie below m.

        With φ = log p: m = −log(−log v_x), g_x = m − φ_x, and g_j = −log(exp(φ_j − m) − log v_j) for j ≠ x: where φ_j is far below m, an
        ordinary Gumbel.
        """
        phi, uniform = torch.broadcast_tensors(log_p, uniform)
        chosen = value.long().expand(phi.shape[:-1]).unsqueeze(-1)
        top = _gumbel(uniform.gather(-1, chosen))
        others = -torch.log(torch.exp(phi - top) - uniform.log())
        sums = (phi + others).scatter(-1, chosen, -torch.inf).amax(-1, keepdim=True).clamp(min=-HUGE)
        own = phi.gather(-1, chosen).clamp(min=-HUGE)  # a level of probability 0 gets huge noise, not infinite
        clear = sums - own + 4e-16 * (1 + sums.abs() + own.abs())  # rounding must not let another level win
        return others.scatter(-1, chosen, torch.maximum(top - own, clear))


class Monotone:
    """x = min{j : F(j) ≥ sigmoid(u)},  u ~ Logistic(0, 1): levels in their declared order, by the inverse distribution function.

    Where a change of the parents lowers every F(j), nobody moves to an earlier level.
    """

    noise_size = 1

    def __init__(self, node: NodeSpec, parents: Sequence[Parent]) -> None:
        pass

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u = log(uniform / (1 − uniform))."""
        quantile: Tensor = torch.special.logit(uniform)
        return quantile

    def level(self, noise: Tensor, log_p: Tensor, parents: Values) -> Tensor:
        """The step of F that u falls on."""
        return step_of(noise, log_odds_of_steps(log_p))

    def abduct(self, value: Tensor, log_p: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: Logistic truncated to the step of x, drawn from the nearer tail."""
        return noise_on_step(value, log_odds_of_steps(log_p), _of_level(log_p, value), uniform)


class Independent:
    """x = min{j : F(j) ≥ sigmoid(u_c)} with c the combination of the parents' levels,  u_c ~ Logistic(0, 1) independent over c.

    What a person has under one combination says nothing of what they would have under another; under the same one it is the same.
    """

    def __init__(self, node: NodeSpec, parents: Sequence[Parent]) -> None:
        self.parents = tuple(parents)
        self.noise_size = prod(len(parent.levels) for parent in parents)
        self._one = Monotone(node, parents)

    def noise(self, uniform: Tensor) -> Tensor:
        """The log-odds u, shape (..., combinations)."""
        return self._one.noise(uniform)

    def level(self, noise: Tensor, log_p: Tensor, parents: Values) -> Tensor:
        """The step of F that u_c falls on."""
        return self._one.level(self._own(noise, parents), log_p, parents)

    def abduct(self, value: Tensor, log_p: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: u_c truncated to the step of x, the others from their prior."""
        own = self._one.abduct(value, log_p, parents, self._own(uniform, parents))
        if self.noise_size == 1:
            return own
        noise = self.noise(uniform).expand(*own.shape, self.noise_size)
        place = combination(self.parents, parents).expand(own.shape).unsqueeze(-1)
        return noise.scatter(-1, place, own.unsqueeze(-1))

    def _own(self, noise: Tensor, parents: Values) -> Tensor:
        """The entry that each person's combination reads, of the numbers of shape (..., combinations)."""
        if self.noise_size == 1:
            return noise
        place = combination(self.parents, parents)
        shape = torch.broadcast_shapes(place.shape, noise.shape[:-1])
        return noise.expand(*shape, self.noise_size).gather(-1, place.expand(shape).unsqueeze(-1)).squeeze(-1)


def _of_level(log_p: Tensor, value: Tensor) -> Tensor:
    """The log probability of each person's own level, shape (...)."""
    shape = torch.broadcast_shapes(log_p.shape[:-1], value.shape)
    return log_p.expand(*shape, log_p.shape[-1]).gather(-1, value.long().expand(shape).unsqueeze(-1)).squeeze(-1)


def _gumbel(uniform: Tensor) -> Tensor:
    return -torch.log(-uniform.log())


_COUPLINGS: Mapping[Coupling, Callable[[NodeSpec, Sequence[Parent]], Coupled]] = {
    "gumbel": Gumbel,
    "monotone": Monotone,
    "independent": Independent,
}
