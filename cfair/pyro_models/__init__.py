"""A Pyro model of the user's own as the mechanisms of a declared one: each site's distribution, with noise that makes its values."""

from cfair.pyro_models.sites import site_mechanisms

__all__ = ["site_mechanisms"]
