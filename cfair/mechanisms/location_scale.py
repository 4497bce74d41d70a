"""Real nodes with additive noise: linear in the parents, their scale the same for everybody or changed by observed parents."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import Coefficients, LinearPredictor
from cfair.mechanisms.spread import LogScale, Spread
from cfair.mechanisms.terms import Parent, Unit, plus
from cfair.spec import NodeSpec, Parameters, Prior

__all__ = ["LocationScale"]


class LocationScale(Indexed, ABC):
    """x = c + s·(η + σ·u),  η = b + Σ_p w_p·p,  u from a distribution of its own: invertible in the noise.

    c and s are the column's mean and standard deviation on the training rows (0 and 1 for a latent). With ``heteroscedastic: true``
    log σ = a + Σ_p v_p·p over the observed parents; latents do not change the scale.

    Default priors, per standard unit of the node and of its real parents: b, w ~ Normal(0, 10), v ~ Normal(0, 1),
    σ² ~ InverseGamma(1, 0.1), under ``heteroscedastic`` at the means of real parents and the reference levels of discrete ones. A prior
    given in dag.yaml is in raw units. Densities are on the scale on which the parameters are learned: b, w, a = log σ, v.

    ``parameters:`` in raw units: ``scale`` is s·σ, under ``heteroscedastic`` where every real parent is 0 and every discrete one at
    its reference level; ``scale_weights`` are v. Where ``scale`` is fixed, or its variance has the user's prior, it is that one.

    The noise is additive, so that the counterfactual follows from the distribution: no coupling is chosen.
    """

    kind: ClassVar[Kind] = "real"
    noise_size: int = 1
    center: Tensor  # c
    unit: Tensor  # s
    log_scale: nn.Parameter  # a
    log_scale_free: Tensor

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__()
        known, prior = node.parameters or Parameters(), node.prior or Prior()
        intercept = 0.0 if node.latent and known.intercept is None else known.intercept
        scale = 1.0 if node.latent and known.scale is None else known.scale
        own = intercept is not None or prior.intercept is not None  # this intercept speaks of raw units
        self.register_buffer("center", torch.tensor(0.0 if own else unit.center, dtype=torch.float64))
        self.register_buffer("unit", torch.tensor(unit.scale, dtype=torch.float64))
        self.linear = LinearPredictor(
            parents,
            [_divided(Coefficients(intercept, known.weights), unit.scale)],
            intercept=(prior.intercept.mean / unit.scale, prior.intercept.sd / unit.scale) if prior.intercept else (0.0, 10.0),
            weights=(prior.weights.mean / unit.scale, prior.weights.sd / unit.scale) if prior.weights else (0.0, 10.0),
            weights_raw=prior.weights is not None,
            centered=not own,
            interactions=node.interactions,
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log((scale or unit.scale) / unit.scale), dtype=torch.float64), requires_grad=False)
        self.register_buffer("log_scale_free", torch.tensor(scale is None))
        self.variance_prior = (prior.variance.shape, prior.variance.scale / unit.scale**2) if prior.variance else (1.0, 0.1)
        self.spread = self._spread(node, parents, centered=scale is None and prior.variance is None)

    @staticmethod
    def _spread(node: NodeSpec, parents: Sequence[Parent], *, centered: bool) -> Spread | None:
        if not node.flag("heteroscedastic"):
            return None
        given, prior = (node.parameters or Parameters()).scale_weights, (node.prior or Prior()).scale_weights
        return Spread(parents, weights=given, prior=(prior.mean, prior.sd) if prior else None, centered=centered)

    @abstractmethod
    def located(self, location: Tensor, scale: Tensor) -> Distribution:
        """The distribution of location + scale·u."""

    def index(self, parents: Values) -> Tensor:
        """η, shape (..., 1); under ``heteroscedastic`` η and log σ, shape (..., 2), the second without any weight of a latent."""
        eta: Tensor = self.linear(parents)
        if self.spread is None:
            return eta
        return torch.stack(torch.broadcast_tensors(eta.squeeze(-1), self.log_scale + self.spread(parents)), -1)

    def at(self, eta: Tensor) -> Distribution:
        """The distribution of c + s·(η + σ·u)."""
        log_scale = self.log_scale if self.spread is None else eta[..., 1]
        return self.located(torch.addcmul(self.center, self.unit, eta[..., 0]), self.unit * log_scale.exp())

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The sum c + s·(η + σ·u)."""
        location, scale = self.location(parents), self.scale(parents)
        return plus(location, noise, scale) if isinstance(scale, float) else torch.addcmul(location, noise, scale)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """(x − c − s·η) / (s·σ); nothing is left to draw."""
        return (value - self.location(parents)) / self.scale(parents)

    def location(self, parents: Values) -> Tensor:
        """The location c + s·η, in memory of its own."""
        return self.linear.located(parents, float(self.center), float(self.unit))[0]

    def scale(self, parents: Values) -> Tensor | float:
        """The scale s·σ: one for everybody, or of a shape that broadcasts with the location's."""
        if self.spread is None:
            return float(self.unit) * math.exp(float(self.log_scale))
        scale: Tensor = self.unit * (self.log_scale + self.spread(parents)).exp()
        return scale

    def shared_priors(self) -> dict[str, Distribution]:
        """Priors of the parameters that all these families have."""
        own = {f"linear.{name}": prior for name, prior in self.linear.priors().items()}
        shape, scale = (torch.tensor(value, dtype=torch.float64) for value in self.variance_prior)
        own["log_scale"] = LogScale(shape, scale)
        return own if self.spread is None else {**own, "spread.weights": self.spread.prior()}

    def start(self, value: Tensor) -> None:
        """Set the free intercept where learning begins, from the node's own values (n,)."""
        self.linear.set_intercept(((value.mean() - self.center) / self.unit).reshape(1))

    def shared_raw(self) -> dict[str, object]:
        """Intercept, weights and scale in the node's and its parents' own units."""
        own: dict[str, object] = {**self.linear.raw(self.center, self.unit)[0]}
        if self.spread is None:
            return {**own, "scale": float(self.unit * self.log_scale.exp())}
        first, *weights = self.spread.folded().tolist()
        scale = float(self.unit * (self.log_scale + first).exp())
        return {**own, "scale": scale, "scale_weights": dict(zip(self.spread.names, weights, strict=True))}


def _divided(raw: Coefficients, unit: float) -> Coefficients:
    """Fixed raw coefficients per standard unit of the node."""
    intercept = None if raw.intercept is None else raw.intercept / unit
    weights = None if raw.weights is None else {name: weight / unit for name, weight in raw.weights.items()}
    return Coefficients(intercept, weights)
