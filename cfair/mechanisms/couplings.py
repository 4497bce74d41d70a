"""How the noise of a node with given level probabilities is shared between worlds: a choice that data cannot make."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from cfair.families import Coupling
from cfair.interfaces import Values
from cfair.mechanisms.base import HUGE
from cfair.mechanisms.steps import beyond, log_odds_of_steps, noise_on_step, step_of
from cfair.mechanisms.terms import Parent, combination
from cfair.spec import NodeSpec

__all__ = ["Coupled", "coupled"]


class Coupled(Protocol):
    """From noise to a level and back. ``scores`` are each level's log probability plus any number, shape (..., levels), -∞ allowed.

    ``level(abduct(x, scores, parents, uniform), scores, parents) == x`` wherever x is possible; noise is finite everywhere.
    """

    noise_size: int

    def noise(self, uniform: Tensor) -> Tensor:
        """Noise from its prior."""
        ...

    def level(self, noise: Tensor, scores: Tensor, parents: Values) -> Tensor:
        """The level that the noise makes, as its index."""
        ...

    def abduct(self, value: Tensor, scores: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise that made the level, drawn by ``uniform``."""
        ...


def coupled(node: NodeSpec, parents: Sequence[Parent]) -> Coupled:
    """The coupling that dag.yaml chooses for ``node``, or its family's default."""
    assert node.coupled is not None
    return _COUPLINGS[node.coupled](node, parents)


class Gumbel:
    """x = argmax_j (s_j + g_j),  g_j ~ Gumbel(0, 1): raising one level's odds moves people to that level only.

    Noise is abducted by truncated Gumbels.

    Sources: Maddison, Tarlow & Minka (2014), section 3; Oberst & Sontag (2019), section 3.3.
    """

    def __init__(self, node: NodeSpec, parents: Sequence[Parent]) -> None:
        self.noise_size = len(node.levels)

    def noise(self, uniform: Tensor) -> Tensor:
        """The noise g = −log(−log uniform), shape (..., levels)."""
        return _gumbel(uniform)

    def level(self, noise: Tensor, scores: Tensor, parents: Values) -> Tensor:
        """The index of the largest s_j + g_j, the first of equal ones; column by column, where argmax goes row by row."""
        best, *others = (score + own for score, own in zip(scores.unbind(-1), noise.unbind(-1), strict=True))
        level = torch.zeros_like(best)
        for j, other in enumerate(others, 1):
            level.lerp_(torch.scalar_tensor(j, dtype=level.dtype), beyond(other, best))
            best = torch.maximum(best, other)
        return level

    def abduct(self, value: Tensor, scores: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise g given x: the largest sum m is Gumbel(0, 1) whichever level has it, the others Gumbels truncated to lie below m.

        With φ = log p: m = −log(−log v_x), g_x = m − φ_x, and g_j = −log(exp(φ_j − m) − log v_j) for j ≠ x: where φ_j is far below m, an
        ordinary Gumbel.
        """
        scores, uniform = torch.broadcast_tensors(scores, uniform)
        phi = scores.log_softmax(-1)
        chosen = value.long().expand(phi.shape[:-1]).unsqueeze(-1)
        top = _gumbel(uniform.gather(-1, chosen))
        others = -torch.log(torch.exp(phi - top) - uniform.log())
        sums = (scores + others).scatter(-1, chosen, -torch.inf).amax(-1, keepdim=True).clamp(min=-HUGE)
        own, drawn = (each.gather(-1, chosen).clamp(min=-HUGE) for each in (scores, phi))  # probability 0 gets huge noise, not infinite
        clear = sums - own + 4e-16 * (1 + sums.abs() + own.abs())  # rounding must not let another level win
        return others.scatter(-1, chosen, torch.maximum(top - drawn, clear))


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

    def level(self, noise: Tensor, scores: Tensor, parents: Values) -> Tensor:
        """The step of F that u falls on."""
        return step_of(noise, log_odds_of_steps(scores))

    def abduct(self, value: Tensor, scores: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: Logistic truncated to the step of x, drawn from the nearer tail."""
        return noise_on_step(value, log_odds_of_steps(scores), _of_level(scores.log_softmax(-1), value), uniform)


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

    def level(self, noise: Tensor, scores: Tensor, parents: Values) -> Tensor:
        """The step of F that u_c falls on."""
        return self._one.level(self._own(noise, parents), scores, parents)

    def abduct(self, value: Tensor, scores: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise u given x: u_c truncated to the step of x, the others from their prior."""
        own = self._one.abduct(value, scores, parents, self._own(uniform, parents))
        if self.noise_size == 1:
            return own
        noise = self.noise(uniform).expand(*own.shape, self.noise_size)
        place = combination(self.parents, parents).long().expand(own.shape).unsqueeze(-1)
        return noise.scatter(-1, place, own.unsqueeze(-1))

    def _own(self, noise: Tensor, parents: Values) -> Tensor:
        """The entry that each person's combination reads, of the numbers of shape (..., combinations)."""
        if self.noise_size == 1:
            return noise
        place = combination(self.parents, parents).long()
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
