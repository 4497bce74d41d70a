"""Real nodes: linear in the parents, with normal noise."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Gamma, Normal, constraints

from cfair.families import Kind
from cfair.interfaces import Values
from cfair.mechanisms.indexed import Indexed
from cfair.mechanisms.linear import Coefficients, LinearPredictor, Raw
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters, Prior

__all__ = ["Gaussian", "LogScale"]


class Gaussian(Indexed):
    """x = c + s·(η + σ·u),  u ~ Normal(0, 1),  η = b + Σ_p w_p·p: linear in the parents, invertible in the noise.

    c and s are the column's mean and standard deviation on the training rows (0 and 1 for a latent). A latent has
    intercept 0 and scale 1 unless ``parameters`` fix them otherwise: its location and scale are conventions.

    Default priors, per standard unit of the node and of its real parents: b, w ~ Normal(0, 10), σ² ~ InverseGamma(1, 0.1).
    A prior given in dag.yaml is in raw units. Densities are on the scale on which the parameters are learned: b, w, log σ.

    The noise is additive, so that the counterfactual follows from the distribution: no coupling is chosen.
    """

    kind: ClassVar[Kind] = "real"
    noise_size: int = 1
    quadratic: bool = True
    center: Tensor  # c
    unit: Tensor  # s
    log_scale: nn.Parameter  # log σ

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
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log((scale or unit.scale) / unit.scale), dtype=torch.float64), requires_grad=False)
        self.register_buffer("log_scale_free", torch.tensor(scale is None))
        self.variance_prior = (prior.variance.shape, prior.variance.scale / unit.scale**2) if prior.variance else (1.0, 0.1)

    def at(self, eta: Tensor) -> Distribution:
        """Normal(c + s·η, s·σ)."""
        return Normal(self.center + self.unit * eta.squeeze(-1), self.scale, validate_args=False)

    def noise(self, uniform: Tensor) -> Tensor:
        """The normal quantile u = Φ⁻¹(uniform)."""
        quantile: Tensor = torch.special.ndtri(uniform)
        return quantile

    def value(self, noise: Tensor, parents: Values) -> Tensor:
        """The sum c + s·(η + σ·u)."""
        return torch.addcmul(self.location(parents), noise, self.scale)

    def abduct(self, value: Tensor, parents: Values, uniform: Tensor) -> Tensor:
        """(x − c − s·η) / (s·σ); nothing is left to draw."""
        return (value - self.location(parents)) / self.scale

    def location(self, parents: Values) -> Tensor:
        """The mean c + s·η."""
        return self.linear.outputs(parents, self.center, self.unit)[0]

    @property
    def scale(self) -> Tensor:
        """The standard deviation s·σ, shape ()."""
        return self.unit * self.log_scale.exp()

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        shape, scale = (torch.tensor(value, dtype=torch.float64) for value in self.variance_prior)
        return {f"linear.{name}": prior for name, prior in self.linear.priors().items()} | {"log_scale": LogScale(shape, scale)}

    def start(self, value: Tensor) -> None:
        """Set the free intercept where learning begins, from the node's own values (n,)."""
        self.linear.set_intercept(((value.mean() - self.center) / self.unit).reshape(1))

    def raw(self) -> dict[str, Raw]:
        """Intercept, weights and scale in the node's and its parents' own units, as under ``parameters:``."""
        return {**self.linear.raw(self.center, self.unit)[0], "scale": float(self.scale)}


class LogScale(Distribution):
    """log σ where σ² ~ InverseGamma(shape, scale), both of shape ()."""

    arg_constraints: ClassVar = {}
    support = constraints.real

    def __init__(self, shape: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.precision = Gamma(shape, scale)  # of 1/σ²
        super().__init__(validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws, shape sample_shape."""
        return -self.precision.rsample(torch.Size(sample_shape)).log() / 2

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density: Gamma's at σ⁻², times |dσ⁻²/d log σ| = 2σ⁻²."""
        precision = torch.exp(-2 * value)
        density: Tensor = self.precision.log_prob(precision) + math.log(2) - 2 * value
        return density


def _divided(raw: Coefficients, unit: float) -> Coefficients:
    """Fixed raw coefficients per standard unit of the node."""
    intercept = None if raw.intercept is None else raw.intercept / unit
    weights = None if raw.weights is None else {name: weight / unit for name, weight in raw.weights.items()}
    return Coefficients(intercept, weights)
