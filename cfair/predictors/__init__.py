"""What a predictor may see, by the name used on the command line."""

from cfair.interfaces import Predictor
from cfair.registry import Registry

__all__ = ["PREDICTORS"]

PREDICTORS: Registry[type[Predictor]] = Registry(
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
