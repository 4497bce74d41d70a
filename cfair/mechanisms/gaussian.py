"""Real nodes: linear in the parents, with normal noise."""

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from cfair.mechanisms.location_scale import LocationScale

__all__ = ["Gaussian"]


class Gaussian(LocationScale):
    """x = c + s·(η + σ·u),  u ~ Normal(0, 1),  η = b + Σ_p w_p·p; all else, as priors and the scale, is LocationScale's.

    A latent has intercept 0 and scale 1 unless ``parameters`` fix them otherwise: its location and scale are conventions.
    """

    quadratic: bool = True

    def located(self, location: Tensor, scale: Tensor) -> Distribution:
        """Normal(location, scale)."""
        return Normal(location, scale, validate_args=False)

    def noise(self, uniform: Tensor) -> Tensor:
        """The normal quantile u = Φ⁻¹(uniform)."""
        quantile: Tensor = torch.special.ndtri(uniform)
        return quantile

    def priors(self) -> dict[str, Distribution]:
        """Prior of each parameter, of its shape, on the scale on which it is learned."""
        return self.shared_priors()

    def raw(self) -> dict[str, object]:
        """Intercept, weights and scale in the node's and its parents' own units, as under ``parameters:``."""
        return self.shared_raw()
