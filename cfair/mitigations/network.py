"""A multilayer perceptron under a charge: minibatches, stopped by rows held out."""

from collections.abc import Mapping
from math import isfinite, prod

import torch
from torch import Tensor
from torch.nn.functional import softplus

from cfair.heads.mlp import MLP
from cfair.mitigations.base import Rows
from cfair.mitigations.descent import Reached
from cfair.mitigations.soft import Charge, Violations

__all__ = ["NetworkDescent"]

HELD_OUT, FEWEST = 0.2, 100  # share of rows by which it is told when to stop; of fewer rows all of them tell
ENOUGH = 10_000  # rows from which violations are told by those held out: of fewer, rates in small groups are mostly chance
BATCH = 2_048  # rows of a step
RATE, DIVISOR, DROPS = 0.003, 4.0, 2  # of Adam's first steps; by what it is divided where nothing better was found, and how often
WALKS, PATIENCE = 40, 4  # over the rows at most, and without anything better
MEMORY = 0.9  # share of a step's violations that is kept from the steps before it


class NetworkDescent:
    """The head ``mlp`` of rows, to whose loss a charge of its scores may be added.

    θ are all its weights in a row; ``start``, (p,), are those of the head without a charge. A minibatch shows violations with much
    chance, whose square would be charged as well: so their value is a running mean over the steps, and their slope the minibatch's.

    Args:
        rows: people.
        seed: of who is held out, and of the order of rows.

    Raises:
        FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome is the same.
    """

    def __init__(self, rows: Rows, seed: int) -> None:
        self._rows, self._source = rows, torch.Generator().manual_seed(seed)
        self._first = MLP(rows.features.shape[1]).fit([(rows.features, rows.outcome, rows.weights)])
        self._shapes = {name: tuple(value.shape) for name, value in self._first.weights.items()}
        self.start = _flat(self._first.weights)
        self._z = self._first.standardised(rows.features)
        some = torch.nonzero(rows.weights > 0).squeeze(1)
        some = some[torch.randperm(len(some), generator=self._source)]
        kept = int(HELD_OUT * len(some)) if len(some) >= FEWEST else 0
        self._shown, self._learned = some[:kept].sort().values, some[kept:].sort().values

    @property
    def held_out(self) -> Rows | None:
        """Rows that are kept to tell when to stop, if any are."""
        rows, some = self._rows, self._shown
        if not len(some):
            return None
        return Rows(rows.features[some], rows.outcome[some], rows.group[some], rows.groups, rows.weights[some])

    def scores(self, theta: Tensor) -> Tensor:
        """Log-odds, (n,), of weights (p,)."""
        return MLP.raw(self._weights(theta), self._z)

    def loss(self, scores: Tensor) -> Tensor:
        """The mean log loss of log-odds (n,), shape ()."""
        return self._loss(scores, torch.arange(self._rows.n))

    def least(self, charge: Charge, theta: Tensor, steep: Tensor | None = None) -> Reached:
        """The weights (p,) at which loss and charge of the rows held out are least together, on the way from ``theta`` downhill.

        Source: Kingma & Ba (2015), Adam: a method for stochastic optimization; early stopping as in Prechelt (1998).
        """
        shown = self._shown if len(self._shown) else self._learned
        judged = charge.violations.among(shown) if len(shown) >= HELD_OUT * ENOUGH else None
        best, least, walks, waited, drops, rate = theta, self._value(charge, judged, shown, theta), 0, 0, 0, RATE
        weights = theta.clone().requires_grad_()
        optimiser = torch.optim.Adam([weights], lr=rate)
        while walks < WALKS and drops <= DROPS:
            self._walk(charge, weights, optimiser)
            walks += 1
            value = self._value(charge, judged, shown, weights.detach())
            if value < least:
                best, least, waited = weights.detach().clone(), value, 0
                continue
            waited += 1
            if waited >= PATIENCE or not isfinite(value):
                rate, drops, waited = rate / DIVISOR, drops + 1, 0
                weights = best.clone().requires_grad_()
                optimiser = torch.optim.Adam([weights], lr=rate)
        return Reached(best, walks, drops > DROPS)

    def head(self, theta: Tensor) -> MLP:
        """The head that these weights are."""
        head = MLP(self._first.inputs)
        head.load_state_dict(self._first.state_dict())
        return head.hold(self._weights(theta))

    def _walk(self, charge: Charge, weights: Tensor, optimiser: torch.optim.Optimizer) -> None:
        """One walk over the rows that are learned from, in random order; it changes ``weights``."""
        learned = self._learned
        order = learned[torch.randperm(len(learned), generator=self._source)]
        with torch.no_grad():
            running = charge.violations.among(learned).soft(MLP.raw(self._weights(weights), self._z[learned]), charge.temperature)
        with torch.enable_grad():
            for people in order.tensor_split(max(round(len(order) / BATCH), 1)):
                scores = MLP.raw(self._weights(weights), self._z[people])
                apart = charge.violations.among(people).soft(scores, charge.temperature)
                running = MEMORY * running + (1 - MEMORY) * apart.detach()
                total = self._loss(scores, people) + charge.weigh(running + apart - apart.detach())
                optimiser.zero_grad()
                total.backward()
                optimiser.step()

    def _value(self, charge: Charge, judged: Violations | None, shown: Tensor, theta: Tensor) -> float:
        """Loss of the rows held out, and the charge of their violations, or of everybody's where they are few."""
        with torch.no_grad():
            scores = self.scores(theta)
            own = charge.weigh(judged.soft(scores[shown], charge.temperature)) if judged is not None else charge(scores)
            return float(self._loss(scores[shown], shown) + own)

    def _loss(self, scores: Tensor, people: Tensor) -> Tensor:
        weights, outcome = self._rows.weights[people], self._rows.outcome[people]
        return weights @ (softplus(scores) - outcome * scores) / weights.sum()

    def _weights(self, theta: Tensor) -> dict[str, Tensor]:
        """θ by name and shape."""
        parts = theta.split([prod(shape) for shape in self._shapes.values()])
        return {name: part.reshape(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}


def _flat(weights: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([value.flatten() for value in weights.values()])
