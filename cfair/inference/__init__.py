"""From data to what cannot be seen: the parameters, and each person's latents and noise."""

from cfair.inference.abduction import abduct, completed
from cfair.inference.learning import learn
from cfair.inference.log_posterior import log_densities
from cfair.inference.patterns import check_patterns, patterns
from cfair.inference.posterior import expectation, expectation_of_incomplete, posterior, posterior_of_rows
from cfair.inference.uniforms import fingerprint, occurrences, table_fingerprint

__all__ = [
    "abduct",
    "check_patterns",
    "completed",
    "expectation",
    "expectation_of_incomplete",
    "fingerprint",
    "learn",
    "log_densities",
    "occurrences",
    "patterns",
    "posterior",
    "posterior_of_rows",
    "table_fingerprint",
]
