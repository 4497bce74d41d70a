"""What a predictor may see, by the name used on the command line."""

from collections.abc import Sequence
from typing import Protocol

from cfair.interfaces import Predictor
from cfair.registry import Registry
from cfair.scm import SCM

__all__ = ["PREDICTORS", "PredictorClass"]


class PredictorClass(Protocol):
    """How a predictor is made, before it is fitted."""

    def __call__(self, scm: SCM, *, head: str = "auto", features: Sequence[str] | None = None) -> Predictor:
        """A predictor that sees what ``scm``'s graph grants it, or those ``features`` of it."""
        ...


PREDICTORS: Registry[PredictorClass] = Registry(
    "predictor",
    constant="cfair.predictors.row:Constant",
    full="cfair.predictors.row:Full",
    unaware="cfair.predictors.row:Unaware",
    nondescendants="cfair.predictors.row:NonDescendants",
    latent="cfair.predictors.latent:Latent",
    latent_posterior_mean="cfair.predictors.latent:LatentPosteriorMean",
    latent_draws="cfair.predictors.latent:LatentDraws",
    residual="cfair.predictors.residual:Residual",
)
