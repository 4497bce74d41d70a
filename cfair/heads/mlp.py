"""A multilayer perceptron, beside a linear part."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import silu, softplus

from cfair.errors import FitError, QueryError
from cfair.families import Kind
from cfair.heads.base import Batch, Batches, Head, Standard, counted, standard_of
from cfair.heads.linear import Linear
from cfair.heads.logistic import Logistic
from cfair.heads.whole import centred, signs_of, sorted_rows
from cfair.mechanisms.blocks import by_blocks
from cfair.mechanisms.training import Schedule, split_rows, train

__all__ = ["MLP"]

HIDDEN = 32  # units of each of two layers
HELD_OUT = 0.2  # share of rows by which it is told when to stop
FEWEST = 20  # rows from which a network is learned; the linear part alone of fewer
EPOCHS, PATIENCE = 200, 10  # walks over the rows at most, and without anything better
WALKED = 20_000_000  # rows of all walks together, about: where people have many draws one walk teaches much


class MLP(Head):
    """s = b + Σ_j v_j·z_j + w·h₂, h₂ = silu(A₂·h₁ + c₂), h₁ = silu(A₁·z + c₁), z the features standardised, h₁ and h₂ of 32 units.

    ŷ = s of a number, in its standard units, or 1 / (1 + exp(−s)) of two levels. It begins as the linear or logistic head of the rows
    that are learned from; Adam then lowers the squared error or log loss of minibatches, until that of a fifth of the rows, held out at
    random, falls no more. The intercept b is set last, so that predictions average to the mean outcome. Rows are sorted before they are
    learned from, and features rounded to 24 bits, so that neither order nor units change anything.

    Source: Kingma & Ba (2015), Adam: a method for stochastic optimization; early stopping as in Prechelt (1998).
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"real", "count", "binary"})
    intercept: Tensor  # b, ()
    linear: Tensor  # v, (k,)
    first: Tensor  # A₁, (k, 32)
    first_bias: Tensor  # c₁
    second: Tensor  # A₂, (32, 32)
    second_bias: Tensor  # c₂
    outer: Tensor  # w, (32,)
    center: Tensor  # of features, (k,)
    scale: Tensor  # of features, with the sign by which they are turned, (k,)
    unit: Tensor  # of the outcome: mean and standard deviation of a number, (2,)
    binary: Tensor  # whether s is a logit, ()

    def __init__(self, inputs: int, levels: int = 2) -> None:
        super().__init__(inputs, levels)
        shapes: dict[str, tuple[int, ...]] = {
            "linear": (inputs,), "first": (inputs, HIDDEN), "first_bias": (HIDDEN,), "second": (HIDDEN, HIDDEN), "second_bias": (HIDDEN,),
            "outer": (HIDDEN,), "center": (inputs,),
        }  # fmt: skip
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("intercept", torch.tensor(torch.nan, dtype=torch.float64))  # until it is fitted
        self.register_buffer("scale", torch.ones(inputs, dtype=torch.float64))
        self.register_buffer("unit", torch.tensor([0.0, 1.0], dtype=torch.float64))
        self.register_buffer("binary", torch.zeros((), dtype=torch.bool))

    @property
    def weights(self) -> dict[str, Tensor]:
        """All that is learned by gradient, by name."""
        names = ("intercept", "linear", "first", "first_bias", "second", "second_bias", "outer")
        return {name: getattr(self, name) for name in names}

    def hold(self, weights: Mapping[str, Tensor]) -> Self:
        """Keep what was learned, of the names and shapes of ``weights``."""
        for name, value in weights.items():
            getattr(self, name).copy_(value.detach())
        return self

    def fit(self, batches: Batches) -> Self:
        """Learn from batches of features (m, k), outcomes (m,) and perhaps weights (m,); all rows are held at once.

        Outcomes that are all 0 or 1 are taken for levels.

        Raises:
            FitError: there are no rows of weight above 0, a value is infinite or NaN, or every outcome of two levels is the same.
        """
        standard = standard_of(batches, "mlp head")
        rows = sorted_rows(batches, standard, signs := signs_of(batches, standard))
        levels = bool(((rows.outcome == 0) | (rows.outcome == 1)).all())
        if levels and standard.scale[-1].isinf():
            problem = f"all {standard.n} outcomes to learn from are {rows.outcome[0]:.0f}"
            raise FitError("mlp head", problem, "give rows with both levels of the outcome")
        whole = standard_of([rows], "mlp head")  # of rows in their own order: the same bits whatever batches they came in
        self.binary.fill_(levels)
        self.unit.copy_(torch.tensor([0.0, 1.0]) if levels or whole.scale[-1].isinf() else torch.stack([whole.mean[-1], whole.scale[-1]]))
        self.center.copy_(whole.mean[:-1])
        self.scale.copy_(whole.scale[:-1] * signs)
        z = self.standardised(rows.features).float().double()
        y = (rows.outcome - self.unit[0]) / self.unit[1]
        if len(y) < FEWEST or whole.scale[-1].isinf() or not self.inputs:
            self.hold(self._linear(z, y, rows.weights))
        else:
            self.hold(self._learned(z, y, rows.weights, whole))
        return self.centre(batches)

    def centre(self, batches: Batches) -> Self:
        """Set the intercept so that predictions of these rows average to their mean outcome."""
        x, y, weights = (torch.cat(part) for part in zip(*map(counted, batches), strict=True))
        y = (y - self.unit[0]) / self.unit[1]
        self.intercept.copy_(centred(self.output(x), y, weights, self.intercept, levels=bool(self.binary)))
        return self

    def standardised(self, features: Tensor) -> Tensor:
        """The z of features (..., k)."""
        return (features - self.center) / self.scale

    @staticmethod
    def raw(weights: Mapping[str, Tensor], z: Tensor) -> Tensor:
        """The s of standardised features (m, k), shape (m,); differentiable by ``weights``."""
        first = silu(z @ weights["first"] + weights["first_bias"])
        second = silu(first @ weights["second"] + weights["second_bias"])
        return weights["intercept"] + z @ weights["linear"] + second @ weights["outer"]

    def output(self, features: Tensor) -> Tensor:
        """The s of features (..., k), shape (...); a person's is the same bits in any batch."""
        if self.intercept.isnan():
            raise QueryError("head", "it has not been fitted", "call fit first")
        rows = features.reshape(features.shape[:-1].numel(), features.shape[-1])
        weights = self.weights
        return by_blocks(lambda some: self.raw(weights, self.standardised(some)), rows).reshape(features.shape[:-1])

    @property
    def span(self) -> tuple[float, float]:
        """Of probabilities; of numbers there is no bound."""
        return (0.0, 1.0) if self.binary else super().span

    def predict(self, features: Tensor) -> Tensor:
        """Features (..., k) to predicted values, or probabilities of the second level (...)."""
        return self.score(features).sigmoid() if self.binary else self.score(features)

    def score(self, features: Tensor) -> Tensor:
        """Log-odds, or predicted values, of features (..., k), shape (...)."""
        return self.unit[0] + self.unit[1] * self.output(features)

    def fresh(self, standard: Standard) -> dict[str, Tensor]:
        """Weights to begin from: hidden layers drawn at random, one stream each, so that a constant feature changes no other; output 0.

        Source: He et al. (2015), Delving deep into rectifiers, equation 10: A ~ Normal(0, 2/inputs).
        """
        varying = max(int(standard.scale[:-1].isfinite().sum()), 1)
        weights = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        for seed, (name, inputs) in enumerate((("first", varying), ("second", HIDDEN))):
            source = torch.Generator().manual_seed(seed)
            rows = [torch.randn(HIDDEN, generator=source, dtype=torch.float64) for _ in range(len(weights[name]))]
            weights[name] = torch.stack(rows) * (2 / inputs) ** 0.5
        return weights

    def _learned(self, z: Tensor, y: Tensor, weights: Tensor, standard: Standard) -> dict[str, Tensor]:
        """Weights at which the loss of the rows held out is least, of standardised features (n, k) and outcomes (n,)."""
        parts = split_rows(len(y), weights, HELD_OUT, seed=0, node="mlp head")
        some = parts.learned.sort().values
        if self.binary and len(y[some].unique()) < 2:
            return self._linear(z, y, weights)
        start = self.fresh(standard) | self._linear(z[some], y[some], weights[some])
        schedule = Schedule(epochs=max(min(EPOCHS, WALKED // len(y)), PATIENCE), patience=PATIENCE, seed=0)

        def loss(own: Mapping[str, Tensor], people: Tensor) -> Tensor:
            score = self.raw(own, z[people])
            return softplus(score) - y[people] * score if self.binary else (score - y[people]).square()

        return train(loss, start, parts, schedule, node="mlp head").weights

    def _linear(self, z: Tensor, y: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """The linear or logistic head's intercept and coefficients."""
        head = (Logistic if self.binary else Linear)(self.inputs).fit([Batch(z, y, weights)])
        return {"intercept": head.intercept, "linear": head.coefficients}
