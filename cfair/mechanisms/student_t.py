"""Real nodes with heavy tails: linear in the parents, with Student's t noise."""

import math
from collections.abc import Sequence

import torch
from scipy.special import stdtr, stdtrit
from torch import Tensor, nn
from torch.distributions import Distribution, Normal
from torch.distributions import StudentT as StudentTDistribution

from cfair.mechanisms.location_scale import LocationScale
from cfair.mechanisms.terms import Parent, Unit
from cfair.spec import NodeSpec, Parameters

__all__ = ["StudentT"]

DEGREES = (math.log(10.0), 1.0)  # mean and sd of the default prior of log ν: ν from 1.4 to 71 with 95 % probability
MIDDLE = 0.4  # tail probability from which the quantile is polished: near the median scipy's is only good to 1e-10


class StudentT(LocationScale):
    """x = c + s·(η + σ·u),  u ~ StudentT(ν),  η = b + Σ_p w_p·p; all else, as other priors and the scale, is LocationScale's.

    ν is ``degrees``, above 0: at 1 or below the node has no mean, at 2 or below no variance, and whatever averages its values
    says nothing then. Where it is not fixed, log ν ~ Normal(log 10, 1). ``variance`` under ``prior:`` is that of σ², the squared scale.
    The density is not log-concave: far out, a latent's posterior may have several peaks.
    """

    log_concave: bool = False
    log_degrees: nn.Parameter  # log ν
    log_degrees_free: Tensor

    def __init__(self, node: NodeSpec, parents: Sequence[Parent], unit: Unit) -> None:
        super().__init__(node, parents, unit)
        degrees = (node.parameters or Parameters()).numbers.get("degrees")
        start = DEGREES[0] if degrees is None else math.log(degrees)
        self.log_degrees = nn.Parameter(torch.tensor(start, dtype=torch.float64), requires_grad=False)
        self.register_buffer("log_degrees_free", torch.tensor(degrees is None))

    def located(self, location: Tensor, scale: Tensor) -> Distribution:
        """StudentT(ν, location, scale)."""
        return StudentTDistribution(self.log_degrees.exp(), location, scale, validate_args=False)

    def noise(self, uniform: Tensor) -> Tensor:
        """The t quantile u = T⁻¹(uniform), from the nearer tail."""
        tail = torch.minimum(uniform, 1 - uniform).flatten().numpy()
        degrees = float(self.log_degrees.exp())
        quantile = torch.from_numpy(stdtrit(degrees, tail))
        middle = torch.from_numpy(tail > MIDDLE)
        near = quantile[middle]
        gap = torch.from_numpy(stdtr(degrees, near.numpy()) - tail[middle.numpy()])
        quantile[middle] = near - gap / StudentTDistribution(degrees).log_prob(near).exp()
        return quantile.reshape(uniform.shape).abs().copysign(uniform - 0.5)

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        return {**self.shared_priors(), "log_degrees": Normal(torch.full_like(self.log_degrees, DEGREES[0]), DEGREES[1])}

    def raw(self) -> dict[str, object]:
        """Intercept, weights, scale and degrees in the node's and its parents' own units, as under ``parameters:``."""
        return {**self.shared_raw(), "degrees": float(self.log_degrees.exp())}
