"""From data to what cannot be seen: the parameters, and each person's latents and noise."""

from cfair.inference.abduction import abduct
from cfair.inference.guide import sampler_for, sampler_of
from cfair.inference.learning import learn
from cfair.inference.posterior import expectation, posterior, posterior_of_rows
from cfair.inference.uniforms import fingerprint

__all__ = ["abduct", "expectation", "fingerprint", "learn", "posterior", "posterior_of_rows", "sampler_for", "sampler_of"]
