"""Nodes with unordered levels: the largest of as many perturbed logits."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Categorical as CategoricalDistribution
from torch.distributions import Distribution

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.linear import Coefficients, LinearPredictor, Parent, Raw, Unit
from cfair.spec import NodeSpec, Parameters, Prior

__all__ = ["Categorical"]


class Categorical(nn.Module):
    """x = argmax_j (η_j + g_j),  g_j ~ Gumbel(0, 1),  η_0 = 0, η_j = b_j + Σ_p w_jp·p: P(x = j) = softmax(η)_j.

    Default priors: b ~ Normal(0, 10), w ~ Normal(0, 2.5) per standard unit of real parents. One in dag.yaml is in raw units.

    Coupling, an assumption: Gumbel-max, under which raising one level's odds moves people to that level only. Noise is
    abducted by truncated Gumbels (Maddison, Tarlow & Minka 2014, section 3; Oberst & Sontag 2019, section 3.3).
    """

    kind: ClassVar[Kind] = "category"

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        self.levels = node.levels
        self.noise_size = len(node.levels)
        known = _by_level(node.parameters or Parameters(), node.levels)
        self.linear = LinearPredictor.of_link(parents, known, node.prior or Prior())

    def forward(self, parents: Values) -> Distribution:
        """Categorical(logits=η)."""
        return CategoricalDistribution(logits=self.logits(parents), validate_args=False)

    distribution = forward

    def noise(self, uniform: Tensor) -> Tensor:
        """The noise g = −log(−log uniform), shape (..., levels)."""
        return _gumbel(uniform)

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """argmax_j (log p_j + g_j), as a level's index."""
        return (self.log_probabilities(parents) + noise).argmax(-1).to(noise.dtype)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The noise g given x: the largest sum m is Gumbel(0, 1) whichever level has it, the others Gumbels truncated to lie below m.

        With φ = log p: m = −log(−log v_x), g_x = m − φ_x, and g_j = −log(exp(φ_j − m) − log v_j) for j ≠ x: where φ_j is far below m, an
        ordinary Gumbel.
        """
        phi = self.log_probabilities(parents)
        phi, uniform = torch.broadcast_tensors(phi, uniform)
        chosen = value.long().expand(phi.shape[:-1]).unsqueeze(-1)
        top = _gumbel(uniform.gather(-1, chosen))
        others = -torch.log(torch.exp(phi - top) - uniform.log())
        sums = (phi + others).scatter(-1, chosen, -torch.inf).amax(-1, keepdim=True)
        own = phi.gather(-1, chosen)
        clear = sums - own + 4e-16 * (1 + sums.abs() + own.abs())  # rounding must not let another level win
        return others.scatter(-1, chosen, torch.maximum(top - own, clear))

    def logits(self, parents: Values) -> Tensor:
        """η, shape (..., levels), the first level's being 0."""
        eta = self.linear(parents)
        return torch.cat([eta.new_zeros(*eta.shape[:-1], 1), eta], -1)

    def log_probabilities(self, parents: Values) -> Tensor:
        """The log of p, shape (..., levels)."""
        return self.logits(parents).log_softmax(-1)

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        return {f"linear.{name}": prior for name, prior in self.linear.priors().items()}

    def start(self, value: Tensor) -> None:
        """Set the free intercepts where learning begins, from the node's own values (n,)."""
        counts = torch.bincount(value.long(), minlength=len(self.levels)).to(value.dtype) + 0.5
        self.linear.set_intercept((counts[1:] / counts[0]).log())

    def raw(self) -> dict[str, dict[str, Raw]]:
        """Intercept and weights (log-odds against the first level) of each other level, as under ``parameters:``."""
        return dict(zip(self.levels[1:], self.linear.raw(), strict=True))


def _by_level(known: Parameters, levels: Sequence[str]) -> list[Coefficients]:
    """What is fixed of each level but the first; probabilities of a root become intercepts."""
    if known.probabilities is not None:
        logs = torch.tensor(known.probabilities, dtype=torch.float64).log()
        return [Coefficients(float(log - logs[0]), {}) for log in logs[1:]]
    given = known.levels or {}
    return [Coefficients(given[level].intercept, given[level].weights) if level in given else Coefficients() for level in levels[1:]]


def _gumbel(uniform: Tensor) -> Tensor:
    return -torch.log(-uniform.log())
