"""Nodes with unordered levels: a softmax of as many logits."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Categorical as CategoricalDistribution
from torch.distributions import Distribution

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.couplings import coupled
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import Coefficients, LinearPredictor, Raw
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters

__all__ = ["Categorical"]


class Categorical(Indexed):
    """P(x = j) = softmax(η)_j,  η_0 = 0, η_j = b_j + Σ_p w_jp·p.

    Default priors: b ~ Normal(0, 10), w ~ Normal(0, 2.5) per standard unit of real parents. One in dag.yaml is in raw units.

    Coupling, an assumption, chosen by ``coupling:`` (see couplings.py): ``gumbel`` by default, x = argmax_j (η_j + g_j) with
    g_j ~ Gumbel(0, 1), under which raising one level's odds moves people to that level only; ``monotone``, the inverse distribution
    function over the levels in their declared order; ``independent``, one number of noise per combination of discrete parents.
    """

    kind: ClassVar[Kind] = "category"

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        self.levels = node.levels
        self.coupling = coupled(node, parents)
        self.noise_size = self.coupling.noise_size
        known = _by_level(node.parameters or Parameters(), node.levels)
        self.linear = LinearPredictor.of_link(node, parents, known)

    def at(self, eta: Tensor) -> Distribution:
        """Categorical(logits=η)."""
        return CategoricalDistribution(logits=_with_reference(eta), validate_args=False)

    def noise(self, uniform: Tensor) -> Tensor:
        """The coupling's noise from its prior."""
        return self.coupling.noise(uniform)

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The level that the coupling makes of the noise, as its index."""
        return self.coupling.level(noise, self.logits(parents), parents)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The coupling's noise given x."""
        return self.coupling.abduct(value, self.logits(parents), parents, uniform)

    def logits(self, parents: Values) -> Tensor:
        """η, shape (..., levels), the first level's being 0."""
        etas = self.linear.located(parents)
        first = torch.zeros((), dtype=torch.float64)
        return torch.stack(torch.broadcast_tensors(first, *etas)).movedim(0, -1)  # each level's are beside one another

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


def _with_reference(eta: Tensor) -> Tensor:
    """The first level's logit, 0, before those of the others."""
    return torch.cat([eta.new_zeros(*eta.shape[:-1], 1), eta], -1)


def _by_level(known: Parameters, levels: Sequence[str]) -> list[Coefficients]:
    """What is fixed of each level but the first; probabilities of a root become intercepts."""
    if known.probabilities is not None:
        logs = torch.tensor(known.probabilities, dtype=torch.float64).log()
        return [Coefficients(float(log - logs[0]), {}) for log in logs[1:]]
    given = known.levels or {}
    return [Coefficients(given[level].intercept, given[level].weights) if level in given else Coefficients() for level in levels[1:]]
