"""Mechanisms of real nodes that are learned by gradient: what they share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.least_squares import least_squares
from cfair.mechanisms.linear import Parent, Unit
from cfair.mechanisms.network import Network, Weights
from cfair.mechanisms.training import Schedule, split_rows, train
from cfair.spec import NodeSpec

__all__ = ["LEAST", "Networked"]

HELD_OUT = 0.2  # share of the rows that tell when to stop
LEAST = 1e-6  # standard deviation of the noise, in standard units: a column that its parents determine keeps a finite density


class Networked(nn.Module, ABC):
    """A real node, standardised as y = (x − c)/s, whose distribution a network makes of the parents.

    It learns itself: Adam in minibatches from the linear least-squares fit, a fifth of the rows held out, the weights with the least loss
    on these restored. Nothing of it can be fixed under ``parameters:``, and it has no priors.
    """

    kind: ClassVar[Kind] = "real"
    noise_size: int = 1
    known: bool = False
    center: Tensor  # c
    unit: Tensor  # s
    history: Tensor  # loss of the held-out rows after each walk, shape (epochs,), nan where learning had stopped

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit, *, outputs: int) -> None:
        super().__init__()
        self.patience = node.whole("patience")
        self.register_buffer("center", torch.tensor(unit.center, dtype=torch.float64))
        self.register_buffer("unit", torch.tensor(unit.scale, dtype=torch.float64))
        self.register_buffer("history", torch.full((node.whole("epochs"),), torch.nan, dtype=torch.float64))
        self.network = Network(parents, node.sizes("hidden"), outputs)

    @abstractmethod
    def distribution(self, parents: Values) -> Distribution:
        """The node's distribution given its parents."""

    @abstractmethod
    def loss(self, weights: Weights, z: Tensor, y: Tensor) -> Tensor:
        """What each row (m,) loses, given features (m, k) and standardised values (m,)."""

    @abstractmethod
    def linear_outputs(self, slopes: Tensor, intercept: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
        """The network's linear part (k, outputs) and last biases (outputs,) that make the linear fit with normal noise."""

    @abstractmethod
    def settle(self, z: Tensor, y: Tensor, weights: Tensor) -> None:
        """Set what is not the network's from the held-out rows: features (m, k), standardised values (m,) and row weights (m,)."""

    def forward(self, parents: Values) -> Distribution:
        """The node's distribution given its parents."""
        return self.distribution(parents)

    def learn(self, value: Tensor, parents: Values, *, node: str, seed: int, weights: Tensor | None = None) -> None:
        """Set the network from the node's own values (n,) and its parents'.

        Args:
            value: the node's own values, shape (n,).
            parents: name -> (n,).
            node: its name, for messages, and so that two nodes differ in what is drawn for them.
            seed: of the first weights, the held-out rows and the order of the others.
            weights: of the rows, shape (n,); all alike where not given.

        Raises:
            FitError: there are too few rows, or the loss is not a number.
        """
        seed = seed + sum((j + 1) * ord(letter) for j, letter in enumerate(node))
        split = split_rows(len(value), weights, HELD_OUT, seed=seed, node=node)
        y, z = (value - self.center) / self.unit, self.network.features(parents).expand(len(value), self.network.sizes[0])
        start = self._start(z[split.learned], y[split.learned], split.weights[split.learned], seed)
        schedule = Schedule(epochs=len(self.history), patience=self.patience, seed=seed)
        trained = train(lambda w, people: self.loss(w, z[people], y[people]), start, split, schedule, node=node)
        self.network.set_weights(trained.weights)
        self.history = torch.full_like(self.history, torch.nan).index_copy(0, torch.arange(len(trained.history)), trained.history)
        self.settle(z[split.held_out], y[split.held_out], split.weights[split.held_out])

    def _start(self, z: Tensor, y: Tensor, weights: Tensor, seed: int) -> dict[str, Tensor]:
        """The network that is the linear fit, its hidden layers drawn at random and not yet heard."""
        fresh = self.network.fresh(seed)
        linear, bias = self.linear_outputs(*least_squares(z, y, weights))
        return {**fresh, "linear": linear, f"bias_{len(self.network.sizes) - 2}": bias}

    def priors(self) -> dict[str, Distribution]:
        """None: no torch parameter is learned beside what ``learn`` sets."""
        return {}

    def start(self, value: Tensor) -> None:
        """Nothing: ``learn`` begins from the linear fit."""

    def described(self) -> dict[str, object]:
        """The network's layers, how many numbers were learned, and the held-out rows' loss after each walk."""
        history = [float(loss) for loss in self.history if loss.isfinite()]
        return {"layers": list(self.network.sizes), "learned_numbers": self.network.count, "validation_loss": history}
