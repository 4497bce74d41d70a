"""Nodes with a row of probabilities per combination of their parents' levels: those of a discrete Bayesian network."""

from collections.abc import Sequence
from itertools import product
from math import prod

import torch
from torch import Tensor, nn
from torch.distributions import Categorical as CategoricalDistribution
from torch.distributions import Distribution

from cfair.errors import FitError
from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.couplings import coupled
from cfair.mechanisms.terms import Parent, Unit, combination
from cfair.spec import NodeSpec, Parameters, Prior, Row

__all__ = ["Table"]

CELL = 0.5  # default pseudo-count per cell: Jeffreys' prior


class Table(nn.Module):
    """P(x = j | c) = p_cj, one row p_c per combination c of the parents' levels; all parents are discrete and observed.

    Learned in closed form as the posterior mean under a symmetric Dirichlet prior, (n_cj + α)/(n_c + α·levels) with n the counts;
    α is ``prior:``, 0.5 by default (Jeffreys). α = 0 gives frequencies, and a combination that no row has is then an error. The
    probabilities are no torch parameters: nothing else learns them. Probabilities of 0 are legal.

    Coupling, an assumption: ``gumbel`` by default, or ``monotone`` or ``independent``, as ``coupling:`` says (see couplings.py).
    """

    kind: Kind
    noise_size: int
    probabilities: Tensor  # p, shape (combinations, levels)

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        self.kind = node.kind
        self.parents, self.levels = tuple(parents), node.levels
        self.coupling = coupled(node, parents)
        self.noise_size = self.coupling.noise_size
        prior = (node.prior or Prior()).cell
        self.cell = CELL if prior is None else prior
        rows = (node.parameters or Parameters()).rows
        self.known = rows is not None
        self.register_buffer("probabilities", self._known(rows or ()))

    def forward(self, parents: Values) -> Distribution:
        """Categorical(p_c)."""
        return CategoricalDistribution(logits=self.log_probabilities(parents), validate_args=False)

    distribution = forward

    def noise(self, uniform: Tensor) -> Tensor:
        """The coupling's noise from its prior."""
        return self.coupling.noise(uniform)

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The level that the coupling makes of the noise, as its index."""
        return self.coupling.level(noise, self.log_probabilities(parents), parents)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """The coupling's noise given x."""
        return self.coupling.abduct(value, self.log_probabilities(parents), parents, uniform)

    def log_probabilities(self, parents: Values) -> Tensor:
        """The log of p_c, shape (..., levels)."""
        return self.probabilities.log()[combination(self.parents, parents)]

    def learn(self, value: Tensor, parents: Values, *, node: str, seed: int = 0, weights: Tensor | None = None) -> None:
        """Set the probabilities to their posterior mean given the node's own values and its parents', each (n,).

        With ``weights``, (n,) and of mean 1, the counts n_cj are sums of weights. Nothing is drawn: ``seed`` changes nothing.

        Raises:
            FitError: a combination that no row of weight above 0 has, where the prior is 0.
        """
        levels = len(self.levels)
        cells = combination(self.parents, parents) * levels + value.long()
        counts = torch.bincount(cells, weights, minlength=self.probabilities.numel()).reshape(-1, levels).to(torch.float64)
        rows = counts.sum(-1, keepdim=True)
        if self.cell == 0 and (empty := (rows == 0).nonzero()).numel():
            combined = ", ".join(f"{name}={level}" for name, level in self._combinations()[int(empty[0, 0])].items())
            problem = f"no row has {combined}, and the prior is 0"
            raise FitError(f"learning {node}", problem, "leave 'prior: 0' out, or give it a number above 0")
        self.probabilities = (counts + self.cell) / (rows + self.cell * levels)

    def priors(self) -> dict[str, Distribution]:
        """None: there are no parameters beside the probabilities, which ``learn`` sets."""
        return {}

    def start(self, value: Tensor) -> None:
        """Nothing: ``learn`` needs no place to begin from."""

    def raw(self) -> dict[str, object]:
        """The probabilities of each combination, as under ``parameters:``."""
        rows = zip(self._combinations(), self.probabilities.tolist(), strict=True)
        return {"probabilities": [{**combined, "p": p} for combined, p in rows]}

    def _combinations(self) -> list[dict[str, str]]:
        """Parent -> level, in the order of ``probabilities``."""
        names = [parent.name for parent in self.parents]
        return [dict(zip(names, levels, strict=True)) for levels in product(*(parent.levels for parent in self.parents))]

    def _known(self, rows: Sequence[Row]) -> Tensor:
        """The declared probabilities, summing to 1; equal ones where they are to be learned."""
        if not rows:
            count = prod(len(parent.levels) for parent in self.parents)
            return torch.full((count, len(self.levels)), 1 / len(self.levels), dtype=torch.float64)
        declared = {tuple(row.given[parent.name] for parent in self.parents): row.p for row in rows}
        p = torch.tensor([declared[tuple(combined.values())] for combined in self._combinations()], dtype=torch.float64)
        return p / p.sum(-1, keepdim=True)
